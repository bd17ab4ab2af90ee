"""The part of the demo's clouds that is virtual machines: the fake of Alibaba Cloud, its network, what is on hosts."""

import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from ipaddress import IPv4Network
from pathlib import Path
from typing import Final

import broker
from broker.clock import SystemClock
from broker.demo.clouds.alibaba.cloud import FakeAlibaba
from broker.demo.clouds.alibaba.knobs import Timing
from broker.demo.clouds.alibaba.networks import SecurityGroup, Vpc, VSwitch
from broker.demo.clouds.control_alibaba import controlled_alibaba
from broker.demo.clouds.machine_pool import GROUP, REGION, blocks_of, vswitch_of
from broker.demo.clouds.serving import serving
from broker.demo.clouds.vms.agents import with_agents
from broker.demo.clouds.vms.runner import running_vms
from broker.demo.clouds.vms.spec import Image

VPC: Final = "vpc-bp1demo"
QUICK: Final = Timing(
    pending_s=0.1, starting_s=(0.3, 0.8), stopping_s=0.2, forced_s=0.1, listed_after_end_s=0.5, address_s=0.1,
    public_address_s=0.2, assistant_s=0.0,
)  # fmt: skip
"""Times for people who watch: seconds where the cloud takes a minute."""


def add_network(fake: FakeAlibaba, block: IPv4Network) -> list[VSwitch]:
    """A VPC with a vSwitch in each zone of the fake's region, an equal part of its block; and a security group.

    The group lets nothing in, which the fake does not heed: its virtual machines are reached.
    """
    region = fake.ecs.region()
    now = region.world.now()
    made = [
        VSwitch(id=vswitch_of(zone), name=f"demo-{zone[-1]}", vpc=VPC, zone=zone, cidr=part, created_at=now, ready_at=0)
        for zone, part in zip(region.zones, blocks_of(block), strict=True)
    ]
    fake.vpc.add(Vpc(id=VPC, name="demo", cidr=block, created_at=now, ready_at=0))
    fake.vpc.add(SecurityGroup(id=GROUP, name="demo", vpc=VPC, created_at=now))
    for vswitch in made:
        fake.vpc.add(vswitch)
    return made


@asynccontextmanager
async def running_alibaba(
    root: Path, *, block: IPv4Network, keys: tuple[str, str], port: int, written: Sequence[Path], java: str
) -> AsyncIterator[None]:
    """Alibaba Cloud with virtual machines, while it is entered; it is controlled from `root`.

    What its agents write to is `written`. With `java` that program of this machine runs agent.jar; else the simulated
    agent does in its place. The machine outside has the addresses of its end in `block` from the beginning.
    """
    fake = FakeAlibaba(SystemClock(), region=REGION, access_key=keys[0], secret_key=keys[1], bare=True)
    fake.ecs.timing = QUICK
    vswitches = add_network(fake, block)
    with tempfile.TemporaryDirectory(prefix="agentbroker-vms-") as short:  # a socket's path may have 107 bytes
        async with serving(fake, port) as url, running_vms(fake, Path(short) / "vms") as runner:
            runner.image = image_of(root, written, java)
            for vswitch in vswitches:
                await runner.vms.listen_in(vswitch.cidr)
            async with controlled_alibaba(fake, runner, url, root):
                yield


def image_of(root: Path, written: Sequence[Path], java: str) -> Image:
    """What is on machines; they find Python and the broker's code, whom to trust, and the java of this one."""
    python, code = Path(sys.executable).resolve(), Path(broker.__file__).parent
    prefix = Path(sys.base_prefix).resolve()
    files = [code, prefix, *(root / "tls" / name for name in ("ca.crt", "ca.p12")), *([Path(java)] if java else [])]
    shared = [path for path in files if path.exists() and not path.is_relative_to("/usr")]
    agent = ["env", f"PYTHONPATH={code.parent}", str(python), "-m", "broker.demo.agent"]
    return with_agents(Image(), agent, shared=shared, written=written, java=not java)
