"""PostgreSQL behind the store: the same statements, one broker, and a fence against a second one (design D9).

Two things keep it alone. A session-level advisory lock, on a connection of its own, refuses a second broker at its
start. And every transaction that writes first locks one row and compares the token in it with its own: a broker whose
lock was lost, and taken by another one, can commit nothing any more, whatever it believes. Since all writers lock that
row, they commit one after the other, and the numbers of the history rise in the order of the commits.
"""

import asyncio
import secrets
from typing import Any, Final
from urllib.parse import urlsplit

import asyncpg
from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from broker.config.settings import DatabaseSettings
from broker.errors import StoreLost, StoreUnavailable
from broker.store import schema
from broker.store.backing import Backing

_LOCK: Final = 0x6167656E7462726B
"""The advisory lock's key: "agentbrk". Such locks are of one database."""
_OWNER: Final = "owner"
_CONNECT_S: Final = 10.0
_COMMAND_S: Final = 30.0
_HANDOVER_S: Final = 2.0
"""How long the server may take to notice that the broker before this one is dead."""
_SESSION: Final = {
    "application_name": "agentbroker",
    "lock_timeout": "15s",
    "idle_in_transaction_session_timeout": "60s",
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
}


async def postgres_backing(settings: DatabaseSettings) -> Backing:
    """The engine of a database that this process owns. `StoreUnavailable`: nobody answers, or another one owns it."""
    door = _Door(settings)
    owner = _Owner(door)
    await owner.acquire()
    engine = create_async_engine("postgresql+asyncpg://", async_creator=door.connect, pool_pre_ping=True)

    async def close() -> None:
        await engine.dispose()
        await owner.release()

    return Backing(
        reader=engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True),
        writer=engine,
        place=door.place,
        fix="the broker must be able to make tables in this database",
        admit=owner.admit,
        keep_copy=_keep_no_copy,
        take=owner.take,
        close=close,
        abandon=close,
    )


async def _keep_no_copy(_version: int) -> None:
    """A server's backups are the business of who runs it; the upgrade itself is one transaction."""


class _Door:
    """Makes connections; the password is read anew for each, so that it may be changed."""

    def __init__(self, settings: DatabaseSettings) -> None:
        self._settings = settings
        parts = urlsplit(settings.url)
        self.place = f"{parts.scheme}://{parts.netloc.rpartition('@')[2] or 'local'}{parts.path}"

    async def connect(self, **_unused: object) -> Any:
        file = self._settings.password_file
        try:
            password = (await asyncio.to_thread(file.read_text)).strip() if file else None
        except OSError as error:
            raise StoreUnavailable(f"server.database.password_file: {file}: {error.strerror}") from error
        try:
            return await asyncpg.connect(
                self._settings.url,
                password=password,
                timeout=_CONNECT_S,
                command_timeout=_COMMAND_S,
                server_settings=_SESSION,
            )
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
            words = str(error) or f"no answer in {_CONNECT_S:.0f} s"
            raise StoreUnavailable(f"{self.place}: {words}; see server.database in the config") from error


class _Owner:
    """The right to write, which one broker has at a time."""

    def __init__(self, door: _Door) -> None:
        self._door = door
        self._token = secrets.token_hex(8)
        self._connection: Any = None

    async def acquire(self) -> None:
        """Takes the lock on a connection of its own, which keeps it as long as it lives."""
        connection = await self._door.connect()
        try:
            async with asyncio.timeout(_HANDOVER_S):
                await connection.fetchval("SELECT pg_advisory_lock($1)", _LOCK)
        except (TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
            connection.terminate()
            raise StoreUnavailable(
                f"{self._door.place}: another agentbroker runs on it; stop that one, or name another database"
            ) from error
        except BaseException:
            connection.terminate()
            raise
        self._connection = connection

    async def take(self, connection: AsyncConnection) -> None:
        """Makes the database this process's: what an earlier owner has not committed yet, it never will."""
        same = schema.meta.c.key == _OWNER
        if not (await connection.execute(update(schema.meta).where(same).values(value=self._token))).rowcount:
            await connection.execute(insert(schema.meta).values(key=_OWNER, value=self._token))

    async def admit(self, connection: AsyncConnection) -> None:
        """Lets a transaction write: the lock is ours, and nobody has had it in between."""
        query = select(schema.meta.c.value).where(schema.meta.c.key == _OWNER).with_for_update()
        if (await connection.execute(query)).scalar() != self._token:
            raise StoreLost(f"{self._door.place}: another agentbroker has taken it over; this one must end")
        if self._connection is None or self._connection.is_closed():
            await self.acquire()

    async def release(self) -> None:
        """Gives the lock back."""
        if self._connection is not None:
            try:
                await self._connection.close(timeout=_HANDOVER_S)
            except (TimeoutError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                self._connection.terminate()
