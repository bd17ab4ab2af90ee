"""Opening the database, and transactions that nothing cuts in half."""

import asyncio
import re
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from broker.domain.ids import ControllerName
from broker.errors import StoreUnavailable
from broker.store.engine import read_meta, write_meta
from broker.store.schema import SCHEMA_VERSION
from broker.testing.factories import make_agent
from tests.unit.store.world import opened


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


async def test_a_caller_that_stops_counting_agents_takes_no_connection_with_it(tmp_path: Path) -> None:
    async with opened(tmp_path / "broker.db") as (database, agents):
        for turns in range(60):  # wherever in the query it stops; the last connection's end would delete SQLite's log
            async with asyncio.TaskGroup() as group:
                caller = group.create_task(agents.count_live(ControllerName("main")), name="caller")
                for _ in range(turns):
                    await asyncio.sleep(0)
                caller.cancel()
            await database.remember("turns", str(turns))


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


async def test_a_database_of_a_newer_version_is_refused(tmp_path: Path, engine: str) -> None:
    path = tmp_path / "broker.db"
    async with opened(path) as (database, agents):
        await agents.accept([make_agent()])
        await database.transaction(lambda connection: write_meta(connection, "schema_version", "99"))
    with pytest.raises(StoreUnavailable) as raised:
        async with opened(path):
            pass
    place = str(path) if engine == "sqlite" else "postgresql://local/test_1"
    assert re.sub(r"test_\d+", "test_1", str(raised.value)) == (
        f"{place}: made by a newer agentbroker (schema 99, this one knows {SCHEMA_VERSION}); start that version, or "
        "give this one another database"
    )


async def test_what_is_remembered_of_a_database_outlives_it(tmp_path: Path) -> None:
    async with opened(tmp_path / "broker.db") as (database, _):
        assert await database.recall("alive_at") is None
        await database.remember("alive_at", "first")
        await database.remember("alive_at", "then")
    async with opened(tmp_path / "broker.db") as (database, _):
        assert await database.recall("alive_at") == "then"
