"""The promises of a backend with hosts, by the one of Alibaba Cloud."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from broker.testing.contract import BackendContract
from broker.testing.host_contract import HostBackendContract, HostInterruptionContract, MadeHostContract
from tests.contract.alibaba_agents_rig import AlibabaAgentsRig, alibaba_agents_rig
from tests.contract.alibaba_rig import AlibabaRig, alibaba_rig


class TestAlibabaBackend(HostBackendContract, MadeHostContract, HostInterruptionContract):
    @pytest.fixture
    async def rig(self, tmp_path: Path) -> AsyncIterator[AlibabaRig]:
        async with alibaba_rig(tmp_path) as rig:
            yield rig


class TestAgentsOnItsHosts(BackendContract):
    """The whole contract of agents, on one host. Notices are told of hosts: see `HostInterruptionContract`."""

    @pytest.fixture
    async def rig(self, tmp_path: Path) -> AsyncIterator[AlibabaAgentsRig]:
        async with alibaba_agents_rig(tmp_path) as rig:
            yield rig
