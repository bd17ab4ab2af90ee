"""What the broker knows at one moment, read once: everything that is shown of the fleet is derived from it."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from broker.domain.agent import Agent
from broker.domain.definitions import Definitions
from broker.domain.ids import AgentId, ControllerName, PolicyName, PoolName
from broker.domain.lifecycle import Goal, Phase
from broker.domain.limits import Cooled, Lever, LeverKind, Rest, Scope, Usage
from broker.domain.offer import Offer, Offering
from broker.domain.placement import Rejection
from broker.domain.policy import Policy
from broker.domain.timed_override import TimedOverride
from broker.placement.feasible import sieve
from broker.placement.usage import shared_claims
from broker.placement.warm import counts
from broker.reconcile.context import Context
from broker.reconcile.presence import Heard
from broker.store.search import Search
from broker.telemetry.readings import PoolState


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How many agents there are, by phase, and how many of them run a build."""

    by_phase: Mapping[Phase, int]
    busy: int
    oldest_waiting: datetime | None
    """When the oldest was asked for that has never been online and still should be."""

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self.by_phase.values())


def count(agents: Iterable[Agent]) -> Counts:
    """Counts agents."""
    by_phase: dict[Phase, int] = {}
    busy, waiting = 0, list[datetime]()
    for agent in agents:
        by_phase[agent.phase] = by_phase.get(agent.phase, 0) + 1
        busy += agent.busy
        if not agent.was_online and agent.goal is Goal.ONLINE:
            waiting.append(agent.requested_at)
    return Counts(by_phase=by_phase, busy=busy, oldest_waiting=min(waiting, default=None))


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """`agents` are those that are not gone, the oldest request first."""

    now: datetime
    definitions: Definitions
    agents: tuple[Agent, ...] = ()
    used: Mapping[tuple[Scope, str], int] = field(default_factory=dict)
    rests: Mapping[PoolName, Rest] = field(default_factory=dict)
    heard: Mapping[ControllerName, Heard] = field(default_factory=dict)
    levers: Mapping[PoolName, Lever] = field(default_factory=dict)
    cooled: Mapping[Offering, Cooled] = field(default_factory=dict)
    lives: Mapping[PolicyName, timedelta] = field(default_factory=dict)
    """How long a policy's agents live: the median of those that ended."""
    medians: Mapping[PoolName, timedelta] = field(default_factory=dict)
    """From place to online, of the last hour's agents of a pool."""
    window: Mapping[PoolName, int] = field(default_factory=dict)
    """How many more agents those pools may have that do badly now."""
    timed: tuple[TimedOverride, ...] = ()
    """Keys of pools that operators have set for a time."""
    warm: Mapping[PolicyName, tuple[int, int]] = field(init=False, repr=False, compare=False)
    """Policy → idle agents that are kept ready, and how many are to be."""
    _positions: Mapping[AgentId, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Counts each line once: every row of a list asks for its place."""
        length, positions = Counter[PolicyName](), dict[AgentId, int]()
        agents = list(self.agents)
        for agent in filter(_waits, agents):
            length[agent.policy] += 1
            positions[agent.id] = length[agent.policy]
        object.__setattr__(self, "_positions", positions)
        object.__setattr__(self, "warm", counts(agents, self.definitions, self.now))

    def usage(self) -> Usage:
        """What placement would decide against."""
        usage = Usage(
            now=self.now,
            used=dict(self.used),
            rests=dict(self.rests),
            cooled=dict(self.cooled),
            levers=self.levers,
            lives=self.lives,
            medians=self.medians,
            window=dict(self.window),
        )
        for agent in self.agents:
            if agent.pool is None or agent.phase is Phase.REQUESTED:
                continue
            usage.held[agent.controller, agent.policy] += 1
            usage.of_pool[agent.policy, agent.pool] += 1
            if agent.zone:
                usage.of_zone[agent.policy, agent.pool, agent.zone] += 1
            if agent.type:
                usage.of_type[agent.policy, agent.pool, agent.type] += 1
            if agent.host:
                usage.of_host[agent.policy, agent.pool, agent.host] += 1
        return usage

    def resting(self, pool: PoolName) -> Rest | None:
        """The pool's breaker while it keeps agents away, or lets one try; or what all of the pool is out of."""
        rest, lack = self.rests.get(pool), self.cooled.get(Offering(pool))
        if rest is not None and rest.opened and rest.until and (self.now < rest.until or rest.probe is not None):
            return rest
        if lack is not None and self.now < lack.until:
            return Rest(opened=1, until=lack.until, probe=None, why=lack.why, message=lack.message)
        return None

    def lever_of(self, pool: PoolName) -> Lever | None:
        """What an operator did with the pool, while it lasts."""
        lever = self.levers.get(pool)
        return lever if lever is not None and (lever.until is None or lever.until > self.now) else None

    def state_of(self, pool: PoolName) -> PoolState:
        """Whether placement may use a pool now, in a word."""
        resting = PoolState.COOLDOWN if self.resting(pool) else PoolState.READY
        return lever_states(self.levers.values(), self.now).get(pool, resting)

    def waiting(self, policy: PolicyName) -> list[Agent]:
        """The agents of a policy that wait for a place, in the order in which they get one."""
        return [a for a in self.agents if a.policy == policy and _waits(a)]

    def position(self, agent: Agent) -> int | None:
        """The agent's place in the line of its policy, from 1; None if it does not wait."""
        return self._positions.get(agent.id)

    def refusals(self, policy: Policy) -> list[Rejection]:
        """Why pools of a policy cannot take an agent now, as far as that is known without asking a backend."""
        offers = {pool: [Offer(pool=pool)] for pool in policy.chain}
        return sieve(policy, offers, self.usage(), self.definitions)

    def refusals_of(self, agent: Agent) -> list[Rejection]:
        """Why a waiting agent gets no place: a limit that counts in every pool, else pool by pool."""
        policy = self.definitions.policies.get(agent.policy)
        if policy is None:
            return []
        usage = self.usage()
        full = usage.first_full(shared_claims(agent, policy, self.definitions))
        if full is None:
            return self.refusals(policy)
        message = full.refusal(usage.taken(full))
        return [Rejection(pool=pool, reason=full.reason, message=message) for pool in policy.chain]


def lever_states(levers: Iterable[Lever], now: datetime) -> dict[PoolName, PoolState]:
    """The states of the pools that operators have paused or let be emptied, while that lasts."""
    return {
        lever.pool: PoolState.PAUSED if lever.kind is LeverKind.PAUSE else PoolState.DRAINING
        for lever in levers
        if lever.until is None or lever.until > now
    }


def _waits(agent: Agent) -> bool:
    return agent.phase is Phase.REQUESTED and agent.goal is Goal.ONLINE


async def take(ctx: Context) -> Snapshot:
    """Reads all that is shown of the fleet; raises `StoreUnavailable`."""
    definitions, now = ctx.definitions, ctx.clock.now()
    return Snapshot(
        now=now,
        definitions=definitions,
        agents=tuple(await ctx.agents.live()),
        used=await Search(ctx.database).used(),
        rests=await ctx.cooldowns.read(now),
        levers=ctx.levers,
        cooled=await ctx.cooldowns.cooled(now),
        lives=ctx.lives.medians(now),
        medians=ctx.starts.medians(now),
        window=ctx.bulkhead.windows(definitions.pools, ctx.clock.monotonic()),
        timed=ctx.timed,
        heard={name: heard for name in definitions.controllers if (heard := ctx.presence.heard_of(name)) is not None},
    )
