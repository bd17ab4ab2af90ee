"""The fake with hosts keeps the promises that it stands in for."""

from datetime import datetime, timedelta

import pytest

from broker.domain.host_order import HostOrder, HostPlace
from broker.domain.ids import HostId, HostRef
from broker.domain.offer import Offering
from broker.ports import LaunchSpec
from broker.testing.clock import ManualClock
from broker.testing.factories import POOL, make_key, make_pool, make_spec
from broker.testing.host_contract import HostBackendContract, HostInterruptionContract, MadeHostContract
from broker.testing.hosts import FakeHostBackend
from broker.testing.machines import HostLedger


class FakeHostRig:
    """Drives a `FakeHostBackend`; its ledger is the world."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.ledger = HostLedger()
        self.backend = self._open()

    def _open(self) -> FakeHostBackend:
        backend = FakeHostBackend(self.ledger, self.clock)
        backend.boot_s, backend.delete_s, backend.steps = 2.0, 2.0, (("init script", 1.0),)
        return backend

    def order(self, n: int = 1, hosts: int = 1) -> HostOrder:
        ids = tuple(HostId(f"h-{n:06x}{i:06x}") for i in range(hosts))
        return HostOrder(token=f"order-{n}", pool=make_pool(), offering=Offering(POOL), hosts=ids)

    def spec(self, place: HostPlace, n: int = 1) -> LaunchSpec:
        key = make_key(n)
        return make_spec(
            n,
            host=place.id,
            place=place,
            key=type(key)(agent_id=key.agent_id, attempt=key.attempt, token=key.token, host=place.id),
        )

    def set_place(self, host: HostId, place: HostPlace | None) -> None:
        if place is None and (machine := self.ledger.machine_of(host)) is not None:
            machine.gone_s = 0.0

    async def reopen(self) -> FakeHostBackend:
        await self.backend.close()
        self.backend = self._open()
        return self.backend

    async def count_hosts(self) -> int:
        return sum(machine.host is not None for machine in self.backend.machines())

    async def let_time_pass(self) -> None:
        await self.clock.advance(0.5)

    def lose_answer(self) -> None:
        self.backend.next_create_is_unknown(created=True)

    def set_stock(self, hosts: int) -> None:
        self.backend.places.stock[Offering(POOL)] = hosts

    async def vanish(self, ref: HostRef) -> None:
        del self.ledger.machines[ref]

    async def add_stranger(self) -> HostRef:
        machine = self.ledger.add_machine(self.order(99), HostId("h-ffffffffffff"), 0.0, 0.0)
        machine.host = None
        return machine.ref

    async def interrupt(self, ref: HostRef, message: str) -> datetime:
        at = self.clock.now() + timedelta(minutes=5)
        self.backend.interrupt_host(self.ledger.machines[ref].host or "", at, message)
        return at


class TestFakeHostBackend(HostBackendContract, MadeHostContract, HostInterruptionContract):
    """The whole contract of hosts."""

    @pytest.fixture
    def rig(self) -> FakeHostRig:
        return FakeHostRig()
