"""From any earlier schema to today's: nothing lost, nothing half done, and the same tables as a new database has."""

import sqlite3
from pathlib import Path
from typing import Any, Final

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import OperationalError

from broker.domain.ids import PoolName
from broker.domain.lifecycle import Phase
from broker.domain.limits import Scope
from broker.domain.reason import Reason
from broker.errors import StoreUnavailable
from broker.store import migrate, schema
from broker.store.cooldowns import Cooldowns
from broker.store.history import History
from broker.testing.clock import EPOCH, ManualClock
from broker.testing.factories import CONTROLLER, agent_id, agent_name
from tests.unit.store.world import backing_of, opened, reserved, used

VERSION_1: Final = (Path(__file__).parent / "version_1.sql").read_text()
"""What version 0.1.0 wrote, as SQLite itself tells it: its own CREATE statements, and rows in every table."""


@pytest.fixture(autouse=True)
def on_each_engine() -> None:
    """Where a test asks for `engine` only: version 1 was on SQLite alone."""


def write_version_1(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.executescript(VERSION_1)
    connection.close()


def shape(connection: Connection) -> dict[str, Any]:
    """All that a database says of its tables, as far as it can be compared."""
    found = inspect(connection)
    tables: dict[str, Any] = {}
    for name in sorted(found.get_table_names()):
        columns = {c["name"]: (str(c["type"]), c["nullable"], str(c["default"])) for c in found.get_columns(name)}
        indexes = {i["name"]: (i["column_names"], i["unique"]) for i in found.get_indexes(name)}
        uniques = {u["name"]: u["column_names"] for u in found.get_unique_constraints(name)}
        keys = found.get_pk_constraint(name)
        tables[name] = (columns, indexes, uniques, keys)
    if connection.dialect.name == "sqlite":
        rows = connection.execute(text("SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"))
        tables["indexes"] = {row.name: row.sql for row in rows}
        rows = connection.execute(text("SELECT name FROM sqlite_master WHERE sql LIKE '%AUTOINCREMENT%'"))
        tables["autoincrement"] = [row.name for row in rows]
    else:
        rows = connection.execute(text("SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'"))
        tables["indexes"] = {row.indexname: row.indexdef for row in rows}
        rows = connection.execute(text("SELECT sequencename, data_type, cycle FROM pg_sequences"))
        tables["sequences"] = [tuple(map(str, row)) for row in rows]
    return tables


def differences(connection: Connection) -> list[Any]:
    def type_differs(*given: Any) -> bool:
        found, declared = (kind.compile(connection.dialect) for kind in given[-2:])
        return bool(found != declared)

    options = {"compare_type": type_differs, "compare_server_default": True}
    context = MigrationContext.configure(connection, opts=options)
    return list(compare_metadata(context, schema.metadata))


async def test_the_migrated_tables_are_the_declared_ones(tmp_path: Path, engine: str) -> None:
    async with backing_of(tmp_path / "migrated.db") as migrated, migrated.writer.begin() as connection:
        await connection.run_sync(migrate.upgrade, 0)
        by_steps = await connection.run_sync(shape)
        assert await connection.run_sync(differences) == []
    async with opened(tmp_path / "declared.db"):
        pass
    async with backing_of(tmp_path / "declared.db") as declared, declared.writer.begin() as connection:
        assert await connection.run_sync(shape) == by_steps
        assert await connection.run_sync(differences) == []
    assert by_steps["autoincrement" if engine == "sqlite" else "sequences"], "the history numbers itself"


async def test_the_comparison_sees_a_table_that_differs(tmp_path: Path, engine: str) -> None:
    async with opened(tmp_path / "broker.db"):
        pass
    async with backing_of(tmp_path / "broker.db") as backing, backing.writer.begin() as connection:
        await connection.execute(text("DROP INDEX agents_of_name"))
        await connection.execute(text("ALTER TABLE limits ADD COLUMN more INTEGER"))
        kinds = {difference[0] for difference in await connection.run_sync(differences)}
    assert kinds == {"add_index", "remove_column"}, engine


async def test_the_revision_and_the_schema_version_say_the_same(tmp_path: Path, engine: str) -> None:
    async with opened(tmp_path / "broker.db") as (database, _), database.reading() as connection:
        noted = (await connection.execute(text("SELECT version_num FROM alembic_version"))).scalars().all()
        assert noted == [migrate.revision(schema.SCHEMA_VERSION)], engine
    assert await schema_version(tmp_path / "broker.db") == schema.SCHEMA_VERSION


async def schema_version(path: Path) -> int:
    async with backing_of(path) as backing, backing.reader.connect() as connection:
        return (await connection.run_sync(migrate.read_standing, "")).version


async def test_a_database_of_version_1_is_upgraded_with_all_its_rows(tmp_path: Path) -> None:
    path = tmp_path / "broker.db"
    write_version_1(path)
    async with opened(path) as (database, agents):
        assert database.installation == "00c0ffee00c0ffee"
        assert await database.recall("alive_at") == "2026-11-01T00:00:00+00:00"
        online, gone = await agents.get(agent_id(1)), await agents.get(agent_id(2))
        assert (online.name, online.phase, online.pool, online.busy) == (agent_name(1), Phase.ONLINE, "it", True)
        assert (online.instance, online.token, online.online_at) == ("i-1", f"{agent_id(1)}-1", EPOCH)
        assert (gone.phase, gone.why, gone.message) == (Phase.GONE, Reason.QUEUE_TIMEOUT, "too late")
        assert await used(database) == await reserved(database) == {(Scope.POOL_AGENTS, "it"): 1}
        assert (await Cooldowns(database).read(EPOCH))[PoolName("it")].message == "no room"
        events = await History(database, ManualClock()).after(0)
        assert [(e.number, e.event, e.agent_id, e.agent, e.controller, e.policy) for e in events] == [
            (1, "requested", agent_id(1), agent_name(1), CONTROLLER, "linux"),
            (2, "requested", agent_id(2), agent_name(2), CONTROLLER, "linux"),
            (5, "gone", agent_id(2), agent_name(2), CONTROLLER, "linux"),
            (7, "online", "0000000000000000000000000000dead", "", "", ""),
        ]
        await History(database, ManualClock()).note("noted", actor="", message="")
        assert await History(database, ManualClock()).last_number() > 9, "a number that was used is never used again"
    assert await schema_version(path) == schema.SCHEMA_VERSION
    async with opened(path) as (database, agents):
        assert await agents.get(agent_id(1)) == online


async def test_an_upgraded_database_has_the_tables_of_a_new_one(tmp_path: Path) -> None:
    write_version_1(tmp_path / "old.db")
    shapes = []
    for name in ("old.db", "new.db"):
        async with opened(tmp_path / name):
            pass
        async with backing_of(tmp_path / name) as backing, backing.reader.connect() as connection:
            assert await connection.run_sync(differences) == []
            shapes.append(await connection.run_sync(shape))
    assert shapes[0] == shapes[1]


async def test_the_first_migration_makes_the_tables_of_version_1(tmp_path: Path) -> None:
    write_version_1(tmp_path / "old.db")
    shapes = []
    async with backing_of(tmp_path / "steps.db") as backing, backing.writer.begin() as connection:
        await connection.run_sync(migrate.upgrade, 0, 1)
        shapes.append(await connection.run_sync(shape))
    async with backing_of(tmp_path / "old.db") as backing, backing.reader.connect() as connection:
        shapes.append(await connection.run_sync(shape))
    assert shapes[0].pop("alembic_version")
    assert shapes[0] == shapes[1]


async def test_the_file_as_it_was_is_kept_beside_the_upgraded_one(tmp_path: Path) -> None:
    path, copy = tmp_path / "broker.db", tmp_path / "broker.db.schema-1"
    write_version_1(path)
    async with opened(path):
        pass
    assert copy.stat().st_mode & 0o777 == 0o600
    assert await schema_version(copy) == 1
    with sqlite3.connect(copy) as connection:
        assert connection.execute("SELECT count(*) FROM history").fetchone() == (4,)
    connection.close()


async def test_a_migration_that_fails_changes_nothing_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "broker.db"
    write_version_1(path)

    def upgrade_and_fail(connection: Connection, version: int) -> None:
        migrate_fully(connection, version)
        connection.execute(text("UPDATE no_such_table SET a = 1"))

    before, migrate_fully = await shape_of(path), migrate.upgrade
    monkeypatch.setattr(migrate, "upgrade", upgrade_and_fail)
    with pytest.raises(StoreUnavailable) as raised:
        async with opened(path):
            pass
    assert isinstance(raised.value.__cause__, OperationalError)
    assert str(raised.value) == (
        f"{path}: cannot be upgraded from schema 1 to {schema.SCHEMA_VERSION}: no such table: no_such_table; "
        "nothing was changed, and the version that made it can go on with it"
    )
    assert await shape_of(path) == before
    assert await schema_version(path) == 1
    monkeypatch.undo()
    async with opened(path) as (_, agents):
        assert len(await agents.live()) == 1


async def shape_of(path: Path) -> dict[str, Any]:
    async with backing_of(path) as backing, backing.reader.connect() as connection:
        return await connection.run_sync(shape)


async def test_tables_of_others_are_left_alone(tmp_path: Path, engine: str) -> None:
    async with backing_of(tmp_path / "broker.db") as backing, backing.writer.begin() as connection:
        await connection.execute(text("CREATE TABLE agents (whose TEXT)"))
    with pytest.raises(StoreUnavailable, match=r"has tables of others \(agents\); use another one"):
        async with opened(tmp_path / "broker.db"):
            pass
    async with backing_of(tmp_path / "broker.db") as backing, backing.writer.begin() as connection:
        assert set(await connection.run_sync(lambda sync: inspect(sync).get_table_names())) == {"agents"}, engine
