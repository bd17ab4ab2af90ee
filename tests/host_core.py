"""A core with a pool of hosts: the real driver and store over a fake cloud, in virtual time, counted at each step."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from broker.domain.definitions import Definitions
from broker.domain.host import Host, HostPhase, HostRules, new_host_id
from broker.domain.ids import HostId
from broker.domain.pool import Pool
from broker.testing.clock import ManualClock
from broker.testing.factories import POOL, make_definitions, make_pool
from broker.testing.hosts import FakeHostBackend
from broker.testing.machines import HostLedger
from tests.core import POLL_S, Core, Seams, open_core


class HostCore:
    """One broker with hosts; `hosts_core` over the same file, ledger and clock is what a restart is."""

    def __init__(self, core: Core, cloud: FakeHostBackend) -> None:
        self.core = core
        self.ctx = core.ctx
        self.cloud = cloud
        self.clock = core.clock
        self.most_machines = 0

    async def ask(self, number: int = 1, *, settle: bool = True, **changes: Any) -> list[Host]:
        """Hosts that an operator asks for."""
        asked = [make_host(self.clock, **changes) for _ in range(number)]
        await self.ctx.hosts.add(asked, self.clock.now(), "ann")
        self.ctx.nudge.hosts()
        if settle:
            await self.core.settle()
        return asked

    async def host(self, host_id: str) -> Host:
        return await self.ctx.hosts.get(HostId(host_id))

    async def phases(self) -> list[HostPhase]:
        return sorted(host.phase for host in await self.ctx.hosts.living())

    async def advance(self, seconds: float, step_s: float = POLL_S) -> None:
        """Half seconds, or longer steps, after each of which everything is counted."""
        await self.core.settle()
        for _ in range(round(seconds / step_s)):
            await self.core.ask_for_offers()
            await self.core.advance(step_s, step_s=step_s)
            self.count()

    async def until(self, phase: HostPhase, number: int = 1, limit_s: float = 3600.0) -> None:
        """So many living hosts are in a phase; AssertionError when that does not come."""
        await self.core.settle()
        for _ in range(round(limit_s / POLL_S)):
            if (await self.phases()).count(phase) == number:
                return
            await self.advance(POLL_S)
        raise AssertionError(f"not {number} {phase} in {limit_s:g} s: {await self.phases()}")

    async def empty(self, limit_s: float = 3600.0) -> None:
        """Nothing lives any more, neither rows nor machines."""
        for _ in range(round(limit_s / POLL_S)):
            if not await self.phases() and not self.cloud.machines():
                return
            await self.advance(POLL_S)
        raise AssertionError(f"left after {limit_s:g} s: {await self.phases()}, {self.cloud.machines()}")

    def count(self) -> None:
        """No host ever has two machines."""
        twice = [host for host, number in self.cloud.hosts.machines_of.items() if number > 1]
        assert not twice, f"made twice: {twice}"
        self.most_machines = max(self.most_machines, len(self.cloud.machines()))


def make_host(clock: ManualClock, **changes: Any) -> Host:
    """A host that is asked for now."""
    now = clock.now()
    values = {"id": new_host_id(), "pool": POOL, "phase": HostPhase.REQUESTED, "version": 1, "slots": 2}
    return Host(**{**values, "requested_at": now, "phase_since": now, "empty_since": now, **changes})


def host_pool(**rules: Any) -> Pool:
    """A pool of hosts of two agents each."""
    given = {"agents_per_host": 2, "idle_timeout": timedelta(minutes=5), **rules}
    return make_pool(hosts=HostRules(**given))


@asynccontextmanager
async def hosts_core(
    path: Path,
    *,
    ledger: HostLedger | None = None,
    clock: ManualClock | None = None,
    definitions: Definitions | None = None,
    seams: Seams | None = None,
    **rules: Any,
) -> AsyncIterator[HostCore]:
    """A core over the database file `path`, whose only pool has hosts by these rules."""
    clock = clock or ManualClock()
    cloud = FakeHostBackend(ledger, clock)
    cloud.boot_s, cloud.delete_s, cloud.steps = 20.0, 10.0, (("init script", 10.0),)
    definitions = definitions or make_definitions(pools=[host_pool(**rules)])
    async with open_core(path / "broker.db", definitions, clock=clock, backend=cloud, seams=seams) as core:
        yield HostCore(core, cloud)
