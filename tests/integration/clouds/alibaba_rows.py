"""A pool as the file writes it, and the host that the cloud then has: by the config, the backend and the real SDK."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

from broker.config.load import parse
from broker.demo.clouds.alibaba.instances import Disk, Instance
from broker.demo.clouds.alibaba.networks import VSwitch
from broker.demo.clouds.alibaba.vpc import VPC
from broker.domain.host import HostState, SeenHost
from broker.domain.host_order import HostOrder, HostPlace
from broker.domain.ids import HostRef, PoolName
from broker.domain.offer import Offering
from broker.domain.pool import Pool
from tests.contract.alibaba_rig import TYPE, ZONE, AlibabaRig, alibaba_rig

IMAGE = "aliyun_3_x64_20G_alibase_20260528.vhd"
WINDOWS = "win2022_21H2_x64_dtc_en-us_40G_alibase_20260610.vhd"
USUAL = {
    "image_id": IMAGE,
    "instance_types": f"[{TYPE}]",
    "vswitches": "[vsw-bp1h]",
    "security_groups": "[sg-bp1agents]",
    "start_by": "cloud-assistant",
}


def written(**said: str | None) -> Pool:
    """A pool of these keys beside the least that each needs; None takes one of those away."""
    keys = {name: text for name, text in {**USUAL, **said}.items() if text is not None}
    text = f"""version: 1
gateway: {{ websocket: {{ listen: "0.0.0.0:7073", advertise: "wss://agents.example.com" }} }}
backends: {{ ali: {{ type: alibaba-ecs, region: cn-hangzhou }} }}
pools: {{ it: {{ backend: ali, {", ".join(f"{name}: {value}" for name, value in keys.items())} }} }}
"""
    loaded = parse(text, env={})
    return loaded.definitions.pools[PoolName("it")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """What has come of an order for one host."""

    request: Mapping[str, Any]
    """RunInstances' parameters as they went out."""
    instance: Instance
    disks: list[Disk]
    """Its system disk first."""


@asynccontextmanager
async def rows_rig(root: Path) -> AsyncIterator[AlibabaRig]:
    """A cloud with two vSwitches whose names a file may have."""
    async with alibaba_rig(root) as rig:
        for letter, block in (("h", "10.0.200.0/24"), ("i", "10.0.201.0/24")):
            zone = f"cn-hangzhou-{letter}"
            rig.fake.vpc.add(
                VSwitch(
                    id=f"vsw-bp1{letter}", name=letter, vpc=VPC, zone=zone, cidr=IPv4Network(block), created_at=0,
                    ready_at=0,
                )
            )  # fmt: skip
        yield rig
        assert rig.fake.ledger.problems == []


def order_of(rig: AlibabaRig, pool: Pool, capacity: str = "on-demand", **changes: Any) -> HostOrder:
    """An order for a host of a pool; `changes` to it."""
    values = {"pool": pool, "offering": Offering(pool.name, ZONE, TYPE, capacity), **changes}
    return rig.order(**values)


async def made(rig: AlibabaRig, pool: Pool, capacity: str = "on-demand", **changes: Any) -> Host:
    """The host that an order makes."""
    [ref] = (await rig.backend.create_hosts(order_of(rig, pool, capacity, **changes))).refs.values()
    return seen(rig, ref)


def seen(rig: AlibabaRig, ref: str) -> Host:
    """What the cloud has of a host."""
    disks = [disk for disk in rig.fake.ecs.region().disks.values() if disk.instance == ref]
    disks.sort(key=lambda disk: disk.kind != "system")
    request = rig.fake.ledger.of("RunInstances")[-1].parameters
    return Host(request=request, instance=rig.fake.ecs.instance(ref), disks=disks)


async def running(rig: AlibabaRig, order: HostOrder) -> SeenHost:
    """A host of an order that runs and has its address."""
    [ref] = (await rig.backend.create_hosts(order)).refs.values()
    async with asyncio.timeout(20):
        while True:
            found = (await rig.backend.describe_hosts([ref])).get(ref)
            if found is not None and found.state is HostState.RUNNING and found.address:
                return found
            await rig.let_time_pass()


def place_of(order: HostOrder, found: SeenHost) -> HostPlace:
    """A host that runs, as those see it who go there."""
    return HostPlace(id=order.hosts[0], pool=order.pool, ref=HostRef(found.ref), address=found.address)
