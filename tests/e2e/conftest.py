from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.running_dev import Dev
from tests.e2e.world import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path / "run")
    try:
        world.start()
        yield world
    finally:
        world.stop()


@pytest.fixture
def dev(tmp_path: Path) -> Iterator[Dev]:
    started = Dev(tmp_path / "state")
    try:
        yield started
    finally:
        started.stop()
