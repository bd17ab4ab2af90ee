"""A core in a directory of its own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.core import Core, open_core


@pytest.fixture
async def core(tmp_path: Path) -> AsyncIterator[Core]:
    async with open_core(tmp_path / "broker.db") as opened:
        yield opened
