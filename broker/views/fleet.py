"""What one controller's people see of the fleet: the pools that its policies use, its policies, what failed of late."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from broker.domain.definitions import Definitions
from broker.domain.ids import ControllerName, PoolName
from broker.domain.lengths import short
from broker.domain.lifecycle import Goal, Phase
from broker.domain.limits import Scope
from broker.domain.policy import Policy
from broker.reconcile.context import Context
from broker.store.history import Event
from broker.store.search import Search
from broker.telemetry.readings import PoolState
from broker.views.budget import spent
from broker.views.snapshot import Snapshot, take
from broker.views.words import Words

MOST_FAILURES: Final = 20
MOST_ROWS: Final = 1_000
"""Of pools, and of policies."""
FRESH_S: Final = 1.0
"""For so long an answer serves whoever asks: a page that many look at costs no more than one look."""
_WORDS: Final = Words(raw=True)
"""A controller is told the clouds' own words of its agents in their events, too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolRow:
    """A pool. Caps are None where there are none; `agents` and `starting` are of all controllers, as the caps are."""

    name: PoolName
    backend: str
    agents: int
    agents_cap: int | None
    starting: int
    starting_cap: int | None
    state: PoolState
    why: str
    until: datetime | None = None
    """When that state ends by itself; None where it does not, or nobody knows."""
    by: str = ""
    """Who has paused it or lets it be emptied."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyRow:
    """A policy; `agents` is what counts against its cap. That and warm are of all controllers, the rest of who asks."""

    policy: Policy
    agents: int
    waiting: int
    remark: str
    warm: int = 0
    warm_wanted: int = 0
    budget: str = ""
    """How much of it is spent; empty without one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """`failures` are the newest first: failed attempts, and agents that ended in a way that somebody can put right."""

    pools: tuple[PoolRow, ...]
    policies: tuple[PolicyRow, ...]
    failures: tuple[Event, ...]


def fleet_of(controller: ControllerName, snapshot: Snapshot, failures: Iterable[Event]) -> Fleet:
    """What belongs to a controller, out of a snapshot of everything."""
    policies = snapshot.definitions.policies_of(controller)[:MOST_ROWS]
    pools = dict.fromkeys(pool for policy in policies for pool in policy.chain)
    return Fleet(
        pools=tuple(_pool_row(name, snapshot) for name in list(pools)[:MOST_ROWS]),
        policies=tuple(_policy_row(policy, controller, snapshot) for policy in policies),
        failures=tuple(_once_each(failures))[:MOST_FAILURES],
    )


def _pool_row(name: PoolName, snapshot: Snapshot) -> PoolRow:
    definitions: Definitions = snapshot.definitions
    pool, rest, lever = definitions.pools[name], snapshot.resting(name), snapshot.lever_of(name)
    why = _WORDS.line(rest.why, rest.message) if rest else ""
    until = rest.until if rest and rest.until and rest.until > snapshot.now else None
    return PoolRow(
        name=name,
        backend=definitions.backends[pool.backend].type,
        agents=snapshot.used.get((Scope.POOL_AGENTS, name), 0),
        agents_cap=pool.limits.agents,
        starting=snapshot.used.get((Scope.POOL_PENDING, name), 0),
        starting_cap=pool.limits.pending,
        state=snapshot.state_of(name),
        why=lever.reason if lever else why,
        until=lever.until if lever else until,
        by=lever.actor if lever else "",
    )


def _policy_row(policy: Policy, controller: ControllerName, snapshot: Snapshot) -> PolicyRow:
    waiting = [
        agent
        for agent in snapshot.agents
        if agent.policy == policy.name
        and agent.controller == controller
        and agent.phase is Phase.REQUESTED
        and agent.goal is Goal.ONLINE
        and agent.why is not None
    ]
    remark = ""
    if waiting:
        first = waiting[0]
        remark = f"waiting for {short(snapshot.now - first.requested_at)}: {_WORDS.line(first.why, first.message)}"
    warm, warm_wanted = snapshot.warm[policy.name]
    return PolicyRow(
        policy=policy,
        agents=snapshot.used.get((Scope.POLICY_AGENTS, policy.name), 0),
        waiting=len(waiting),
        remark=remark,
        warm=warm,
        warm_wanted=warm_wanted,
        budget=" ".join(spent(policy, snapshot)),
    )


def _once_each(failures: Iterable[Event]) -> Iterable[Event]:
    """The decision to end an agent and its failed attempt may say the same; the newest of both stays."""
    seen = set[tuple[object, ...]]()
    for event in failures:
        key = (event.agent_id, event.attempt, event.why)
        if key not in seen:
            seen.add(key)
            yield event


class Fleets:
    """Answers for all controllers from one snapshot, which is taken anew when it is older than `FRESH_S`."""

    def __init__(self, ctx: Context) -> None:
        """Nothing was asked yet."""
        self._ctx = ctx
        self._search = Search(ctx.database)
        self._one_at_a_time = asyncio.Lock()
        self._taken_at = float("-inf")
        self._snapshot: Snapshot | None = None
        self._fleets: dict[ControllerName, Fleet] = {}

    async def of(self, controller: ControllerName) -> Fleet:
        """What belongs to a controller, at most `FRESH_S` old. Raises `StoreUnavailable`."""
        async with self._one_at_a_time:
            snapshot = await self._fresh()
            found = self._fleets.get(controller)
            if found is None:
                failures = await self._search.failures(controller, limit=3 * MOST_FAILURES)
                found = self._fleets[controller] = fleet_of(controller, snapshot, failures)
            return found

    async def _fresh(self) -> Snapshot:
        now = self._ctx.clock.monotonic()
        if self._snapshot is None or now - self._taken_at >= FRESH_S:
            self._snapshot, self._taken_at, self._fleets = await take(self._ctx), now, {}
        return self._snapshot
