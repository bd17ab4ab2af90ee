"""Agents on machines over a real SSH keep the contract, and so do the machines of a list."""

from collections.abc import AsyncIterator

import pytest

from broker.demo.clouds.vms.vms import Vms
from broker.testing.contract import BackendContract
from broker.testing.host_contract import HostBackendContract
from tests.contract.ssh_rig import AgentRig, SshRig


class TestAgentsOnSshHosts(BackendContract):
    """The whole contract, on one machine."""

    @pytest.fixture
    async def rig(self, vms: Vms) -> AsyncIterator[AgentRig]:
        rig = await AgentRig.on(vms)
        rig.host = await rig.prepared()
        yield rig
        await rig.close()


class TestSshHosts(HostBackendContract):
    """The whole contract, on three machines."""

    @pytest.fixture
    async def rig(self, vms: Vms) -> AsyncIterator[SshRig]:
        rig = await SshRig.on(vms, 3)
        yield rig
        await rig.close()
