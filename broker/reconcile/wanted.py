"""What a controller is to ask for though no build waits: warm agents of its policies, and launches by hand.

A wish is worked out anew at each sync from what there is, and checked again when its agents are asked for: a reply that
is lost, repeated or late leads to no agent too many, and a restart of either side forgets nothing.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from broker.domain.agent import Agent
from broker.domain.hand_launch import HandLaunch, Wish
from broker.domain.ids import AgentId, ControllerName, HandLaunchId, PolicyName
from broker.domain.lifecycle import Goal, Phase
from broker.domain.limits import Usage
from broker.domain.policy import Policy
from broker.domain.schedule import min_idle_at
from broker.placement import warm
from broker.reconcile.context import Context
from broker.store.hand_launches import HandLaunches
from broker.store.search import Search

SHARE_S: Final = 60.0
"""A controller that is silent for longer leaves its share of the warm agents to the others."""
_JUST_CAME: Final = timedelta(seconds=10)
"""An agent that takes its first build so soon after it came has come for that build."""
_FAILURES_COUNT: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Ask:
    """What an agent is asked for for, as far as it matters here; `launch_id` is empty but for a launch of ours."""

    policy: PolicyName
    cause: str
    launch_id: str


@dataclass(frozen=True, slots=True)
class Passed:
    """An ask that may pass; `launch` is the launch by hand that it belongs to."""

    launch: HandLaunch | None = None


class Wanted:
    """What is wanted of each controller."""

    def __init__(self, ctx: Context) -> None:
        """Knows no queue yet: of a controller that has not synced, all that starts counts as warm."""
        self._ctx = ctx
        self._launches = HandLaunches(ctx.database)
        self._queued: dict[ControllerName, Mapping[PolicyName, int]] = {}

    async def of(
        self, controller: ControllerName, live: Sequence[Agent], queued: Mapping[PolicyName, int], unanswered: int
    ) -> tuple[tuple[Wish, ...], frozenset[AgentId]]:
        """What a controller that has just told its truth is to ask for, and which agents the idle timeout must not end.

        `live` are its agents, all of them; `queued` is how many builds wait, by policy. `unanswered` is how many names
        it has that we do not know: any of them may have been named for a wish whose request is still on its way, so as
        many are not wished for again.
        """
        self._queued[controller] = queued
        return await self._wishes(controller, live, unanswered), self._kept(controller, live)

    def _kept(self, controller: ControllerName, live: Sequence[Agent]) -> frozenset[AgentId]:
        found = frozenset[AgentId]()
        for policy in self._warm_policies(controller):
            found |= warm.kept(self._spares(policy, live, [controller]), self._share(policy, controller))
        return found

    def begun(self, agent: Agent, uses: int) -> None:
        """Counts, for a policy that keeps agents warm, whether the builds that an agent has begun found it ready.

        `agent` is as it was before, `uses` what Jenkins has now told. One that came for its first build is a miss.
        """
        policy = self._ctx.definitions.policies.get(agent.policy)
        if policy is None or not self._min_idle(policy):
            return
        fresh = agent.online_at is None or self._ctx.clock.now() - agent.online_at < _JUST_CAME
        for number in range(agent.uses, min(uses, agent.uses + warm.MOST_AT_ONCE)):
            missed = number == 0 and agent.cause == "queue" and fresh
            self._ctx.metrics.warm_agent_claimed(agent.policy, hit=not missed)

    async def _wishes(self, controller: ControllerName, live: Sequence[Agent], unanswered: int) -> tuple[Wish, ...]:
        found = [*await self._by_hand(controller), *await self._warm(controller, live)]
        wishes = []
        for wish in found:
            less = min(unanswered, wish.count)
            unanswered -= less
            if wish.count > less:
                one = Wish(policy=wish.policy, count=wish.count - less, launch_id=wish.launch_id)
                wishes.append(one)
        return tuple(wishes)

    async def check(self, controller: ControllerName, asks: Sequence[Ask]) -> list[Passed | str]:
        """For each ask that it may pass, or why not: more than are wanted are not made.

        Only agents that were wished for are checked; those of builds and of people in Jenkins always pass.
        """
        warm_left: dict[PolicyName, int] = {}
        launches = await self._known(asks)
        left = {i: la.count for i, la in launches.items()}
        for launch_id, number in (await self._launches.asked(launches)).items() if launches else ():
            left[launch_id] -= number
        answers: list[Passed | str] = []
        for ask in asks:
            if ask.cause == "warm":
                if ask.policy not in warm_left:
                    warm_left[ask.policy] = await self._missing_now(controller, ask.policy)
                warm_left[ask.policy] -= 1
                enough = f"policy {ask.policy} has as many idle agents as it keeps"
                answers.append(Passed() if warm_left[ask.policy] >= 0 else enough)
            elif ask.cause == "manual" and ask.launch_id:
                answers.append(self._of_launch(controller, ask, launches, left))
            else:
                answers.append(Passed())
        return answers

    async def _known(self, asks: Sequence[Ask]) -> dict[HandLaunchId, HandLaunch]:
        ids = {HandLaunchId(ask.launch_id) for ask in asks if ask.cause == "manual" and ask.launch_id}
        return await self._launches.some(ids) if ids else {}

    def _of_launch(
        self,
        controller: ControllerName,
        ask: Ask,
        launches: Mapping[HandLaunchId, HandLaunch],
        left: dict[HandLaunchId, int],
    ) -> Passed | str:
        launch = launches.get(HandLaunchId(ask.launch_id))
        if launch is None or launch.controller != controller or launch.policy != ask.policy:
            return f"there is no launch {ask.launch_id[:80]!r} of policy {ask.policy} for controller {controller}"
        if launch.expires_at <= self._ctx.clock.now():
            return f"launch {launch.id} was over at {launch.expires_at:%H:%M:%S} UTC"
        left[launch.id] -= 1
        if left[launch.id] < 0:
            return f"launch {launch.id} has its {launch.count} agents"
        return Passed(launch)

    async def _by_hand(self, controller: ControllerName) -> list[Wish]:
        launches = await self._launches.open(controller, self._ctx.clock.now())
        if not launches:
            return []
        usable = {policy.name for policy in self._ctx.definitions.policies_of(controller)}
        asked = await self._launches.asked(launch.id for launch in launches)
        return [
            Wish(policy=launch.policy, count=left, launch_id=launch.id)
            for launch in launches
            if launch.policy in usable and (left := launch.count - asked.get(launch.id, 0)) > 0
        ]

    async def _warm(self, controller: ControllerName, live: Sequence[Agent]) -> list[Wish]:
        lacking = {}
        for policy in self._warm_policies(controller):
            own = self._share(policy, controller) - len(self._spares(policy, live, [controller]))
            if own > 0 and not await self._pauses(policy, controller):
                lacking[policy.name] = own
        if not lacking:
            return []
        room = await self._room(controller, lacking)
        return [Wish(policy=name, count=count) for name, count in room.items() if count > 0]

    async def _pauses(self, policy: Policy, controller: ControllerName) -> bool:
        """Whether warm agents failed so lately that the next one had better come later."""
        now = self._ctx.clock.now()
        failures, last = await self._launches.warm_failures(controller, policy.name, now - _FAILURES_COUNT, now)
        return last is not None and now < last + warm.pause(failures, self._min_idle(policy))

    async def _room(self, controller: ControllerName, lacking: Mapping[PolicyName, int]) -> Mapping[PolicyName, int]:
        """How many of the lacking ones may be asked for now, by the limits and by what other controllers have."""
        ctx = self._ctx
        everybody, definitions = await ctx.agents.live(), ctx.definitions
        missing = {
            name: min(own, self._lacking(definitions.policies[name], everybody))
            for name, own in lacking.items()
            if name in definitions.policies
        }
        if not any(number > 0 for number in missing.values()):
            return {}
        now, used = ctx.clock.now(), await Search(ctx.database).used()
        rests, cooled = await ctx.cooldowns.read(now), await ctx.cooldowns.cooled(now)
        waiting = [a for a in everybody if a.phase is Phase.REQUESTED and a.goal is Goal.ONLINE]
        usage = Usage(now=now, used=used, rests=dict(rests), cooled=cooled, levers=ctx.levers)
        usage.lives = ctx.lives.medians(now)
        return warm.room(missing, controller, usage, waiting, definitions)

    async def _missing_now(self, controller: ControllerName, name: PolicyName) -> int:
        policy = next((p for p in self._warm_policies(controller) if p.name == name), None)
        if policy is None:
            return 0
        everybody = await self._ctx.agents.live()
        mine = [agent for agent in everybody if agent.controller == controller]
        own = self._share(policy, controller) - len(self._spares(policy, mine, [controller]))
        return min(own, self._lacking(policy, everybody))

    def _lacking(self, policy: Policy, everybody: Sequence[Agent]) -> int:
        """How many a policy lacks over all controllers, also those that are away."""
        controllers = list(dict.fromkeys(agent.controller for agent in everybody))
        return self._min_idle(policy) - len(self._spares(policy, everybody, controllers))

    def _spares(self, policy: Policy, agents: Sequence[Agent], controllers: Sequence[ControllerName]) -> list[Agent]:
        found: list[Agent] = []
        for controller in controllers:
            mine = [agent for agent in agents if agent.controller == controller]
            queued = self._queued.get(controller, {}).get(policy.name, 0)
            closed = frozenset(a.id for a in mine if self._is_closed(a))
            found += warm.spares(mine, policy.name, self._ctx.definitions, queued=queued, closed=closed)
        return found

    def _is_closed(self, agent: Agent) -> bool:
        node = self._ctx.presence.node(agent.controller, agent.id)
        return node is not None and node.online and not node.accepting

    def _warm_policies(self, controller: ControllerName) -> list[Policy]:
        return [policy for policy in self._ctx.definitions.policies_of(controller) if self._min_idle(policy) > 0]

    def _min_idle(self, policy: Policy) -> int:
        """How many idle agents a policy keeps now, by its schedule."""
        return min_idle_at(policy, self._ctx.clock.now())[0]

    def _share(self, policy: Policy, controller: ControllerName) -> int:
        definitions, presence = self._ctx.definitions, self._ctx.presence
        users = [name for name, one in definitions.controllers.items() if one.may_use(policy)]
        return warm.share(self._min_idle(policy), [n for n in users if presence.silent_s(n) <= SHARE_S], controller)


def queued_by_policy(depths: Sequence[tuple[str, int]]) -> Mapping[PolicyName, int]:
    """Sums of waiting builds by policy."""
    sums: Counter[PolicyName] = Counter()
    for policy, length in depths:
        sums[PolicyName(policy)] += length
    return sums
