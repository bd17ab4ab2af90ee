"""Real containers keep the contract."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from broker.testing.contract import BackendContract
from tests.contract.container_rig import ContainerRig
from tests.podman import TestEngine


@pytest.mark.component("podman")
class TestContainerBackend(BackendContract):
    """The whole contract."""

    @pytest.fixture
    async def rig(self, container_engine: TestEngine, tmp_path: Path) -> AsyncIterator[ContainerRig]:
        rig = ContainerRig(container_engine, tmp_path / "shared")
        yield rig
        await rig.close()
