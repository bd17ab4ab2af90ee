"""What a placement is decided against: what the database says is taken, and what this process has measured."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import BigInteger, ColumnElement, Select, and_, case, false, func, literal, or_, select, type_coerce
from sqlalchemy.ext.asyncio import AsyncConnection

from broker.domain.definitions import Definitions
from broker.domain.ids import ControllerName, PolicyName, PoolName
from broker.domain.lifecycle import Phase
from broker.domain.limits import Usage
from broker.domain.offer import Offering
from broker.domain.overrides import Override
from broker.domain.resources import Resources
from broker.store import cooldowns, limits
from broker.store.columns import to_moment
from broker.store.levers import read_levers
from broker.store.rows import Rows
from broker.store.schema import IS_LIVE, IS_WAITING, agents

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
    rows: Rows = field(default_factory=Rows)
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
    await _count(connection, usage, standing)
    return usage


async def _count(connection: AsyncConnection, usage: Usage, standing: Standing) -> None:
    """Counts the agents with a place by all that placement shares out, in one pass."""
    for row in await connection.execute(_counting(standing.asked)):
        controller, policy, pool, zone, kind, capacity, host, overrides, number, unseen = row
        usage.held[controller, policy] += number
        usage.of_pool[policy, pool] += number
        if zone:
            usage.of_zone[policy, pool, zone] += number
        if host:
            usage.of_host[policy, pool, host] += number
        if unseen:
            offering = Offering(pool, zone or "", kind or "", capacity or "")
            usage.unseen[offering, host or "", standing.size_of(policy, overrides)] += unseen


def _counting(asked: Mapping[PoolName, datetime]) -> Select[Any]:
    a = agents.c
    keys = (a.controller, a.policy, a.pool, a.zone, a.type, a.capacity, a.host, a.overrides)
    unseen = func.sum(case((_unseen(asked), 1), else_=0))
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
