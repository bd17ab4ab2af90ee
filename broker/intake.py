"""All that controllers may do: accept, release, sync. Nothing here waits for a cloud."""

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from broker.domain.agent import Agent
from broker.domain.asked import Answer, Asked, forbidden, override_of, refusal
from broker.domain.hand_launch import HandLaunch, Wish
from broker.domain.ids import AgentId, AgentName, BootId, ControllerName, PolicyName
from broker.domain.introduction import Introduction
from broker.domain.lifecycle import Goal, Outcome, Phase
from broker.domain.policy import Policy
from broker.domain.reason import Reason
from broker.domain.versions import too_far_apart
from broker.errors import Busy, Conflict
from broker.reconcile.context import Context
from broker.reconcile.deadlines import queue_deadline
from broker.reconcile.presence import NodeReport
from broker.reconcile.unmatched import Unmatched
from broker.reconcile.wanted import Ask, Wanted
from broker.store.reports import Report
from broker.telemetry import events
from broker.version import VERSION

MOST_AGENTS: Final = 10_000
"""Of one controller, waiting ones included: as many nodes as a sync may tell of."""
_ROOM_AGAIN_S: Final = 10.0
_LONGEST_TEXT: Final = 2_000
_LONGEST_NAME: Final = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """One agent that Jenkins gives back."""

    name: str
    outcome: Outcome
    why: Reason
    message: str
    uses: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """The full truth of a controller: its nodes of our cloud by name, and the names it has asked for without a node.

    `queued` is how many builds wait, by the policy that serves them. `unmatched` is how many have come to wait since
    the last sync, by labels that nothing in Jenkins serves.
    """

    boot_id: BootId
    nodes: Mapping[AgentName, NodeReport]
    pending: Sequence[AgentName]
    queued: Mapping[PolicyName, int] = field(default_factory=dict)
    unmatched: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """An agent that must have a node."""

    agent: Agent
    takes_builds: bool
    why: str
    keep_warm: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """The full truth of the broker for one controller."""

    kept: tuple[Kept, ...]
    removed: tuple[Agent, ...]
    unknown: tuple[AgentName, ...]
    revision: str
    wishes: tuple[Wish, ...] = ()


class Intake:
    """Accepts what controllers ask and tell; what follows is the reconciler's."""

    def __init__(self, ctx: Context) -> None:
        """Works on the same context as the reconciler."""
        self._ctx = ctx
        self._accepting = asyncio.Lock()
        self._wanted = Wanted(ctx)
        self._unmatched = Unmatched(ctx)

    async def greet(
        self, controller: ControllerName, boot_id: BootId, client: str = "", introduction: Introduction | None = None
    ) -> tuple[Policy, ...]:
        """A handshake: notes the boot, the client's version and what the controller says of its port for agents.

        Returns the policies that this controller may use.
        """
        self._hear(controller, boot_id)
        self._ctx.introduced(controller, introduction or Introduction())
        if self._ctx.presence.greeted(controller, client) and (message := too_far_apart(VERSION, client)):
            events.CONTROLLER_TOO_FAR_APART.emit(controller=controller, message=message)
        return self._ctx.definitions.policies_of(controller)

    async def accept(self, controller: ControllerName, boot_id: BootId, asked: Sequence[Asked]) -> list[Answer]:
        """Takes requests on, all that are sound in one transaction; a name that is known already is accepted again."""
        self._hear(controller, boot_id)
        async with self._accepting:  # two controllers that ask for one name come one after the other
            return await self._accept(controller, asked)

    async def _accept(self, controller: ControllerName, asked: Sequence[Asked]) -> list[Answer]:
        policies = {policy.name: policy for policy in self._ctx.definitions.policies_of(controller)}
        names = [AgentName(a.name) for a in asked]
        taken = await self._ctx.agents.users_of(names, controller)
        known = await self._ctx.agents.by_names(controller, names)
        await self._check_room(controller, sum(name not in known for name in dict.fromkeys(names)))
        now = self._ctx.clock.now()
        refused = {one.name: refusal(one, taken) or self._not_by_policy(controller, one, policies) for one in asked}
        sound = {one.name: one for one in asked if one.name not in known and refused[one.name] is None}
        asks = [Ask(PolicyName(one.policy), one.cause, one.launch_id) for one in sound.values()]
        passed = dict(zip(sound, await self._wanted.check(controller, asks), strict=True))
        answers, fresh = [], list[Agent]()
        for one in asked:
            may = passed.get(one.name)
            answer = None if one.name in known else refused[one.name]
            if isinstance(may, str):
                answer = Answer(name=one.name, reason=Reason.SUPERSEDED, message=may)
            elif may:
                fresh.append(self._new_agent(controller, one, policies[PolicyName(one.policy)], now, may.launch))
            answers.append(answer or Answer(name=one.name))
            if answer is not None:
                told = {"why": answer.reason, "message": answer.message}
                events.AGENT_REFUSED.emit(agent=one.name[:_LONGEST_TEXT], controller=controller, **told)
        made = {agent.id for agent in fresh}
        for agent in dict.fromkeys(await self._ctx.agents.accept(fresh)):
            if agent.id in made:
                self._ctx.metrics.agent_requested(agent.controller, agent.policy)
        if fresh or any(agent.phase == Phase.REQUESTED for agent in known.values()):
            self._ctx.nudge.placement()  # who asks again may have been cut off before this, and not before the commit
        return answers

    async def _check_room(self, controller: ControllerName, more: int) -> None:
        """Takes a call on as a whole or not at all: what it asks for has to fit into one sync."""
        if not more:
            return
        living = await self._ctx.agents.count_live(controller)
        if living + more > MOST_AGENTS:
            text = f"controller {controller} has {living} agents that are not gone; {more} more are over {MOST_AGENTS}"
            raise Busy(f"{text}: try again when some have ended", _ROOM_AGAIN_S)

    async def release(self, controller: ControllerName, boot_id: BootId, given: Sequence[Release]) -> list[AgentName]:
        """Ends agents that Jenkins gives back; returns the names that are unknown. A repeat changes nothing."""
        self._hear(controller, boot_id)
        known = await self._ctx.agents.by_names(controller, [AgentName(r.name) for r in given])
        for one in given:
            agent = known.get(AgentName(one.name))
            if agent is not None and agent.phase != Phase.GONE:
                await self._end(agent, one)
        return [AgentName(r.name) for r in given if AgentName(r.name) not in known]

    async def sync(self, controller: ControllerName, told: Told) -> Truth:
        """Takes the truth of a controller in, and gives the broker's back."""
        self._hear(controller, told.boot_id)
        self._unmatched.told(controller, told.unmatched)
        live = {agent.name: agent for agent in await self._ctx.agents.live(controller)}
        strangers = [n for n in (*told.nodes, *told.pending) if n not in live]
        met = await self._ctx.agents.by_names(controller, strangers) if strangers else {}
        live |= {name: agent for name, agent in met.items() if agent.phase != Phase.GONE}  # accepted meanwhile
        ended = [agent for agent in met.values() if agent.phase == Phase.GONE]
        reports = {live[name].id: report for name, report in told.nodes.items() if name in live}
        news = await self._write_reports(live, told.nodes)
        if news:  # the reply is about what Jenkins has just told, too
            live = {agent.name: agent for agent in await self._ctx.agents.live(controller)}
        unknown = frozenset(name for name in told.nodes if name not in live and name not in met)
        for agent_id in self._ctx.presence.told(controller, told.boot_id, reports, unknown) | news:
            self._ctx.nudge.agent(agent_id)

        def forgotten(name: AgentName) -> bool:  # a restored backup may have lost the row of an agent at work
            return name in told.nodes and self._lives(controller, name)

        strange = tuple(n for n in dict.fromkeys(strangers) if n not in met and not forgotten(n))
        mine = list(live.values())
        wishes, warm = await self._wanted.of(controller, mine, told.queued, len(strange))
        doomed = [a for a in live.values() if a.goal == Goal.GONE and (a.name in told.nodes or a.name in told.pending)]
        return Truth(
            kept=tuple(self._keep(agent, warm=agent.id in warm) for agent in mine if agent.goal != Goal.GONE),
            removed=(*doomed, *ended),
            unknown=strange,
            revision=self._ctx.definitions.revision,
            wishes=wishes,
        )

    def _lives(self, controller: ControllerName, name: AgentName) -> bool:
        """Whether an agent of that name is connected, for all that is known: without a gateway's word it may be."""
        sessions = self._ctx.sessions
        return not sessions.known() or sessions.of_name(controller, name) is not None

    async def _write_reports(
        self, live: Mapping[AgentName, Agent], nodes: Mapping[AgentName, NodeReport]
    ) -> set[AgentId]:
        """Writes what differs. Only an online node can say that an agent is no longer busy: after a restart of the
        controller its node is there, and idle, before the agent has come back to its build."""
        reports = list[tuple[Agent, Report]]()
        for name, node in nodes.items():
            agent = live.get(name)
            if agent is None:
                continue
            busy = node.busy or (agent.busy and not node.online)
            runs = node.build_url if node.busy else ""
            if busy != agent.busy or node.uses > agent.uses or (runs and not agent.build_url):
                report = Report(agent_id=agent.id, busy=busy, uses=node.uses, build_url=runs)
                reports.append((agent, report))
        await self._ctx.agents.report([report for _, report in reports])
        for agent, report in reports:
            self._wanted.begun(agent, report.uses)
        return {agent.id for agent, _ in reports}

    def _keep(self, agent: Agent, *, warm: bool) -> Kept:
        back = not self._ctx.presence.was_online_this_boot(agent.controller, agent.id)
        connected = agent.phase != Phase.RECONNECTING or back
        wanted = agent.goal == Goal.ONLINE and agent.phase != Phase.DRAINING
        takes = wanted and connected and not agent.busy and not self._ctx.definitions.used_up(agent)
        place = f" on {agent.pool}" if agent.pool else ""
        reason = f": {agent.why}: {agent.message}" if agent.why else ""
        return Kept(agent=agent, takes_builds=takes, why=f"{agent.phase}{place}{reason}", keep_warm=warm)

    async def _end(self, agent: Agent, given: Release) -> None:
        while True:
            try:
                if given.uses > agent.uses:
                    await self._ctx.agents.report([Report(agent_id=agent.id, busy=False, uses=given.uses)])
                    self._wanted.begun(agent, given.uses)
                    agent = await self._ctx.agents.get(agent.id)
                outcome = Outcome.SUCCEEDED if agent.was_online or given.uses else given.outcome
                await self._ctx.aim(agent, Goal.GONE, outcome, given.why, given.message)
                return
            except Conflict:
                agent = await self._ctx.agents.get(agent.id)

    def _new_agent(
        self, controller: ControllerName, asked: Asked, policy: Policy, now: datetime, launch: HandLaunch | None
    ) -> Agent:
        return Agent(
            id=AgentId(secrets.token_hex(16)),
            controller=controller,
            name=AgentName(asked.name),
            policy=policy.name,
            label_expression=asked.label_expression[:_LONGEST_TEXT],
            job=asked.job[:_LONGEST_TEXT],
            build_url=asked.build_url[:_LONGEST_TEXT],
            cause=asked.cause,
            sealed_secret=self._ctx.keyring.seal(asked.secret),
            phase=Phase.REQUESTED,
            goal=Goal.ONLINE,
            version=1,
            requested_at=now,
            phase_since=now,
            not_before=now,
            deadline=queue_deadline(now, policy.timeouts),
            waits_since=now - asked.waited if asked.waited is not None else None,
            launch_id=launch.id if launch else None,
            overrides=override_of(asked),
            requested_by=asked.requested_by[:_LONGEST_NAME] or (launch.who if launch else None),
        )

    def _not_by_policy(
        self, controller: ControllerName, asked: Asked, policies: Mapping[PolicyName, Policy]
    ) -> Answer | None:
        """Refuses a policy that this controller may not use, with the key that lets it, and what it forbids."""
        if policy := policies.get(PolicyName(asked.policy)):
            return forbidden(asked, policy, self._ctx.definitions.templates[policy.template])
        message = f"no policy {asked.policy[:80]!r} for this controller; it may use: {', '.join(policies) or 'none'}"
        found = self._ctx.definitions.policies.get(PolicyName(asked.policy))
        who = self._ctx.definitions.controllers.get(controller)
        if found and who and who.labels is not None and (not found.controllers or controller in found.controllers):
            message += f"; policy {found.name} has none of the labels of controllers.{controller}.labels: add one there"
        return Answer(name=asked.name, reason=Reason.NO_MATCHING_POLICY, message=message)

    def _hear(self, controller: ControllerName, boot_id: BootId) -> None:
        if self._ctx.presence.heard(controller, boot_id):
            events.CONTROLLER_CONNECTED.emit(controller=controller, boot_id=boot_id)
