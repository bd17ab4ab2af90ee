"""Launches by hand: which controller and which policy are meant, and what became of one."""

import secrets
from collections.abc import Sequence
from datetime import timedelta

from broker.domain.agent import Agent
from broker.domain.hand_launch import HandLaunch, is_launch_id
from broker.domain.ids import ControllerName, HandLaunchId
from broker.domain.labels import LabelSyntaxError, parse
from broker.domain.lengths import short
from broker.domain.policy import Policy
from broker.domain.unserved import overrides_in, serving
from broker.operations import Actor, Operations
from broker.reconcile.context import Context
from broker.store.hand_launches import HandLaunches
from broker.views import explain
from broker.views.snapshot import Snapshot, take
from broker.views.words import Words
from broker.web.api import convert
from broker.web.api import models as api
from broker.web.api.asks import Launching
from broker.web.api.errors import ApiError, unknown_name


class Launches:
    """Makes launches of calls, and shows them."""

    def __init__(self, ctx: Context, operations: Operations) -> None:
        """Reads the definitions of the context; changes only through operations."""
        self._ctx = ctx
        self._operations = operations
        self._store = HandLaunches(ctx.database)

    async def keep(self, asked: Launching, actor: Actor) -> HandLaunch:
        """The launch that a call asks for; a repeat of the call finds the same one.

        Raises `ApiError` where no controller or no policy is meant, or the controller is not connected, and
        `LaunchTaken`.
        """
        if asked.id and (known := await self._store.get(HandLaunchId(asked.id))) and _is_repeat(asked, known):
            return known
        controller = self._controller(asked)
        policy = self._policy(asked, controller)
        self._must_be_connected(controller)
        now = self._ctx.clock.now()
        launch = HandLaunch(
            id=HandLaunchId(asked.id or secrets.token_hex(6)),
            controller=controller,
            policy=policy.name,
            label_expression=asked.label,
            count=asked.count,
            actor=str(actor),
            created_at=now,
            expires_at=now + timedelta(seconds=asked.expires_s),
        )
        return await self._operations.launch(launch)

    async def known(self, name: str) -> HandLaunch:
        """The launch of this id; raises `ApiError` 404."""
        found = await self._store.get(HandLaunchId(name)) if is_launch_id(name) else None
        if found is None:
            hint = "launches are forgotten after server.keep_history; look at agentbroker events --audit"
            raise ApiError(404, "not_found", f"no launch is called {name[:80]!r}", hint)
        return found

    async def shown(self, launch: HandLaunch, words: Words) -> api.Launch:
        """A launch and its agents as they stand."""
        agents = await self._store.agents_of(launch.id)
        why = "" if len(agents) >= launch.count else self._why_not_asked(launch)
        return _to_launch(launch, agents, await take(self._ctx), words, why)

    def _why_not_asked(self, launch: HandLaunch) -> str:
        if launch.expires_at <= self._ctx.clock.now():
            return f"launch {launch.id} was over at {launch.expires_at:%H:%M:%S} UTC"
        if launch.policy not in {policy.name for policy in self._ctx.definitions.policies_of(launch.controller)}:
            return f"policy {launch.policy} is not there for controller {launch.controller} any more"
        return self._why_away(launch.controller)

    def _controller(self, asked: Launching) -> ControllerName:
        known = list(self._ctx.definitions.controllers)
        if asked.controller is not None:
            if asked.controller not in known:
                raise unknown_name("controller", asked.controller, known)
            return ControllerName(asked.controller)
        connected = [name for name in known if self._ctx.presence.synced(name)]
        meant = known if len(known) == 1 else connected
        if len(meant) == 1:
            return meant[0]
        if not meant:
            hint = "agentbroker get controllers says since when; start one, or look at its system log"
            raise ApiError(409, "controller_away", "no controller is connected, so none can ask for an agent", hint)
        hint = f"say which: --controller {meant[0]}"
        raise ApiError(400, "missing_parameter", f"several controllers are connected: {', '.join(meant)}", hint)

    def _policy(self, asked: Launching, controller: ControllerName) -> Policy:
        policies = self._ctx.definitions.policies_of(controller)
        named = policies
        if asked.policy is not None:
            named = tuple(policy for policy in policies if policy.name == asked.policy)
            if not named:
                raise unknown_name(f"policy of controller {controller}", asked.policy, [p.name for p in policies])
            if not asked.label:
                return named[0]
        return self._matching(asked.label, named)

    def _matching(self, label: str, policies: Sequence[Policy]) -> Policy:
        try:
            expression = parse(label) if label.strip() else None
        except LabelSyntaxError as error:
            message = f"the label expression cannot be read: {error}"
            raise ApiError(400, "bad_parameter", message, "such as: linux && (docker || !arm)") from None
        if expression is not None and (asked := overrides_in(expression)):
            message = f"an agent that is launched by hand is what its template says, without {', '.join(sorted(asked))}"
            raise ApiError(400, "bad_parameter", message, "leave that out; a build may ask for it by its own label")
        found = next(iter(serving(expression, policies)), None)
        if found is None:
            told = explain.of_label(label, expression, policies)
            raise ApiError(404, "no_matching_policy", f"{told.reason}: {told.summary}", told.hint)
        return found

    def _must_be_connected(self, controller: ControllerName) -> None:
        if message := self._why_away(controller):
            hint = "agentbroker get controllers; when it is connected, try again"
            raise ApiError(409, "controller_away", f"{message}, and Jenkins names its agents itself", hint)

    def _why_away(self, controller: ControllerName) -> str:
        """Empty for one that is connected."""
        if self._ctx.presence.synced(controller):
            return ""
        heard = self._ctx.presence.heard_of(controller)
        since = "it was not heard since the broker started"
        if heard is not None:
            ago = short(self._ctx.clock.now() - heard.last_heard_at)
            since = f"it was last heard {ago} ago" if heard.away else "it has just come and told no nodes yet"
        return f"controller {controller} is not connected: {since}"


def _is_repeat(asked: Launching, known: HandLaunch) -> bool:
    """Whether a call of a known id asks for the same; what it leaves open was decided the first time."""
    same = (asked.label, asked.count) == (known.label_expression, known.count)
    return same and asked.policy in {None, known.policy} and asked.controller in {None, known.controller}


def _to_launch(
    launch: HandLaunch, agents: Sequence[Agent], snapshot: Snapshot, words: Words, why_not_asked: str
) -> api.Launch:
    """A launch by hand and its agents."""
    complete, expired = len(agents) >= launch.count, launch.expires_at <= snapshot.now
    return api.Launch(
        id=launch.id,
        controller=launch.controller,
        policy=launch.policy,
        labels=launch.label_expression,
        count=launch.count,
        state="complete" if complete else "expired" if expired else "open",
        message=why_not_asked,
        requested_by=launch.who,
        created_at=launch.created_at,
        expires_at=launch.expires_at,
        agents=tuple(convert.to_agent(agent, snapshot, words) for agent in agents),
    )
