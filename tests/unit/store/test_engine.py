"""Opening the database, and transactions that nothing cuts in half."""

import asyncio
import os
import sqlite3
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from broker.errors import StoreUnavailable
from broker.store.engine import read_meta, write_meta
from broker.testing.factories import make_agent
from tests.unit.store.world import opened

NOBODY = 65534


async def test_a_transaction_ends_by_itself_when_its_caller_is_cancelled(tmp_path: Path) -> None:
    async with opened(tmp_path / "broker.db") as (database, _):
        begun, goes_on = asyncio.Event(), asyncio.Event()

        async def work(connection: AsyncConnection) -> None:
            await write_meta(connection, "first", "1")
            begun.set()
            await goes_on.wait()
            await write_meta(connection, "second", "2")

        async with asyncio.TaskGroup() as group:
            caller = group.create_task(database.transaction(work), name="caller")
            await begun.wait()
            caller.cancel()
            with pytest.raises(asyncio.CancelledError):
                await caller
            goes_on.set()
        await database.transaction(lambda connection: write_meta(connection, "third", "3"))
        async with database.reading() as connection:
            assert [await read_meta(connection, key) for key in ("first", "second", "third")] == ["1", "2", "3"]


async def test_closing_waits_for_what_is_being_written(tmp_path: Path) -> None:
    async with opened(tmp_path / "broker.db") as (database, _):
        begun = asyncio.Event()

        async def work(connection: AsyncConnection) -> None:
            begun.set()
            await asyncio.sleep(0.05)
            await write_meta(connection, "key", "value")

        async with asyncio.TaskGroup() as group:
            caller = group.create_task(database.transaction(work), name="caller")
            await begun.wait()
            caller.cancel()
    async with opened(tmp_path / "broker.db") as (database, _), database.reading() as connection:
        assert await read_meta(connection, "key") == "value"


async def test_an_error_rolls_back_everything_and_the_next_one_goes_on(tmp_path: Path) -> None:
    async with opened(tmp_path / "broker.db") as (database, _):

        async def work(connection: AsyncConnection) -> None:
            await write_meta(connection, "key", "value")
            raise LookupError("on purpose")

        with pytest.raises(LookupError):
            await database.transaction(work)
        await database.transaction(lambda connection: write_meta(connection, "other", "value"))
        async with database.reading() as connection:
            assert await read_meta(connection, "key") is None


async def test_writers_wait_for_one_another_and_readers_do_not(tmp_path: Path) -> None:
    async with opened(tmp_path / "broker.db") as (database, _):
        await database.transaction(lambda connection: write_meta(connection, "count", "0"))

        async def add_one(connection: AsyncConnection) -> None:
            count = int(await read_meta(connection, "count") or 0)
            await asyncio.sleep(0)
            async with database.reading() as reader:
                assert int(await read_meta(reader, "count") or 0) == count, "a reader sees what is committed"
            await write_meta(connection, "count", str(count + 1))

        async with asyncio.TaskGroup() as group:
            for number in range(20):
                group.create_task(database.transaction(add_one), name=f"writer-{number}")
        async with database.reading() as connection:
            assert await read_meta(connection, "count") == "20"


async def test_the_installation_id_is_made_once(tmp_path: Path) -> None:
    async with opened(tmp_path / "broker.db") as (first, _):
        made = first.installation
    async with opened(tmp_path / "broker.db") as (second, _):
        assert second.installation == made
    async with opened(tmp_path / "another.db") as (other, _):
        assert other.installation != made


async def test_a_database_of_a_newer_version_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "broker.db"
    async with opened(path) as (database, agents):
        await agents.accept([make_agent()])
        await database.transaction(lambda connection: write_meta(connection, "schema_version", "99"))
    with pytest.raises(StoreUnavailable) as raised:
        async with opened(path):
            pass
    assert str(raised.value) == (
        f"{path}: made by a newer agentbroker (schema 99, this one knows 2); start that version, or give "
        "server.state_dir another directory"
    )
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT count(*) FROM agents").fetchone() == (1,)
    connection.close()


async def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "broker.db"
    path.write_bytes(b"not a database at all, but long enough to be looked at as one" * 20)
    before = path.read_bytes()
    with pytest.raises(StoreUnavailable, match=r"broker\.db: file is not a database"):
        async with opened(path):
            pass
    assert path.read_bytes() == before


@pytest.fixture
async def read_only_dir(tmp_path: Path) -> AsyncIterator[Path]:
    """A directory that this process cannot write; root gives its rights away meanwhile.

    Everything is opened once before, since nobody may not be allowed to read what is imported late.
    """
    async with opened(tmp_path / "before.db"):
        await asyncio.to_thread(int)
    with tempfile.TemporaryDirectory(prefix="agentbroker-") as name:
        directory = Path(name, "state")
        directory.mkdir()
        directory.chmod(0o555)
        Path(name).chmod(0o755)
        root = os.geteuid() == 0
        if root:
            os.seteuid(NOBODY)
        try:
            yield directory
        finally:
            if root:
                os.seteuid(0)
            directory.chmod(0o755)


async def test_a_state_directory_that_cannot_be_written_is_named_with_the_fix(read_only_dir: Path) -> None:
    with pytest.raises(StoreUnavailable, match="unable to open database file; the broker must be able to write") as e:
        async with opened(read_only_dir / "broker.db"):
            pass
    assert str(read_only_dir / "broker.db") in str(e.value)
    with pytest.raises(StoreUnavailable, match=r"Permission denied; server\.state_dir must be a directory of ours"):
        async with opened(read_only_dir / "deeper" / "broker.db"):
            pass


async def test_a_state_directory_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    with pytest.raises(StoreUnavailable, match=r"state: .*server\.state_dir must be a directory"):
        async with opened(tmp_path / "state" / "broker.db"):
            pass


async def test_a_full_disk_refuses_writes_and_goes_on_reading(tmp_path: Path) -> None:
    async with opened(tmp_path / "broker.db") as (database, agents):
        await agents.accept([make_agent()])

        async def fill(connection: AsyncConnection) -> None:
            await connection.execute(text("PRAGMA max_page_count = 1"))
            await write_meta(connection, "big", "x" * 1_000_000)

        with pytest.raises(StoreUnavailable, match="the database cannot be written: database or disk is full"):
            await database.transaction(fill)
        assert await agents.live() == [make_agent()]


async def test_a_database_that_cannot_be_read_is_unavailable(tmp_path: Path) -> None:
    async with opened(tmp_path / "broker.db") as (database, agents):
        await database.transaction(lambda connection: connection.execute(text("DROP TABLE agents")))
        with pytest.raises(StoreUnavailable, match="the database cannot be read: no such table: agents"):
            await agents.live()


async def test_what_is_remembered_of_a_database_outlives_it(tmp_path: Path) -> None:
    async with opened(tmp_path / "broker.db") as (database, _):
        assert await database.recall("alive_at") is None
        await database.remember("alive_at", "first")
        await database.remember("alive_at", "then")
    async with opened(tmp_path / "broker.db") as (database, _):
        assert await database.recall("alive_at") == "then"
