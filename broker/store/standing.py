"""What a placement is decided against: what the database says is taken, and what this process has measured."""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import BigInteger, ColumnElement, Select, and_, case, false, func, literal, or_, select, type_coerce
from sqlalchemy.ext.asyncio import AsyncConnection

from broker.domain.definitions import Definitions
from broker.domain.host import HostInUse, HostRules
from broker.domain.ids import ControllerName, HostId, PolicyName, PoolName
from broker.domain.lifecycle import Phase
from broker.domain.limits import Scope, Usage
from broker.domain.offer import Offering
from broker.domain.overrides import Override
from broker.domain.resources import Resources
from broker.store import cooldowns, limits
from broker.store.columns import to_moment
from broker.store.hosts import HostRows
from broker.store.levers import read_levers
from broker.store.rows import Rows
from broker.store.schema import IS_LIVE, IS_WAITING, agents

_Taken = defaultdict[HostId, Counter[Resources]]

_STARTING: Final = (Phase.LAUNCHING, Phase.BOOTING, Phase.CONNECTING, Phase.ONLINE)


@dataclass(frozen=True, slots=True)
class Line:
    """Agents that wait for the same: the oldest speak for all. `job` where its policy has a limit by job."""

    controller: ControllerName
    policy: PolicyName
    job: str
    overrides: Override


@dataclass(slots=True, kw_only=True)
class Standing:
    """What is not in the database, or is here too so that it is not read again at each look."""

    medians: Mapping[PoolName, timedelta] = field(default_factory=dict)
    lives: Mapping[PolicyName, timedelta] = field(default_factory=dict)
    asked: Mapping[PoolName, datetime] = field(default_factory=dict)
    """When each pool's offers were asked for: they cannot know of what was placed since."""
    size_of: Callable[[PolicyName, Override], Resources] = lambda policy, overrides: Resources()
    by_job: frozenset[PolicyName] = frozenset()
    """The policies that limit the agents of a job."""
    budgeted: Definitions | None = None
    """Those whose budgets' rows say what is spent: of others nobody knows yet."""
    hosted: Mapping[PoolName, HostRules] = field(default_factory=dict)
    """The pools whose agents are on hosts of ours: what is free there is counted, whatever their backends know."""
    rows: Rows = field(default_factory=Rows)
    host_rows: HostRows = field(default_factory=HostRows)
    worded: dict[Line, tuple[str, datetime]] = field(default_factory=dict)
    """The words last written for the many of a line, and when."""


async def read_usage(connection: AsyncConnection, now: datetime, standing: Standing) -> Usage:
    """All that is taken, rests, or is held back now."""
    levers = await read_levers(connection)
    usage = Usage(
        now=now,
        used=await limits.read_used(connection),
        rests=await cooldowns.read_rests(connection, now),
        cooled=await cooldowns.read_cooled(connection, now),
        levers={pool: one for pool, one in levers.items() if one.until is None or one.until > now},
        medians=standing.medians,
        lives=standing.lives,
    )
    taken = await _count(connection, usage, standing)
    if standing.hosted:
        await _add_hosts(connection, usage, standing, taken)
    return usage


async def _count(connection: AsyncConnection, usage: Usage, standing: Standing) -> _Taken:
    """Counts the agents with a place by all that placement shares out, in one pass; answers what is on hosts of ours,
    each agent by the size that it was placed with."""
    taken, sizes = _Taken(Counter), dict[str, Resources]()
    for row in await connection.execute(_counting(standing)):
        controller, policy, pool, zone, kind, capacity, host, overrides, held, number, unseen = row
        usage.held[controller, policy] += number
        usage.of_pool[policy, pool] += number
        if zone:
            usage.of_zone[policy, pool, zone] += number
        if kind:
            usage.of_type[policy, pool, kind] += number
        if host:
            usage.of_host[policy, pool, host] += number
        if pool in standing.hosted:
            size = sizes.get(held)
            if size is None:
                size = sizes[held] = _size_held(held)
            taken[host][size] += number
        elif unseen:
            offering = Offering(pool, zone or "", kind or "", capacity or "")
            usage.unseen[offering, host or "", standing.size_of(policy, overrides)] += unseen
    return taken


async def _add_hosts(connection: AsyncConnection, usage: Usage, standing: Standing, taken: _Taken) -> None:
    found = defaultdict[PoolName, list[HostInUse]](list)
    for host in await standing.host_rows.living(connection):
        usage.living_hosts[host.pool] += 1
        if host.pool in standing.hosted:
            found[host.pool].append(HostInUse(host, taken[host.id]))
    usage.hosts = found


def _size_held(held: str) -> Resources:
    """What an agent has taken of its pool's limits is its size, whatever its template has become since."""
    of = {scope: amount for scope, _, amount in json.loads(held)} if held else {}
    return Resources(cpu_milli=of.get(Scope.POOL_CPU_MILLI, 0), memory_mib=of.get(Scope.POOL_MEMORY_MIB, 0))


def _counting(standing: Standing) -> Select[Any]:
    a, hosted = agents.c, sorted(standing.hosted)
    held = case((a.pool.in_(hosted), a.held), else_=literal("")) if hosted else literal("")
    keys = (a.controller, a.policy, a.pool, a.zone, a.type, a.capacity, a.host, a.overrides, held)
    unseen = func.sum(case((_unseen(standing.asked), 1), else_=0))
    with_place = and_(IS_LIVE, ~IS_WAITING, a.pool.is_not(None))
    return select(*keys, func.count(), unseen).where(with_place).group_by(*keys)


def _unseen(asked: Mapping[PoolName, datetime]) -> ColumnElement[bool]:
    """Whether the pool's offers cannot know of an agent yet: it has no instance, or got its place or that since."""
    if not asked:
        return false()
    a = agents.c
    times = {pool: literal(to_moment(at), BigInteger) for pool, at in asked.items()}
    since = case(times, value=a.pool, else_=literal(0, BigInteger))
    lately = or_(type_coerce(a.placed_at, BigInteger) >= since, type_coerce(a.phase_since, BigInteger) >= since)
    return and_(a.phase.in_(_STARTING), or_(a.instance.is_(None), lately))
