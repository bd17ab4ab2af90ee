"""An `AlibabaBackend` over the strict fake of Alibaba Cloud, by the real SDK; its hosts are directories here."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from broker.backends.alibaba_ecs.assembly import Surroundings, open_alibaba
from broker.backends.alibaba_ecs.backend import AlibabaBackend
from broker.backends.ssh.transport import HostUnreachable, Ran
from broker.clock import SystemClock
from broker.demo.clouds.alibaba.cloud import FakeAlibaba
from broker.demo.clouds.alibaba.knobs import Timing
from broker.demo.clouds.faults import Fault
from broker.demo.clouds.serving import serving
from broker.domain.host import HostRules, HostState, SeenHost
from broker.domain.host_order import HostOrder, HostPlace
from broker.domain.ids import BackendName, ControllerName, HostId, HostRef, PolicyName
from broker.domain.offer import Offering
from broker.domain.pool import BackendDefinition, Pool
from broker.errors import BackendError
from broker.ports import Clock, LaunchSpec
from broker.testing.factories import POOL, make_pool, make_spec, make_template
from broker.testing.memory import FakeMemory

BACKEND = BackendName("ali")
ZONE = "cn-hangzhou-h"
TYPE = "ecs.c7.xlarge"
AGENT = 'trap "exit 143" TERM; while :; do sleep 0.05; done'
QUICK = Timing(
    pending_s=0.02,
    starting_s=0.05,
    stopping_s=0.02,
    forced_s=0.02,
    listed_after_end_s=0.1,
    address_s=0.0,
    public_address_s=0.05,
    assistant_s=0.0,
)
POOL_OPTIONS: dict[str, Any] = {
    "image_id": "aliyun_3_x64_20G_alibase_20260528.vhd",
    "instance_types": [TYPE],
    "vswitches": ["vsw-bp1agentsh"],
    "security_groups": ["sg-bp1agents"],
    "charge": {"spot_strategy": "SpotAsPriceGo", "on_no_stock": "on-demand"},
    "runner": {"command": ["/bin/sh", "-c", AGENT, "agent"]},
    "ssh": {"user": "root", "host_key": "accept-new", "private_key": "not used"},
}


class Directories:
    """A `Transport` whose hosts are directories of this machine, each the home of its user."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.gone: Callable[[HostPlace], bool] = lambda place: False

    async def run(
        self,
        place: HostPlace,
        script: str,
        *,
        stdin: bytes = b"",
        limit_s: float,
        heard: Callable[[str], None] | None = None,
    ) -> Ran:
        if self.gone(place):
            raise HostUnreachable("Gone", f"{place.id} is not there")
        home = self.root / place.id
        home.mkdir(parents=True, exist_ok=True)
        process = await asyncio.create_subprocess_exec(
            "/bin/sh",
            "-c",
            script,
            cwd=home,
            env={"PATH": os.environ["PATH"], "HOME": str(home)},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(limit_s):
            output, errors = await process.communicate(stdin)
        for line in output.decode(errors="replace").splitlines():
            if heard is not None:
                heard(line)
        return Ran(code=process.returncode, output=output.decode(errors="replace"), errors=errors.decode()[-4096:])

    async def forget(self, host: HostId) -> None:
        return

    async def close(self) -> None:
        return

    def end_all(self) -> None:
        """Ends what runs in them, by its working directory."""
        for entry in Path("/proc").iterdir():
            with suppress(OSError, ValueError):
                if str(self.root) in str((entry / "cwd").readlink()) and int(entry.name) != os.getpid():
                    os.kill(int(entry.name), signal.SIGKILL)


class AlibabaRig:
    """One backend; `reopen` makes the next one as a restarted broker does, with the store's memory alone."""

    def __init__(self, fake: FakeAlibaba, url: str, clock: Clock, root: Path, **options: Any) -> None:
        self.fake, self.clock = fake, clock
        self.options = {
            "region": fake.region,
            "access_key_id": fake.access_key,
            "access_key_secret": fake.secret_key,
            "endpoints": dict.fromkeys(("ecs", "vpc", "sts", "metadata"), url),
            "auto_release": 21600.0,
            **options,
        }
        self.memories: dict[str, FakeMemory] = {}
        self.called: list[tuple[str, BackendError | None]] = []
        self.places: dict[str, HostPlace] = {}
        self.hosts = Directories(root)
        self.hosts.gone = lambda place: place.ref not in {one.id for one in fake.ecs.living}
        self.pool_options: Mapping[str, Any] = {}
        self.backend = self.open()

    def open(self) -> AlibabaBackend:
        definition = BackendDefinition(name=BACKEND, type="alibaba-ecs", options=self.options)
        around = Surroundings(
            installation="0123abcd",
            sign=lambda text: f"signed-{hash(text)}",
            clock=self.clock,
            memory=lambda key: self.memories.setdefault(key, FakeMemory()),
            called=lambda action, failed, _: self.called.append((action, failed)),
            place_of=self.places.get,
            transport=self.hosts,
        )
        return open_alibaba(definition, around)

    @property
    def pool(self) -> Pool:
        return make_pool(
            backend=BACKEND, options={**POOL_OPTIONS, **self.pool_options}, hosts=HostRules(agents_per_host=2)
        )

    def order(self, n: int = 1, hosts: int = 1, **changes: Any) -> HostOrder:
        ids = tuple(HostId(f"h-{n:06x}{i:06x}") for i in range(hosts))
        order = HostOrder(
            token=f"order-{n}",
            pool=self.pool,
            offering=Offering(POOL, ZONE, TYPE, "spot"),
            hosts=ids,
            controller=ControllerName("main"),
            policy=PolicyName("linux"),
        )
        return replace(order, **changes)

    def spec(self, place: HostPlace, n: int = 1) -> LaunchSpec:
        spec = make_spec(n, pool=place.pool, template=make_template(), host=place.id, place=place)
        return replace(spec, key=replace(spec.key, host=place.id))

    def set_place(self, host: HostId, place: HostPlace | None) -> None:
        self.places.pop(host, None)
        if place is not None:
            self.places[host] = place

    async def reopen(self) -> AlibabaBackend:
        await self.backend.close()
        self.backend = self.open()
        return self.backend

    async def count_hosts(self) -> int:
        return len([one for one in self.fake.ecs.living if "agentbroker:signature" in one.tags])

    async def let_time_pass(self) -> None:
        await asyncio.sleep(0.03)

    # what happens in the world

    def lose_answer(self) -> None:
        self.fake.faults.add(Fault(action="RunInstances", drop=True, after_effect=True))

    def set_stock(self, hosts: int) -> None:
        for spot in (True, False):
            self.fake.stock.put(ZONE, TYPE, spot=spot, count=hosts)

    async def vanish(self, ref: HostRef) -> None:
        self.fake.ecs.vanish(ref)

    async def add_stranger(self) -> HostRef:
        """An instance with the tags of one of ours, but a signature of somebody else's."""
        made = (await self.backend.create_hosts(self.order(99))).refs
        [ref] = made.values()
        self.fake.ecs.instance(ref).tags["agentbroker:signature"] = "copied"
        return ref

    async def interrupt(self, ref: HostRef, message: str) -> datetime:
        self.fake.ecs.interrupt(ref)
        return datetime.fromtimestamp(self.clock.now().timestamp() + 300, tz=UTC)

    # what a test sees

    async def seen(self, ref: HostRef) -> SeenHost | None:
        return (await self.backend.describe_hosts([ref])).get(ref)

    async def wait_for(self, ref: HostRef, state: HostState | None) -> SeenHost | None:
        seen: SeenHost | None = None
        for _ in range(300):
            seen = await self.seen(ref)
            if (seen.state if seen is not None else None) is state:
                return seen
            await self.let_time_pass()
        raise AssertionError(f"{ref} is not {state}: {seen}")

    def calls(self, action: str = "") -> list[str]:
        """The actions that the cloud was asked for, in order."""
        return [call.action for call in self.fake.ledger if action in {"", call.action}]


@asynccontextmanager
async def alibaba_rig(root: Path, clock: Clock | None = None, **options: Any) -> AsyncIterator[AlibabaRig]:
    """A cloud of its own, whose instances are quick."""
    clock = clock or SystemClock()
    fake = FakeAlibaba(clock)
    fake.ecs.timing = replace(QUICK)
    options = {"poll_interval": 0.02, **options}
    async with serving(fake) as url:
        rig = AlibabaRig(fake, url, clock, root, **options)
        try:
            yield rig
        finally:
            await rig.backend.close()
            rig.hosts.end_all()
