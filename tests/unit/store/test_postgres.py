"""What is PostgreSQL's alone: one owner, connections that break, and transactions that get in one another's way."""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from broker.config.settings import DatabaseSettings
from broker.domain.lifecycle import Phase
from broker.errors import Conflict, StoreLost, StoreUnavailable
from broker.store import postgres as ours
from broker.store.agents import Agents
from broker.store.engine import Database, open_database, read_meta, write_meta
from broker.telemetry.metrics import Metrics
from broker.testing.clock import EPOCH, ManualClock
from broker.testing.factories import agent_id, make_agent
from tests.postgres import Postgres


@pytest.fixture(autouse=True)
def on_each_engine() -> None:
    """Not here."""


@pytest.fixture
def settings(postgres: Postgres) -> Iterator[DatabaseSettings]:
    made = postgres.new_database()
    yield made
    postgres.drop(made)


async def opened(settings: DatabaseSettings) -> Database:
    return await open_database(settings, Metrics(ManualClock()))


@pytest.fixture
async def database(settings: DatabaseSettings) -> AsyncIterator[Database]:
    database = await opened(settings)
    yield database
    await database.close()


async def kill_backends(settings: DatabaseSettings, where: str = "true") -> int:
    """Ends server processes of this database, as a failover does, and waits for that; returns how many."""
    connection = await asyncpg.connect(settings.url)
    try:
        ended = await connection.fetch(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity "
            f"WHERE datname = current_database() AND pid <> pg_backend_pid() AND {where}"
        )
        return len(ended)
    finally:
        await connection.close()


HOLDS_LOCK = "pid IN (SELECT pid FROM pg_locks WHERE locktype = 'advisory')"


async def test_a_second_broker_is_refused_while_the_first_one_lives(settings: DatabaseSettings) -> None:
    first = await opened(settings)
    with pytest.raises(StoreUnavailable, match=r"postgresql://local/test_\d+: another agentbroker runs on it; stop"):
        await opened(settings)
    await first.close()
    second = await opened(settings)
    assert second.installation == first.installation
    await second.close()


async def test_a_broker_that_lost_its_lock_takes_it_again_and_goes_on(
    database: Database, settings: DatabaseSettings
) -> None:
    assert await kill_backends(settings, HOLDS_LOCK) == 1
    await database.remember("key", "value")
    assert await database.recall("key") == "value"
    assert await kill_backends(settings, HOLDS_LOCK) == 1, "held again"


async def test_a_broker_that_was_taken_over_never_writes_again(settings: DatabaseSettings) -> None:
    first = await opened(settings)
    await kill_backends(settings, HOLDS_LOCK)
    second = await opened(settings)
    for _ in range(2):
        with pytest.raises(StoreLost, match="another agentbroker has taken it over; this one must end"):
            await first.remember("key", "first")
        await second.remember("key", "second")
    assert first.failing is not None
    await second.close()
    with pytest.raises(StoreLost):
        await first.remember("key", "first")
    await first.close()
    third = await opened(settings)
    assert await third.recall("key") == "second"
    await third.close()


async def test_a_transaction_that_was_open_at_the_takeover_is_the_last_one(settings: DatabaseSettings) -> None:
    first, goes_on, begun = await opened(settings), asyncio.Event(), asyncio.Event()

    async def slow(connection: AsyncConnection) -> None:
        await write_meta(connection, "key", "first")
        begun.set()
        await goes_on.wait()

    async with asyncio.TaskGroup() as group:
        writing = group.create_task(first.transaction(slow), name="first")
        await begun.wait()
        await kill_backends(settings, HOLDS_LOCK)
        taking = group.create_task(opened(settings), name="second")
        await asyncio.sleep(0.3)
        assert not taking.done(), "it waits for the open transaction: what it reads then is all there is"
        goes_on.set()
    assert writing.exception() is None
    second = taking.result()
    assert await second.recall("key") == "first"
    with pytest.raises(StoreUnavailable):
        await first.remember("key", "late")
    assert await second.recall("key") == "first"
    await second.close()
    await first.close()


async def test_connections_that_broke_are_replaced(database: Database, settings: DatabaseSettings) -> None:
    agents = Agents(database)
    await agents.accept([make_agent(1)])
    assert await kill_backends(settings) >= 2
    assert await agents.live() == [make_agent(1)]
    await kill_backends(settings)
    assert (await agents.accept([make_agent(1), make_agent(2)]))[1] == make_agent(2)


async def test_a_connection_that_breaks_within_a_transaction_leaves_nothing(
    database: Database, settings: DatabaseSettings
) -> None:
    async def work(connection: AsyncConnection) -> None:
        await write_meta(connection, "key", "value")
        await kill_backends(settings, "state = 'idle in transaction'")
        await write_meta(connection, "other", "value")

    with pytest.raises(StoreUnavailable, match="the database cannot be written: "):
        await database.transaction(work)
    assert database.failing is not None
    assert await database.recall("key") is None
    await database.remember("key", "then")
    assert database.failing is None


async def test_a_commit_whose_outcome_is_unknown_is_found_out_by_reading_again(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    agents = Agents(database)
    await agents.accept([make_agent(1)])
    before = await agents.get(agent_id(1))
    after = replace(before, phase=Phase.LAUNCHING, attempt=1)
    once = Database._once

    async def once_and_lost(self: Database, work: object) -> object:
        await once(self, work)  # type: ignore[arg-type]
        raise ConnectionResetError("Connection reset by peer")

    monkeypatch.setattr(Database, "_once", once_and_lost)
    with pytest.raises(StoreUnavailable, match="Connection reset by peer"):
        await agents.change(before, after, "moved", EPOCH)
    monkeypatch.undo()
    with pytest.raises(Conflict):
        await agents.change(before, after, "moved", EPOCH)
    assert (await agents.get(agent_id(1))).phase == Phase.LAUNCHING


@pytest.mark.parametrize("sqlstate", ["serialization_failure", "deadlock_detected"])
async def test_a_transaction_rolled_back_for_another_is_repeated(database: Database, sqlstate: str) -> None:
    tries = 0

    async def work(connection: AsyncConnection) -> int:
        nonlocal tries
        tries += 1
        await write_meta(connection, "tries", str(tries))
        if tries < 3:
            await connection.execute(text(f"DO $$ BEGIN RAISE {sqlstate}; END $$"))
        return tries

    assert await database.transaction(work) == 3
    assert await database.recall("tries") == "3"


async def test_a_transaction_that_is_always_rolled_back_is_given_up(database: Database) -> None:
    async def work(connection: AsyncConnection) -> None:
        await connection.execute(text("DO $$ BEGIN RAISE deadlock_detected; END $$"))

    with pytest.raises(StoreUnavailable, match="deadlock_detected"):
        await database.transaction(work)


async def test_a_real_deadlock_with_somebody_elses_transaction_is_survived(
    database: Database, settings: DatabaseSettings
) -> None:
    await database.remember("a", "0")
    await database.remember("b", "0")
    stranger = await asyncpg.connect(settings.url)
    locked, tries = asyncio.Event(), 0

    async def work(connection: AsyncConnection) -> None:
        nonlocal tries
        tries += 1
        await connection.execute(text("SET LOCAL deadlock_timeout = '100ms'"))
        await write_meta(connection, "a", "ours")
        locked.set()
        await asyncio.sleep(0.2 if tries == 1 else 0)
        await write_meta(connection, "b", "ours")

    async def get_in_the_way() -> None:
        async with stranger.transaction():
            await stranger.execute("UPDATE meta SET value = 'theirs' WHERE key = 'b'")
            await locked.wait()
            await stranger.execute("SET LOCAL deadlock_timeout = '10s'")
            await stranger.execute("UPDATE meta SET value = 'theirs' WHERE key = 'a'")

    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        group.create_task(get_in_the_way(), name="stranger")
        await asyncio.sleep(0.1)
        group.create_task(database.transaction(work), name="ours")
    await stranger.close()
    assert tries >= 2
    async with database.reading() as connection:
        assert [await read_meta(connection, key) for key in ("a", "b")] == ["ours", "ours"]


async def test_a_server_that_does_not_answer_is_named_with_the_fix(tmp_path: Path) -> None:
    settings = DatabaseSettings(url=f"postgresql://broker@/agents?host={tmp_path}")
    with pytest.raises(StoreUnavailable, match=r"postgresql://local/agents: .*; see server\.database in the config"):
        await opened(settings)


async def test_a_password_comes_from_its_file_and_is_in_no_error(settings: DatabaseSettings, tmp_path: Path) -> None:
    file = tmp_path / "password"
    with pytest.raises(StoreUnavailable, match=r"server\.database\.password_file: .*password: No such file"):
        await opened(replace(settings, password_file=file))
    file.write_text("canary-password\n")
    database = await opened(replace(settings, password_file=file))
    await database.close()
    with pytest.raises(StoreUnavailable, match=r"postgresql://127\.0\.0\.1:1,127\.0\.0\.1:2/none: ") as raised:
        await opened(DatabaseSettings(url="postgresql://u@127.0.0.1:1,127.0.0.1:2/none", password_file=file))
    assert "canary" not in str(raised.value)


async def test_without_its_driver_the_fix_is_named(settings: DatabaseSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "asyncpg", None)
    monkeypatch.delitem(sys.modules, ours.__name__)
    with pytest.raises(StoreUnavailable) as raised:
        await opened(settings)
    assert str(raised.value) == (
        "server.database.url: PostgreSQL needs a driver that is not installed; "
        "run: pip install 'jenkins-agentbroker[postgres]'"
    )


async def test_a_reader_sees_one_state_while_others_write(database: Database) -> None:
    await database.remember("key", "before")
    async with database.reading() as connection:
        assert await read_meta(connection, "key") == "before"
        await database.remember("key", "after")
        assert await read_meta(connection, "key") == "before"
    assert await database.recall("key") == "after"
