"""The breaker of each pool, and what is out of stock, as rows: a restart does not hammer what always fails.

They are kept by the wall clock. A rest that began ahead of it, since the clock was set back, is not believed.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Row, and_, delete, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from broker.domain.agent import Agent
from broker.domain.ids import AgentId, PoolName
from broker.domain.limits import Cooled, Rest
from broker.domain.offer import Offering
from broker.domain.pool import Cooldown, Pool
from broker.domain.reason import Reason
from broker.store.engine import Database
from broker.store.schema import cooldowns, offering_rests

LONGEST_REST: Final = timedelta(minutes=10)
"""A pool that fails its trial again rests twice as long, up to this, or to what its own rule says: once it is mended it
is not to stand idle."""
CLOCK_STEP: Final = timedelta(minutes=1)
"""So far a clock may be set back without anything being forgotten."""


@dataclass(slots=True, kw_only=True)
class Failure:
    """What an attempt that came to nothing says of its pool: to be written with the change of its agent.

    `times` failures for the breaker, none where they say nothing of the pool as a whole; `lacks` are out of stock.
    """

    agent: AgentId
    pool: Pool
    why: Reason
    message: str
    at: datetime
    times: int = 1
    lacks: tuple[Offering, ...] = ()
    rest: Rest | None = None
    """The breaker as this left it, once it is written."""
    rests_until: datetime | None = None
    """Until when the pool rests, if this has opened its breaker, once it is written."""

    @property
    def cooled_until(self) -> datetime:
        """When what is out of stock may be tried again."""
        return self.at + self.pool.cooldown.out_of_stock

    async def write(self, connection: AsyncConnection) -> None:
        """Before the agent's own row changes: which agent tries the pool is still to be seen."""
        if self.times:
            self.rest, opened = await _count(connection, self)
            self.rests_until = self.rest.until if opened else None
        if self.lacks:
            await _cool(connection, self)


class Cooldowns:
    """The breakers of all pools, and the offerings that are out of stock."""

    def __init__(self, database: Database) -> None:
        """Knows nothing yet; all of it is in the database."""
        self._database = database
        self._failing: dict[PoolName, datetime] = {}
        self._is_read = False

    async def read(self, now: datetime) -> dict[PoolName, Rest]:
        """The pools that have failed lately."""
        return await self._database.read(lambda connection: read_rests(connection, now))

    async def cooled(self, now: datetime) -> dict[Offering, Cooled]:
        """What is out of stock."""
        return await self._database.read(lambda connection: read_cooled(connection, now))

    async def release(self, agent_id: AgentId) -> None:
        """Lets another agent than this one try its pool."""
        await self._database.transaction(lambda connection: clear_probe(connection, agent_id))

    def written(self, failure: Failure) -> None:
        """Hears of a failure whose transaction has committed."""
        if failure.rest is not None:
            self._failing[failure.pool.name] = failure.rest.since or failure.at

    async def succeeded(self, agent: Agent, now: datetime) -> bool:
        """Closes the breaker of its pool, if the agent came online after the failures; tells whether it was open.

        Cheap where there were none, so that it may be told again and again.
        """
        if agent.pool is None or agent.online_at is None:
            return False
        if not self._is_read:  # what was written meanwhile is newer
            read = {row.pool: row.window_start for row in await self._database.read(_rows)}
            self._failing, self._is_read = read | self._failing, True
        since = self._failing.get(agent.pool)
        if since is None or agent.online_at < since <= now + CLOCK_STEP:
            return False
        pool, began = agent.pool, cooldowns.c.window_start
        these = (cooldowns.c.pool == pool, or_(began <= agent.online_at, began > now + CLOCK_STEP))

        async def work(connection: AsyncConnection) -> bool:
            opened = (await connection.execute(select(cooldowns.c.opened).where(*these))).scalar()
            await connection.execute(delete(cooldowns).where(*these))
            return bool(opened)

        opened = await self._database.transaction(work)
        if self._failing.get(pool) == since:  # else the pool has failed anew meanwhile
            del self._failing[pool]
        return opened


def is_in_force(since: datetime, until: datetime, now: datetime) -> bool:
    """Whether something that began then and lasts until then lasts now, by a clock that may have been set back."""
    return since <= now + CLOCK_STEP and now < until


def longest_rest(rule: Cooldown) -> timedelta:
    """What doubling comes to."""
    return max(LONGEST_REST, rule.rest)


async def read_rests(connection: AsyncConnection, now: datetime) -> dict[PoolName, Rest]:
    """The breakers within a transaction. A rest that is not believed is over."""
    return {row.pool: _rest(row, now) for row in await _rows(connection)}


async def read_cooled(connection: AsyncConnection, now: datetime) -> dict[Offering, Cooled]:
    """What is out of stock now, within a transaction."""
    return {
        Offering(row.pool, row.zone, row.type, row.capacity): Cooled(
            until=row.until, why=Reason(row.why), message=row.message
        )
        for row in await connection.execute(select(offering_rests))
        if is_in_force(row.since, row.until, now)
    }


async def set_probe(connection: AsyncConnection, pool: PoolName, agent_id: AgentId) -> None:
    """Makes an agent the one that tries a resting pool; nothing happens if the pool's breaker is closed."""
    clause = (cooldowns.c.pool == pool, cooldowns.c.opened > 0)
    await connection.execute(update(cooldowns).where(*clause).values(probe=agent_id))


async def clear_probe(connection: AsyncConnection, agent_id: AgentId) -> None:
    """The agent no longer tries anything: another one may."""
    await connection.execute(update(cooldowns).where(cooldowns.c.probe == agent_id).values(probe=None))


async def _rows(connection: AsyncConnection) -> Iterable[Row[Any]]:
    return (await connection.execute(select(cooldowns))).all()


def _rest(row: Row[Any], now: datetime) -> Rest:
    until = row.until
    if until is not None and not is_in_force(row.window_start, until, now):
        until = min(until, now)
    why = Reason(row.why) if row.why else None
    return Rest(opened=row.opened, until=until, probe=row.probe, why=why, message=row.message, since=row.window_start)


async def _count(connection: AsyncConnection, failure: Failure) -> tuple[Rest, bool]:
    """Counts failures of an agent; returns the breaker, and whether this has opened it.

    Of an open breaker only the agent that tries the pool says anything: another's launch is from before.
    """
    rule, this = failure.pool.cooldown, cooldowns.c.pool == failure.pool.name
    row = (await connection.execute(select(cooldowns).where(this))).one_or_none()
    if row is not None and row.opened and row.probe != failure.agent:
        return _rest(row, failure.at), False
    failures, opened, start, until = failure.times, 0, failure.at, None
    if row is not None:
        opened = row.opened
        if -CLOCK_STEP <= failure.at - row.window_start <= rule.within:
            failures, start = row.failures + failure.times, row.window_start
    opens = opened > 0 or failures >= rule.after_failures
    if opens:
        start, until = failure.at, failure.at + min(rule.rest * 2 ** min(opened, 16), longest_rest(rule))
        opened, failures = opened + 1, 0
    values = {"window_start": start, "failures": failures, "opened": opened, "until": until, "probe": None}
    values |= {"why": failure.why, "message": failure.message}
    if row is None:
        await connection.execute(insert(cooldowns).values(pool=failure.pool.name, **values))
    else:
        await connection.execute(update(cooldowns).where(this).values(**values))
    rest = Rest(opened=opened, until=until, probe=None, why=failure.why, message=failure.message, since=start)
    return rest, opens


async def _cool(connection: AsyncConnection, failure: Failure) -> None:
    """What is over goes with it, so that the rows are no more than what is out of stock."""
    rows = [
        {"pool": of.pool, "zone": of.zone, "type": of.type, "capacity": of.capacity}
        for of in dict.fromkeys(failure.lacks)
    ]
    r = offering_rests.c
    these = [and_(*(r[name] == value for name, value in row.items())) for row in rows]
    await connection.execute(delete(offering_rests).where(or_(r.until <= failure.at, *these)))
    said = {"since": failure.at, "until": failure.cooled_until, "why": failure.why, "message": failure.message}
    await connection.execute(insert(offering_rests), [row | said for row in rows])
