"""The database: opening it, one writer, and transactions that cancellation cannot cut in half (design D9, D10)."""

import asyncio
import fcntl
import secrets
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from collections.abc import Set as AbstractSet
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

from sqlalchemy import event, insert, inspect, select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from broker.errors import StoreUnavailable
from broker.store import schema
from broker.telemetry.metrics import Metrics

T = TypeVar("T")

_WRITER: Final = "agentbroker_writer"
_BUSY_TIMEOUT_MS: Final = 5_000
_THREAD_END_S: Final = 1.0


class Database:
    """One SQLite file. Reads run beside one another; writes run one at a time, in the order in which they came."""

    def __init__(self, engine: AsyncEngine, installation: str, metrics: Metrics) -> None:
        """Use `open_database`."""
        self._engine = engine
        self._writing = asyncio.Lock()
        self._running: set[asyncio.Task[Any]] = set()
        self._metrics = metrics
        self._committed = asyncio.Event()
        self.installation = installation
        """Random id of this database, made with it: part of the ownership of everything the broker makes."""

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """A connection that sees one consistent state. `StoreUnavailable`: the file cannot be read."""
        try:
            async with self._engine.connect() as connection:
                yield connection
        except DBAPIError as error:
            raise StoreUnavailable(f"the database cannot be read: {error.orig}") from error

    async def transaction(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """Runs `work` in one transaction, commits, and returns its value.

        Cancelling the caller does not stop it: the transaction ends by itself, as if the caller had waited. An error
        of `work` rolls back and is raised. `StoreUnavailable`: the file cannot be written.
        """
        task = asyncio.create_task(self._transact(work), name="store:transaction")  # noqa: TID251 - outlives its caller
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return await asyncio.shield(task)

    async def recall(self, key: str) -> str | None:
        """What was remembered under a key."""
        async with self.reading() as connection:
            return await read_meta(connection, key)

    async def remember(self, key: str, value: str) -> None:
        """Keeps one value of this database as a whole."""
        await self.transaction(lambda connection: write_meta(connection, key, value))

    def next_commit(self) -> asyncio.Event:
        """Set when the next transaction of this process has committed. Taken before a read, it misses nothing."""
        return self._committed

    async def close(self) -> None:
        """Waits for running transactions, then lets go of the file."""
        if self._running:
            await asyncio.wait(self._running)
        await self._engine.dispose()

    async def _transact(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        async with self._writing:
            started = asyncio.get_running_loop().time()
            try:
                async with self._engine.connect() as connection:
                    await connection.execution_options(**{_WRITER: True})
                    async with connection.begin():
                        result = await work(connection)
            except DBAPIError as error:
                raise StoreUnavailable(f"the database cannot be written: {error.orig}") from error
            self._metrics.state_written(asyncio.get_running_loop().time() - started)
            self._committed.set()
            self._committed = asyncio.Event()
            return result


async def open_database(path: Path, metrics: Metrics) -> Database:
    """Opens the file or makes it.

    Raises `StoreUnavailable` with place and fix: a directory that cannot be written, a file that is no database, a
    database of a newer version.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StoreUnavailable(
            f"{path.parent}: {error.strerror}; server.state_dir must be a directory of ours"
        ) from error
    before = set(threading.enumerate())
    engine = create_async_engine(f"sqlite+aiosqlite:///{path}", connect_args={"timeout": _BUSY_TIMEOUT_MS / 1000})
    event.listen(engine.sync_engine, "connect", _prepare_connection)
    event.listen(engine.sync_engine, "begin", _begin)
    try:
        return Database(engine, await _prepare_schema(engine, path), metrics)
    except DBAPIError as error:
        await _let_go(engine, before)
        raise StoreUnavailable(
            f"{path}: {error.orig}; the broker must be able to write this file and its directory",
        ) from error
    except BaseException:
        await _let_go(engine, before)
        raise


async def _let_go(engine: AsyncEngine, before: AbstractSet[threading.Thread]) -> None:
    """Closes an engine that is not used, and waits for its threads: the driver leaves that of a connection that failed
    to end by itself, and it would speak to an event loop that is closed by then.
    """
    await engine.dispose()
    for thread in set(threading.enumerate()) - before:
        await asyncio.to_thread(thread.join, _THREAD_END_S)


@contextmanager
def sole_owner(state_dir: Path) -> Iterator[None]:
    """Keeps other brokers off a state directory while the block runs, however this process ends.

    Raises `StoreUnavailable` when another one has it: two on one SQLite file would launch and end one another's agents.
    """
    path = state_dir / "broker.lock"
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            text = "another agentbroker runs on it; stop that one, or give this one a server.state_dir of its own"
            raise StoreUnavailable(f"{state_dir}: {text}") from error
        yield


def _prepare_connection(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # SQLAlchemy, not the driver, says BEGIN
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", f"busy_timeout={_BUSY_TIMEOUT_MS}"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(connection: Any) -> None:
    writes = connection.get_execution_options().get(_WRITER, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


async def _prepare_schema(engine: AsyncEngine, path: Path) -> str:
    async with engine.connect() as connection:
        await connection.execution_options(**{_WRITER: True})
        async with connection.begin():
            known: dict[str, str] = {}
            if await connection.run_sync(lambda sync: inspect(sync).has_table(schema.meta.name)):
                rows = await connection.execute(select(schema.meta.c.key, schema.meta.c.value))
                known = {row.key: row.value for row in rows}
            if int(known.get("schema_version", schema.SCHEMA_VERSION)) > schema.SCHEMA_VERSION:
                raise StoreUnavailable(
                    f"{path}: made by a newer agentbroker (schema {known['schema_version']}, this one knows "
                    f"{schema.SCHEMA_VERSION}); start that version, or give server.state_dir another directory",
                )
            await connection.run_sync(schema.metadata.create_all)
            fresh = {"schema_version": str(schema.SCHEMA_VERSION), "installation": secrets.token_hex(8)}
            missing = [{"key": key, "value": value} for key, value in fresh.items() if key not in known]
            if missing:
                await connection.execute(insert(schema.meta), missing)
            return known.get("installation", fresh["installation"])


async def write_meta(connection: AsyncConnection, key: str, value: str) -> None:
    """Sets one value of the `meta` table."""
    same = schema.meta.c.key == key
    if not (await connection.execute(update(schema.meta).where(same).values(value=value))).rowcount:
        await connection.execute(insert(schema.meta).values(key=key, value=value))


async def read_meta(connection: AsyncConnection, key: str) -> str | None:
    """One value of the `meta` table."""
    return (await connection.execute(select(schema.meta.c.value).where(schema.meta.c.key == key))).scalar()
