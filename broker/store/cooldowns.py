"""The breaker of each pool as a row, so that a restart does not hammer a pool that always fails."""

from datetime import datetime
from typing import Final

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from broker.domain.agent import Agent
from broker.domain.ids import AgentId, PoolName
from broker.domain.limits import Rest
from broker.domain.pool import Pool
from broker.domain.reason import Reason
from broker.store.engine import Database
from broker.store.schema import cooldowns

_LONGEST_DOUBLING: Final = 4
"""A pool that fails its trial again rests twice as long, up to this many times."""


class Cooldowns:
    """The breakers of all pools."""

    def __init__(self, database: Database) -> None:
        """Keeps nothing in memory."""
        self._database = database

    async def read(self) -> dict[PoolName, Rest]:
        """The pools that have failed lately."""
        return await self._database.read(read_rests)

    async def failed(self, agent: Agent, pool: Pool, why: Reason, message: str, now: datetime, times: int = 1) -> Rest:
        """Counts what has failed of an agent, so many times; returns the breaker, which this may have opened.

        Of an open breaker only the agent that tries the pool says anything: another's launch is from before.
        """

        async def work(connection: AsyncConnection) -> Rest:
            rule, this = pool.cooldown, cooldowns.c.pool == pool.name
            row = (await connection.execute(select(cooldowns).where(this))).one_or_none()
            failures, opened, start, until, probe = times, 0, now, None, None
            if row is not None:
                opened, until, probe = row.opened, row.until, row.probe
                if now - row.window_start <= rule.within:
                    failures, start = row.failures + times, row.window_start
            if (opened and probe == agent.id) or (not opened and failures >= rule.after_failures):
                until = now + rule.rest * 2 ** min(opened, _LONGEST_DOUBLING)
                opened, failures, probe = opened + 1, 0, None
            values = {"window_start": start, "failures": failures, "opened": opened, "until": until}
            values |= {"probe": probe, "why": why, "message": message}
            if row is None:
                await connection.execute(insert(cooldowns).values(pool=pool.name, **values))
            else:
                await connection.execute(update(cooldowns).where(this).values(**values))
            return Rest(opened=opened, until=until, probe=probe, why=why, message=message)

        return await self._database.transaction(work)

    async def succeeded(self, pool: PoolName) -> bool:
        """Closes the breaker; tells whether it was open."""

        async def work(connection: AsyncConnection) -> bool:
            opened = (await connection.execute(select(cooldowns.c.opened).where(cooldowns.c.pool == pool))).scalar()
            await connection.execute(delete(cooldowns).where(cooldowns.c.pool == pool))
            return bool(opened)

        return await self._database.transaction(work)


async def read_rests(connection: AsyncConnection) -> dict[PoolName, Rest]:
    """The breakers within a transaction."""
    rows = await connection.execute(select(cooldowns))
    return {
        row.pool: Rest(
            opened=row.opened,
            until=row.until,
            probe=row.probe,
            why=Reason(row.why) if row.why else None,
            message=row.message,
        )
        for row in rows
    }


async def set_probe(connection: AsyncConnection, pool: PoolName, agent_id: AgentId) -> None:
    """Makes an agent the one that tries a resting pool; nothing happens if the pool's breaker is closed."""
    clause = (cooldowns.c.pool == pool, cooldowns.c.opened > 0)
    await connection.execute(update(cooldowns).where(*clause).values(probe=agent_id))


async def clear_probe(connection: AsyncConnection, agent_id: AgentId) -> None:
    """The agent no longer tries anything: another one may."""
    await connection.execute(update(cooldowns).where(cooldowns.c.probe == agent_id).values(probe=None))
