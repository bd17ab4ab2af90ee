"""Tasks of Amazon ECS keep the contract, on the strict fake."""

from collections.abc import AsyncIterator

import pytest

from broker.testing.contract import BackendContract, InterruptionContract
from tests.contract.ecs_rig import EcsRig, ecs_rig


class TestEcsBackend(BackendContract, InterruptionContract):
    """The whole contract."""

    @pytest.fixture
    async def rig(self) -> AsyncIterator[EcsRig]:
        async with ecs_rig() as rig:
            yield rig
            assert rig.fake.ledger.problems == []
