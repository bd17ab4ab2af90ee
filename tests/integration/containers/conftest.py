"""A backend on the real engine, with hands on what is behind it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.contract.container_rig import ContainerRig
from tests.podman import TestEngine


@pytest.fixture
async def rig(container_engine: TestEngine, tmp_path: Path) -> AsyncIterator[ContainerRig]:
    rig = ContainerRig(container_engine, tmp_path / "shared")
    yield rig
    await rig.close()
