"""Every test of the store runs on both engines; a module about one of them has its own fixture of this name."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from broker.store.agents import Agents
from broker.store.engine import Database
from tests.unit.store.world import opened


@pytest.fixture(autouse=True)
def on_each_engine(engine: str) -> str:
    return engine


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with opened(tmp_path / "broker.db") as (database, _):
        yield database


@pytest.fixture
def agents(database: Database) -> Agents:
    return Agents(database)
