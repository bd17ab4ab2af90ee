"""SQLite behind the store: one file of our own beside its write-ahead log (design D9)."""

import asyncio
import fcntl
import os
import sqlite3
import threading
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from broker.errors import StoreLost, StoreUnavailable
from broker.store.backing import Backing

_WRITER: Final = "agentbroker_writer"
_BUSY_TIMEOUT_MS: Final = 5_000
_LOG_BYTES: Final = 64 * 1024 * 1024
"""What a burst may leave of the write-ahead log."""
_PRAGMAS: Final = (
    "journal_mode=WAL",
    "synchronous=FULL",
    "foreign_keys=ON",
    f"busy_timeout={_BUSY_TIMEOUT_MS}",
    f"journal_size_limit={_LOG_BYTES}",
)
_DRIVERS_THREAD: Final = "_connection_worker_thread"
_THREAD_END_S: Final = 1.0


@contextmanager
def sole_owner(state_dir: Path) -> Iterator[None]:
    """Keeps other brokers off a state directory while the block runs, however this process ends.

    Raises `StoreUnavailable` when another one has it: two on one SQLite file would launch and end one another's agents.
    """
    make_directory(state_dir)
    path = state_dir / "broker.lock"
    try:
        file = path.open("a")
    except OSError as error:
        raise StoreUnavailable(
            f"{path}: {error.strerror}; the broker must be able to write its server.state_dir"
        ) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            words = "another agentbroker runs on it; stop that one, or give this one a server.state_dir of its own"
            raise StoreUnavailable(f"{state_dir}: {words}") from error
        yield


def make_directory(path: Path) -> None:
    """Makes a state directory for our eyes only, if it is not there."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StoreUnavailable(f"{path}: {error.strerror}; server.state_dir must be a directory of ours") from error


def sqlite_backing(path: Path) -> Backing:
    """The engine of one file, which is made when it is not there."""
    make_directory(path.parent)
    before = set(threading.enumerate())
    engine = create_async_engine(f"sqlite+aiosqlite:///{path}", connect_args={"timeout": _BUSY_TIMEOUT_MS / 1000})
    event.listen(engine.sync_engine, "connect", _prepare_connection)
    writer = engine.execution_options(**{_WRITER: True})
    event.listen(engine.sync_engine, "begin", _begin)
    files = _Files(path)

    async def keep_copy(version: int) -> None:
        try:
            await asyncio.to_thread(_copy, path, version)
        except (sqlite3.Error, OSError) as error:
            raise StoreUnavailable(
                f"{path}: cannot be copied before its upgrade from schema {version}: {error}; nothing was changed"
            ) from error

    async def abandon() -> None:
        await _abandon(engine, before)

    return Backing(
        reader=engine,
        writer=writer,
        place=str(path),
        fix="the broker must be able to write this file and its directory",
        admit=files.check,
        keep_copy=keep_copy,
        take=files.note,
        close=engine.dispose,
        abandon=abandon,
    )


class _Files:
    """The database and its log, as they were opened: SQLite goes on to write files that have lost their names."""

    def __init__(self, path: Path) -> None:
        self._paths = (path, path.with_name(f"{path.name}-wal"))
        self._known: list[tuple[int, int]] = []

    async def note(self, _connection: AsyncConnection) -> None:
        self._known = [self._identity(path) for path in self._paths]

    async def check(self, _connection: AsyncConnection) -> None:
        for path, known in zip(self._paths, self._known, strict=False):
            if self._identity(path) != known:
                raise StoreLost(f"{path}: was deleted or replaced under the running broker; it must start anew")

    def _identity(self, path: Path) -> tuple[int, int]:
        try:
            found = os.stat(path)  # noqa: PTH116 - microseconds, in every transaction
        except OSError:
            return (0, 0)
        return (found.st_dev, found.st_ino)


def _copy(path: Path, version: int) -> None:
    """Puts a copy of the file beside it: what an upgrade has changed, no older version can read."""
    copy = path.with_name(f"{path.name}.schema-{version}")
    copy.unlink(missing_ok=True)
    with closing(sqlite3.connect(path, timeout=_BUSY_TIMEOUT_MS / 1000)) as connection:
        connection.execute("VACUUM INTO ?", (str(copy),))
    copy.chmod(0o600)


async def _abandon(engine: AsyncEngine, before: AbstractSet[threading.Thread]) -> None:
    """Closes an engine that could not be opened, and waits for its threads: the driver leaves that of a connection that
    failed to end by itself, and it would speak to an event loop that is closed by then.
    """
    await engine.dispose()
    for thread in set(threading.enumerate()) - before:
        if _DRIVERS_THREAD in thread.name:
            await asyncio.to_thread(thread.join, _THREAD_END_S)


def _prepare_connection(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # SQLAlchemy, not the driver, says BEGIN
    cursor = connection.cursor()
    for pragma in _PRAGMAS:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(connection: Any) -> None:
    writes = connection.get_execution_options().get(_WRITER, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
