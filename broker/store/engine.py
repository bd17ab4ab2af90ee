"""The database: opening it, one writer, and transactions that cancellation cannot cut in half (design D9, D10)."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from broker.config.settings import DatabaseSettings, ServerSettings
from broker.errors import StoreUnavailable
from broker.store import schema
from broker.store.backing import FAULTS, Backing, again, is_bug, words
from broker.store.migrate import bring_up, read_standing
from broker.store.sqlite import sole_owner, sqlite_backing
from broker.telemetry.metrics import Metrics

T = TypeVar("T")

Work = Callable[[AsyncConnection], Awaitable[None]]
"""What is written within somebody's transaction."""

_REPEATS: Final = 5
"""How often a transaction that the engine rolled back for the sake of another one is tried again."""
_FIRST_PAUSE_S: Final = 0.02
_SPARED_S: Final = 1.0
"""After a failure that took as long or longer, everybody is told the same for so long, without another try."""


class Database:
    """One database. Reads run beside one another; writes run one at a time, in the order in which they came."""

    def __init__(self, backing: Backing, installation: str, metrics: Metrics) -> None:
        """Use `open_database`."""
        self._backing = backing
        self._writing = asyncio.Lock()
        self._running: set[asyncio.Task[Any]] = set()
        self._metrics = metrics
        self._committed = asyncio.Event()
        self._spared_until = 0.0
        self.failing: str | None = None
        """Why the last transaction could not be written; None while all is well."""
        self.installation = installation
        """Random id of this database, made with it: part of the ownership of everything the broker makes."""

    async def read(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """Runs `work` on a connection that sees one consistent state, and returns its value.

        Cancelling the caller does not stop it: a connection whose query is cut is lost, its thread was seen to stay.
        `StoreUnavailable`: the database cannot be read.
        """

        async def run() -> T:
            async with self.reading() as connection:
                return await work(connection)

        return await self._outliving(run(), "store:read")

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """As `read`, for callers that are never cancelled."""
        try:
            async with self._backing.reader.connect() as connection:
                yield connection
        except FAULTS as error:
            raise StoreUnavailable(f"the database cannot be read: {words(error)}") from error

    async def transaction(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """Runs `work` in one transaction, commits, and returns its value.

        Cancelling the caller does not stop it: the transaction ends by itself, as if the caller had waited. An error
        of `work` rolls back and is raised. `work` may be called again, after a rollback. `StoreUnavailable`: it cannot
        be written; where the connection broke during the commit, it may have been. `StoreLost`: nor ever again.
        """
        return await self._outliving(self._transact(work), "store:transaction")

    async def recall(self, key: str) -> str | None:
        """What was remembered under a key."""
        return await self.read(lambda connection: read_meta(connection, key))

    async def remember(self, key: str, value: str) -> None:
        """Keeps one value of this database as a whole."""
        await self.transaction(lambda connection: write_meta(connection, key, value))

    def next_commit(self) -> asyncio.Event:
        """Set when the next transaction of this process has committed. Taken before a read, it misses nothing."""
        return self._committed

    async def close(self) -> None:
        """Waits for what runs, then lets go of the database."""
        if self._running:
            await asyncio.wait(self._running)
        await self._backing.close()

    async def _outliving(self, work: Coroutine[Any, Any, T], name: str) -> T:
        task = asyncio.create_task(work, name=name)  # noqa: TID251 - outlives its caller
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return await asyncio.shield(task)

    async def _transact(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        async with self._writing:
            started = asyncio.get_running_loop().time()
            if self.failing is not None and started < self._spared_until:
                raise StoreUnavailable(self.failing)  # many who wait need not all wait as long as the first
            try:
                result = await self._repeated(work)
            except FAULTS as error:
                text = f"the database cannot be written: {words(error)}"
                if not is_bug(error):
                    self._note_failure(text, started)
                raise StoreUnavailable(text) from error
            except StoreUnavailable as error:
                self._note_failure(str(error), started)
                raise
            self.failing = None
            self._metrics.state_written(asyncio.get_running_loop().time() - started)
            self._committed.set()
            self._committed = asyncio.Event()
            return result

    async def _repeated(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        for repeats in range(_REPEATS):
            try:
                return await self._once(work)
            except FAULTS as error:
                if not again(error):
                    raise
            await asyncio.sleep(_FIRST_PAUSE_S * 2**repeats * (1 + random.random()))  # noqa: S311 - spreads load
        return await self._once(work)

    async def _once(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        async with self._backing.writer.begin() as connection:
            await self._backing.admit(connection)
            return await work(connection)

    def _note_failure(self, text: str, started: float) -> None:
        now = asyncio.get_running_loop().time()
        self.failing = text
        if now - started >= _SPARED_S:
            self._spared_until = now + _SPARED_S


@asynccontextmanager
async def open_store(server: ServerSettings, metrics: Metrics) -> AsyncIterator[Database]:
    """The database that the config names, for this process alone, until the block ends.

    Raises `StoreUnavailable` as `open_database` does, and when another broker runs on the same state.
    """
    with sole_owner(server.state_dir):
        database = await open_database(server.database or server.state_dir / "broker.db", metrics)
        try:
            yield database
        finally:
            await database.close()


async def open_database(where: Path | DatabaseSettings, metrics: Metrics) -> Database:
    """Opens the SQLite file or the PostgreSQL database; makes its tables, or upgrades them.

    Raises `StoreUnavailable` with place and fix: a directory that cannot be written, a file that is no database, a
    database of a newer version, one that another broker uses.
    """
    backing = sqlite_backing(where) if isinstance(where, Path) else await _postgres_backing(where)
    try:
        return Database(backing, await _prepare(backing), metrics)
    except FAULTS as error:
        await backing.abandon()
        raise StoreUnavailable(f"{backing.place}: {words(error)}; {backing.fix}") from error
    except BaseException:
        await backing.abandon()
        raise


async def _postgres_backing(settings: DatabaseSettings) -> Backing:
    try:
        from broker.store.postgres import postgres_backing  # noqa: PLC0415 - its driver is an extra
    except ImportError as error:
        raise StoreUnavailable(
            "server.database.url: PostgreSQL needs a driver that is not installed; "
            "run: pip install 'jenkins-agentbroker[postgres]'"
        ) from error
    return await postgres_backing(settings)


async def _prepare(backing: Backing) -> str:
    async with backing.writer.begin() as connection:
        standing = await connection.run_sync(read_standing, backing.place)
    if 0 < standing.version < schema.SCHEMA_VERSION:
        await backing.keep_copy(standing.version)
    async with backing.writer.begin() as connection:
        standing = await connection.run_sync(read_standing, backing.place)
        installation = await connection.run_sync(bring_up, standing, backing.place)
        await backing.take(connection)
    return installation


async def write_meta(connection: AsyncConnection, key: str, value: str) -> None:
    """Sets one value of the `meta` table."""
    same = schema.meta.c.key == key
    if not (await connection.execute(update(schema.meta).where(same).values(value=value))).rowcount:
        await connection.execute(insert(schema.meta).values(key=key, value=value))


async def read_meta(connection: AsyncConnection, key: str) -> str | None:
    """One value of the `meta` table."""
    return (await connection.execute(select(schema.meta.c.value).where(schema.meta.c.key == key))).scalar()
