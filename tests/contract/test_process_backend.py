"""Real processes keep the contract."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from broker.testing.contract import BackendContract
from tests.contract.process_rig import ProcessRig


class TestProcessBackend(BackendContract):
    """The whole contract."""

    @pytest.fixture
    async def rig(self, tmp_path: Path) -> AsyncIterator[ProcessRig]:
        rig = ProcessRig(tmp_path)
        yield rig
        await rig.end_all()
        assert rig.marked() == {}
        assert list(rig.root.glob("*")) == []
