"""The fake keeps the promises that it stands in for."""

import asyncio
from collections.abc import Sequence
from datetime import datetime

import pytest

from broker.domain.ids import InstanceRef
from broker.domain.instance import InstanceState
from broker.ports import LaunchSpec
from broker.testing.backend import FakeBackend
from broker.testing.contract import BackendContract, InterruptionContract
from broker.testing.factories import make_spec


class FakeRig:
    """Drives a `FakeBackend`; its ledger is the world."""

    def __init__(self) -> None:
        self.backend = FakeBackend()

    def spec(self, n: int = 1, attempt: int = 1) -> LaunchSpec:
        return make_spec(n, attempt)

    async def reopen(self) -> FakeBackend:
        await self.backend.close()
        self.backend = FakeBackend(self.backend.ledger)
        return self.backend

    async def stop_instance(self, ref: InstanceRef, *, exit_code: int, lines: Sequence[str]) -> None:
        self.backend.stop(ref, exit_code=exit_code, lines=lines)

    async def interrupt(self, ref: InstanceRef, at: datetime, message: str) -> None:
        self.backend.interrupt(ref, at, message)

    async def count_running(self) -> int:
        return sum(i.state is InstanceState.RUNNING for i in self.backend.ledger.instances.values())

    async def let_time_pass(self) -> None:
        await asyncio.sleep(0)


class TestFakeBackend(BackendContract, InterruptionContract):
    """The whole contract, and that of backends whose cloud takes instances back."""

    @pytest.fixture
    def rig(self) -> FakeRig:
        return FakeRig()
