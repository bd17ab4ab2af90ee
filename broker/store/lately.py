"""How long agents took lately, as their rows say it: what a new process knows of that."""

from datetime import datetime
from typing import Any, Final

from sqlalchemy import Select, select, union_all
from sqlalchemy.ext.asyncio import AsyncConnection

from broker.domain.ids import PolicyName, PoolName
from broker.store.engine import Database
from broker.store.schema import IS_GONE, IS_LIVE, agents

_MOST: Final = 10_000
"""The newest, of all together."""


async def read_starts(database: Database, since: datetime) -> list[tuple[PoolName, datetime, datetime]]:
    """Pool, place and coming online of the agents that came online since then, the oldest first."""
    a = agents.c
    mine = (a.online_at >= since, a.placed_at.is_not(None), a.pool.is_not(None))
    columns = select(a.pool, a.placed_at, a.online_at.label("ended"))
    return await _read(database, columns.where(IS_LIVE, *mine), columns.where(IS_GONE, a.gone_at >= since, *mine))


async def read_lives(database: Database, since: datetime) -> list[tuple[PolicyName, datetime, datetime]]:
    """Policy, place and end of the agents that were online and ended since then, the oldest end first."""
    a = agents.c
    mine = (IS_GONE, a.gone_at >= since, a.placed_at.is_not(None), a.online_at.is_not(None))
    return await _read(database, select(a.policy, a.placed_at, a.gone_at.label("ended")).where(*mine))


async def _read(database: Database, *queries: Select[Any]) -> list[Any]:
    found = union_all(*queries).subquery()
    newest = select(found).order_by(found.c.ended.desc()).limit(_MOST)

    async def work(connection: AsyncConnection) -> list[Any]:
        return [tuple(row) for row in await connection.execute(newest)][::-1]

    return await database.read(work)
