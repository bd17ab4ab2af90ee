"""Money in rows: what agents have cost, by day, and how much of each budget is spent or set aside.

All agents are charged up to one moment, `charged_to`; an agent's own row says only its rate and since when it costs.
So a charge writes a few sums, however many agents there are, and what an agent has cost follows from its row.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    case,
    delete,
    func,
    insert,
    literal,
    literal_column,
    select,
    type_coerce,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from broker.domain.agent import Agent
from broker.domain.ids import AgentId, InstanceRef, PolicyName
from broker.domain.lifecycle import Phase
from broker.domain.limits import Scope, budget_key
from broker.domain.money import Budget, Micros, Per, bounds, by_period, cost, day_of, period
from broker.domain.reason import Reason
from broker.store.columns import Moment
from broker.store.engine import Database, read_meta, write_meta
from broker.store.schema import IS_LIVE, IS_WAITING, agents, limits, spend

_CHARGED_TO: Final = "charged_to"
_LONGEST_GAP: Final = timedelta(minutes=1)
"""Charges are seconds apart. What ends later than this after the last one ended while nobody looked, or the clock was
set: it is charged for no more than this."""
_KEPT: Final = timedelta(days=62)
_TO_COME: Final = frozenset({"deadline", "not_before"})

Sums = Mapping[tuple[str, str, str], int]
"""(policy, pool, day) → millionths."""


class _Costing(NamedTuple):
    """So many equal agents, which cost since then, or since the last charge."""

    policy: str
    pool: str
    rate: Micros
    since: datetime
    agents: int


class _Member(NamedTuple):
    """An agent of a policy with a budget. `since` None: its launch is not accepted yet."""

    rate: Micros
    since: datetime | None
    set_aside: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a budget stands in its present period. `used` is what is spent or set aside."""

    period: str
    until: datetime
    spent: Micros
    used: Micros
    refuses: bool
    """Whether an agent waits because of it."""


class Spending:
    """The money of one database."""

    def __init__(self, database: Database) -> None:
        """Keeps nothing in memory."""
        self._database = database

    async def charged_to(self) -> datetime | None:
        """Up to when all that costs is in the sums; None before the first charge."""
        return await self._database.read(_charged_to)

    async def charge(
        self, budgets: Mapping[PolicyName, Budget], now: datetime, *, book: bool = True
    ) -> dict[PolicyName, Standing]:
        """Charges all that costs up to now and makes the rows of budgets true; all or nothing.

        Without `book` nothing is charged: budgets count it as set aside. One that is new counts what was spent before.
        """

        async def work(connection: AsyncConnection) -> dict[PolicyName, Standing]:
            passed = _by_day(await _costing(connection, await _charged_to(connection)), now)
            if book:
                await _add(connection, passed)
                await write_meta(connection, _CHARGED_TO, now.isoformat())
                await connection.execute(delete(spend).where(spend.c.period < day_of(now - _KEPT)))
            return await _write_budgets(connection, budgets, {} if book else passed, now)

        return await self._database.transaction(work)

    async def shift(self, by: timedelta, but: tuple[datetime, datetime] | None = None) -> None:
        """The clock was set: all that counts from a moment, or until one, counts the same in the new time.

        So are the charges, and all moments of living agents: no deadline comes sooner or later. What was written
        between the moments of `but` is in the new time already.
        """
        by_us = by // timedelta(microseconds=1)

        async def work(connection: AsyncConnection) -> None:
            charged_to = await _charged_to(connection)
            if charged_to is not None:
                await write_meta(connection, _CHARGED_TO, (charged_to + by).isoformat())
            moved = {c.name: _moved(c, by_us, but) for c in agents.c if isinstance(c.type, Moment)}
            await connection.execute(update(agents).where(IS_LIVE).values(**moved, version=agents.c.version + 1))

        await self._database.transaction(work)

    async def sums(self, since: str) -> Sums:
        """What was spent on that day and later."""
        query = select(spend).where(spend.c.period >= since)
        async with self._database.reading() as connection:
            return {(row.policy, row.pool, row.period): row.micros for row in await connection.execute(query)}

    async def costing(self) -> list[tuple[AgentId, InstanceRef | None]]:
        """Every agent that costs something now, with its instance."""
        query = select(agents.c.id, agents.c.instance).where(IS_LIVE, agents.c.costs_since.is_not(None))
        async with self._database.reading() as connection:
            return [(row.id, row.instance) for row in await connection.execute(query)]


def _moved(column: Column[Any], by_us: int, but: tuple[datetime, datetime] | None) -> ColumnElement[Any]:
    """A moment in the new time; one that may be to come is as new as its agent's phase."""
    moved = type_coerce(column, BigInteger) + by_us
    if but is not None:
        written = agents.c.phase_since if column.name in _TO_COME else column
        moved = case((written.between(*but), type_coerce(column, BigInteger)), else_=moved)
    return type_coerce(moved, Moment)


def begun(before: Agent, after: Agent) -> Agent:
    """`after` with the moment since which it costs: when its launch is accepted; anew with each attempt."""
    if after.phase == Phase.REQUESTED and before.phase != Phase.REQUESTED:
        return replace(after, costs_since=None)
    accepted = after.instance is not None and after.phase not in (before.phase, Phase.GONE)
    if after.rate is not None and after.costs_since is None and accepted:
        return replace(after, costs_since=after.phase_since)
    return after


async def settle(connection: AsyncConnection, agent: Agent, ended: datetime) -> None:
    """Charges for the rest of an attempt of which nothing is left. What it had set aside is given back already."""
    if agent.rate is None or agent.costs_since is None:
        return
    rate, since, held = Micros(agent.rate), agent.costs_since, _set_aside(agent.held)
    charged_to = max(since, await _charged_to(connection) or since)
    until = min(max(ended, charged_to), charged_to + _LONGEST_GAP)
    await _add(connection, _by_day([_Costing(agent.policy, agent.pool or "", rate, charged_to, 1)], until))
    for key in await _budget_keys(connection, agent.policy):
        start, end = bounds(key.rpartition("|")[2])
        before = cost(rate, max(since, start), min(charged_to, end))
        rest = cost(rate, max(charged_to, start), min(until, end))
        row = (limits.c.scope == Scope.POLICY_BUDGET, limits.c.key == key)
        taken = limits.c.used + min(held.get(key, 0), before) + rest
        await connection.execute(update(limits).where(*row).values(used=taken))


async def _budget_keys(connection: AsyncConnection, policy: PolicyName) -> list[str]:
    return [key for key in await _all_budget_keys(connection) if key.startswith(budget_key(policy, ""))]


async def _charged_to(connection: AsyncConnection) -> datetime | None:
    noted = await read_meta(connection, _CHARGED_TO)
    return datetime.fromisoformat(noted) if noted else None


async def _costing(connection: AsyncConnection, charged_to: datetime | None) -> list[_Costing]:
    """All that costs: what was charged before counts since then, and together."""
    c = agents.c
    since = type_coerce(c.costs_since, Moment)
    if charged_to is not None:
        mark = literal(charged_to, Moment)
        since = type_coerce(case((c.costs_since < mark, mark), else_=c.costs_since), Moment)
    query = select(c.policy, c.pool, c.rate, since.label("counted_since"), func.count()).where(
        IS_LIVE, c.rate.is_not(None), c.costs_since.is_not(None)
    )
    grouped = query.group_by(c.policy, c.pool, c.rate, literal_column("counted_since"))
    return [_Costing(*row) for row in await connection.execute(grouped)]


def _by_day(costing: Iterable[_Costing], now: datetime) -> Counter[tuple[str, str, str]]:
    """What has come together since the last charge."""
    sums: Counter[tuple[str, str, str]] = Counter()
    for one in costing:
        for day, micros in by_period(one.rate, one.since, now, Per.DAY):
            sums[one.policy, one.pool, day] += micros * one.agents
    return sums


async def _add(connection: AsyncConnection, sums: Sums) -> None:
    for (policy, pool, day), micros in sums.items():
        if not micros:
            continue
        row = (spend.c.policy == policy, spend.c.pool == pool, spend.c.period == day)
        more = update(spend).where(*row).values(micros=spend.c.micros + micros)
        if not (await connection.execute(more)).rowcount:
            await connection.execute(insert(spend).values(policy=policy, pool=pool, period=day, micros=micros))


async def _write_budgets(
    connection: AsyncConnection,
    budgets: Mapping[PolicyName, Budget],
    unbooked: Sums,
    now: datetime,
) -> dict[PolicyName, Standing]:
    """Writes the rows of this period and of the next; those of others are of no more use."""
    waiting = await _refused(connection) if budgets else frozenset[str]()
    standings, written = dict[PolicyName, Standing](), set[str]()
    for policy, budget in budgets.items():
        key, until = period(now, budget.per)
        members = await _members(connection, policy)
        not_yet = sum(m for (who, _, day), m in unbooked.items() if who == policy and _within(day, key))
        spent = await _spent(connection, policy, key)
        used = spent + not_yet + _still_set_aside(members, policy, key, now)
        following = period(until, budget.per)[0]
        ahead = _still_set_aside(members, policy, following, now)
        for row_key, amount in ((key, used), (following, ahead)):
            await _write_row(connection, budget_key(policy, row_key), amount, budget)
            written.add(budget_key(policy, row_key))
        standings[policy] = Standing(
            period=key, until=until, spent=Micros(spent), used=Micros(used), refuses=policy in waiting
        )
    others = [key for key in await _all_budget_keys(connection) if key not in written]
    await connection.execute(delete(limits).where(limits.c.scope == Scope.POLICY_BUDGET, limits.c.key.in_(others)))
    return standings


async def _members(connection: AsyncConnection, policy: PolicyName) -> list[_Member]:
    c = agents.c
    query = select(c.rate, c.costs_since, c.held).where(IS_LIVE, c.policy == policy, c.rate.is_not(None))
    return [_Member(rate, since, _set_aside(held)) for rate, since, held in await connection.execute(query)]


def _still_set_aside(members: Iterable[_Member], policy: PolicyName, period_key: str, now: datetime) -> int:
    """What agents may still cost in a period of what was set aside for them when they were placed."""
    start, end = bounds(period_key)
    row_key, total = budget_key(policy, period_key), 0
    for one in members:
        amount = one.set_aside.get(row_key, 0)
        if amount and one.since is not None and start < now:
            amount -= cost(one.rate, max(one.since, start), min(now, end))
        total += max(0, amount)
    return total


def _set_aside(held: str | None) -> dict[str, int]:
    """The budget's part of what an agent holds: key of the limit → millionths."""
    if not held or Scope.POLICY_BUDGET not in held:
        return {}
    return {key: amount for scope, key, amount in json.loads(held) if scope == Scope.POLICY_BUDGET}


def _within(day: str, period_key: str) -> bool:
    start, end = bounds(period_key)
    return start <= bounds(day)[0] < end


async def _spent(connection: AsyncConnection, policy: PolicyName, period_key: str) -> int:
    start, end = bounds(period_key)
    days = (spend.c.period >= day_of(start), spend.c.period < day_of(end))
    total = await connection.execute(select(func.sum(spend.c.micros)).where(spend.c.policy == policy, *days))
    return int(total.scalar() or 0)


async def _refused(connection: AsyncConnection) -> frozenset[str]:
    """The policies of which an agent waits for money."""
    query = select(agents.c.policy).where(IS_WAITING, agents.c.why == Reason.BUDGET_EXCEEDED).distinct()
    return frozenset((await connection.execute(query)).scalars())


async def _write_row(connection: AsyncConnection, key: str, used: int, budget: Budget) -> None:
    row = (limits.c.scope == Scope.POLICY_BUDGET, limits.c.key == key)
    values = {"used": used, "cap": budget.amount if budget.pause else None}
    if not (await connection.execute(update(limits).where(*row).values(**values))).rowcount:
        await connection.execute(insert(limits).values(scope=Scope.POLICY_BUDGET, key=key, **values))


async def _all_budget_keys(connection: AsyncConnection) -> list[str]:
    return list((await connection.execute(select(limits.c.key).where(limits.c.scope == Scope.POLICY_BUDGET))).scalars())
