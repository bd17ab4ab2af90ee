"""The broker's real core, its backend for Alibaba Cloud and the SDK over the fake, in virtual time.

SSH and hosts, Jenkins and agents are played.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any, Final, cast

from broker.backends.alibaba_ecs.assembly import Surroundings, open_alibaba
from broker.backends.alibaba_ecs.backend import AlibabaBackend
from broker.demo.clouds.alibaba.cloud import FakeAlibaba
from broker.demo.clouds.alibaba.knobs import Timing
from broker.demo.clouds.alibaba.networks import VSwitch
from broker.demo.clouds.serving import serving
from broker.domain.host import Host, HostPhase, HostRules
from broker.domain.ids import AgentId
from broker.domain.pool import BackendDefinition
from broker.domain.resources import Resources
from broker.reconcile.loop import Pace
from broker.testing.backend import FakeBackend
from broker.testing.clock import ManualClock
from broker.testing.factories import BACKEND, make_definitions, make_policy, make_pool, make_template
from broker.testing.memory import FakeMemory
from tests.benchmarks.ali_machines import Machines
from tests.benchmarks.played import Played
from tests.benchmarks.under_way import Asks, Threads, Together, settling
from tests.core import open_core

BOOT_S: Final = 40.0
DELETION_S: Final = 10.0
TIMING: Final = Timing(pending_s=2.0, starting_s=BOOT_S - 2.0, listed_after_end_s=DELETION_S)
AGENTS_PER_HOST: Final = 2
IDLE: Final = timedelta(minutes=30)
RELEASE_S: Final = 21600.0
"""`auto_release` as it is where nothing is said."""
TYPE: Final = "ecs.c7.xlarge"
VSWITCHES: Final = ("vsw-bp1agentsh", "vsw-bp1agentsi")
_POOL: Final[Mapping[str, Any]] = {
    "image_id": "aliyun_3_x64_20G_alibase_20260528.vhd",
    "instance_types": [TYPE],
    "vswitches": [*VSWITCHES],
    "security_groups": ["sg-bp1agents"],
    "charge": {"spot_strategy": "SpotAsPriceGo", "on_no_stock": "on-demand"},
}


@dataclass(slots=True)
class World(Played):
    """A broker, and Alibaba Cloud."""

    fake: FakeAlibaba = field(kw_only=True)
    machines: Machines = field(kw_only=True)

    def started(self) -> Iterable[tuple[AgentId, str]]:
        """Agents that were started on their hosts."""
        self.fake.ecs.look()
        return self.machines.take_news()

    def left(self, instance: str) -> None:
        """Its process ends."""
        self.machines.left(instance)

    def is_empty(self) -> bool:
        """Whether the broker has seen the end of each host."""
        return not self.core.ctx.known.rows

    def hosts(self, phase: HostPhase) -> list[Host]:
        """The hosts in a phase."""
        return [host for host in self.core.ctx.known.rows.values() if host.phase is phase]

    async def rest(self, seconds: float) -> None:
        """Nothing is asked for meanwhile."""
        end = self.clock.monotonic() + seconds
        await self.until(lambda: self.clock.monotonic() >= end, 2 * seconds)

    async def ask(self, count: int) -> None:
        """So many builds, whose hosts are known from now on."""
        await Played.ask(self, count)
        await self.until(lambda: bool(self.core.ctx.known.rows))


@asynccontextmanager
async def ali_world(
    folder: Path, *, host_key: str = "accept-new", fewest: int = 0, idle: timedelta = IDLE, agents_s: float = 1.0
) -> AsyncIterator[World]:
    """A broker that is started, with a pool of spot hosts in two zones, which keeps `fewest` even if nothing runs.

    Others end when they have been without agents for `idle`. Agents are asked for on their hosts every `agents_s`,
    which is no call.
    """
    clock = ManualClock()
    fake, threads = FakeAlibaba(clock=clock), Threads()
    fake.ecs.timing = TIMING
    _make_room(fake)
    asyncio.get_running_loop().set_default_executor(threads)
    machines = Machines(clock)
    fake.ecs.runner = machines
    async with serving(fake) as url:
        backend, counted = _backend(fake, url, clock, machines)
        rules = HostRules(agents_per_host=AGENTS_PER_HOST, idle_timeout=idle, fewest=fewest)
        ssh = {"user": "root", "host_key": host_key, "private_key": "not used"}
        definitions = make_definitions(
            pools=[make_pool(options={**_POOL, "ssh": ssh}, hosts=rules)],
            templates=[make_template(resources=Resources(cpu_milli=2000, memory_mib=4096))],
            policies=[make_policy()],
        )
        stand_in = cast("FakeBackend", backend)  # all that the core asks of it is a `ports.Backend`
        async with open_core(folder / "broker.db", definitions, clock=clock, backend=stand_in) as core:
            backend._place_of = backend._parts.agents._place_of = core.ctx.place_of
            core.loop.pace = Pace(poll_s=agents_s, orphans_s=30 * agents_s)
            clock._settle = settling(Together(counted, threads), core.ctx.database._running)
            try:
                async with asyncio.TaskGroup() as group:
                    running = group.create_task(core.loop.run(), name="bench:loop")
                    await core.sync()
                    await clock.advance(1)
                    yield World(core, fake.ledger, clock, fake=fake, machines=machines)
                    running.cancel()
            finally:
                await backend.close()
                asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor())
                threads.shutdown()


def _make_room(fake: FakeAlibaba) -> None:
    """For a thousand hosts in each zone."""
    fake.vpc.add_network(cidr="10.0.0.0/8")
    for n, (name, one) in enumerate(list(fake.ecs.region().networks.vswitches.items())):
        cidr = IPv4Network(f"10.{n}.0.0/20")
        fake.vpc.add(VSwitch(id=name, name=name, vpc=one.vpc, zone=one.zone, cidr=cidr, created_at=0, ready_at=0))


def _backend(fake: FakeAlibaba, url: str, clock: ManualClock, machines: Machines) -> tuple[AlibabaBackend, Asks]:
    options = {
        "region": fake.region,
        "access_key_id": fake.access_key,
        "access_key_secret": fake.secret_key,
        "endpoints": dict.fromkeys(("ecs", "vpc", "sts", "metadata"), url),
        "auto_release": RELEASE_S,
    }
    definition = BackendDefinition(name=BACKEND, type="alibaba-ecs", options=options)
    memories: dict[str, FakeMemory] = {}
    around = Surroundings(
        installation="0123abcd",
        sign=lambda text: f"signed-{hash(text)}",
        clock=clock,
        memory=lambda key: memories.setdefault(key, FakeMemory()),
        called=lambda action, failed, seconds: None,
        place_of=lambda host: None,
        transport=machines,
    )
    backend = open_alibaba(definition, around)
    machines.trust = backend._parts.agents._preparations._trust
    counted = Asks(backend.calls._asked)
    backend.calls._asked = counted
    return backend, counted
