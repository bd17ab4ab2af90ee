"""What is SQLite's alone: files, directories, and the disk that they are on."""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from broker.errors import StoreUnavailable
from broker.store.engine import write_meta
from broker.testing.factories import make_agent
from tests.unit.store.world import opened

NOBODY = 65534


@pytest.fixture(autouse=True)
def on_each_engine() -> None:
    """Not here."""


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
