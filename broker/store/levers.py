"""What operators did with pools for a time: levers, and keys of the config; each change with its event."""

import json
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from broker.domain.ids import PoolName
from broker.domain.limits import Lever, LeverKind
from broker.domain.timed_override import TimedOverride
from broker.store.engine import Database
from broker.store.schema import history, pool_levers, timed_overrides


async def read_levers(connection: AsyncConnection) -> dict[PoolName, Lever]:
    """All levers, by pool; the time of one may be over."""
    rows = await connection.execute(select(pool_levers))
    levers = [Lever(**{**row._mapping, "kind": LeverKind(row.kind)}) for row in rows]
    return {lever.pool: lever for lever in levers}


class Levers:
    """The levers and timed overrides of one database. A pool has one lever at most, a key one override."""

    def __init__(self, database: Database) -> None:
        """Keeps nothing in memory."""
        self._database = database

    async def all(self) -> dict[PoolName, Lever]:
        """All that nobody has taken away, by pool; their time may be over."""
        return await self._database.read(read_levers)

    async def put(self, lever: Lever, event: str, message: str, actor: str) -> None:
        """Sets the lever of a pool in the place of the one that it has, with its event."""

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(delete(pool_levers).where(pool_levers.c.pool == lever.pool))
            await connection.execute(insert(pool_levers), [asdict(lever)])
            await _note(connection, event, lever.pool, message, actor, lever.since)

        await self._database.transaction(work)

    async def end(self, lever: Lever, message: str, actor: str, now: datetime) -> bool:
        """Takes a lever away, with its event; False, and nothing happens, if another one has taken its place."""

        async def work(connection: AsyncConnection) -> bool:
            this = (pool_levers.c.pool == lever.pool, pool_levers.c.since == lever.since)
            gone = await connection.execute(delete(pool_levers).where(*this, pool_levers.c.kind == lever.kind))
            if gone.rowcount:
                await _note(connection, "resumed", lever.pool, message, actor, now)
            return bool(gone.rowcount)

        return await self._database.transaction(work)

    async def overrides(self) -> list[TimedOverride]:
        """All that were not taken away, in the order of their keys; their time may be over."""

        async def work(connection: AsyncConnection) -> list[TimedOverride]:
            rows = await connection.execute(select(timed_overrides).order_by(timed_overrides.c.path))
            return [TimedOverride(**{**row._mapping, "path": tuple(json.loads(row.path))}) for row in rows]

        return await self._database.read(work)

    async def put_override(self, override: TimedOverride, message: str, actor: str) -> None:
        """Keeps an override in the place of the one that its key has, with its event."""

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(delete(timed_overrides).where(timed_overrides.c.path == _path(override)))
            await connection.execute(insert(timed_overrides), [{**asdict(override), "path": _path(override)}])
            await _note(connection, "set", PoolName(override.pool), message, actor, override.since)

        await self._database.transaction(work)

    async def end_override(self, override: TimedOverride, message: str, actor: str, now: datetime) -> None:
        """Takes an override away, with its event; one that is not there is no error."""

        async def work(connection: AsyncConnection) -> None:
            gone = await connection.execute(delete(timed_overrides).where(timed_overrides.c.path == _path(override)))
            if gone.rowcount:
                await _note(connection, "unset", PoolName(override.pool), message, actor, now)

        await self._database.transaction(work)


def _path(override: TimedOverride) -> str:
    return json.dumps(override.path)


async def _note(
    connection: AsyncConnection, event: str, pool: PoolName, message: str, actor: str, at: datetime
) -> None:
    row: dict[str, Any] = {"at": at, "controller": "", "name": "", "policy": "", "event": event, "attempt": 0}
    await connection.execute(insert(history), [{**row, "pool": pool, "message": message, "actor": actor}])
