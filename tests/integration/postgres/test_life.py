"""The life of agents, as it is tested on SQLite, on PostgreSQL."""

from collections.abc import Iterator

import pytest

from tests.postgres import Postgres
from tests.unit.conftest import core  # noqa: F401 - their fixture
from tests.unit.reconcile.test_life import *  # noqa: F403 - every test of it, in a world of another engine


@pytest.fixture(autouse=True)
def on_postgresql(postgres: Postgres) -> Iterator[None]:
    with postgres.standing_in():
        yield
