"""Which instance types fit, and in which zones they are in stock: reads alone."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from broker.backends.alibaba_ecs.asking import Ask, items, pages

USUAL_CPU: Final = 2.0
USUAL_MEMORY_MIB: Final = 8192
"""What the plugin chooses where no type is said: 2 vCPU and 8 GiB."""
MOST_TYPES: Final = 5
_MIB: Final = 1024
_AVAILABLE: Final = ("Available", "WithStock")
"""Status and StatusCategory of what can be had (ECS API reference, DescribeAvailableResource)."""
_BURSTABLE: Final = ("ecs.t5", "ecs.t6", "ecs.s6", "ecs.xn4", "ecs.n1", "ecs.n2", "ecs.n4", "ecs.e4")
"""Families whose processors are shared: a build would take as long as its neighbours let it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What hosts must be. Empty `types` are chosen by size, empty `zones` are all of the region."""

    cpu: float = USUAL_CPU
    memory_mib: int = USUAL_MEMORY_MIB
    types: tuple[str, ...] = ()
    zones: tuple[str, ...] = ()
    spot_strategy: str = "NoSpot"
    architecture: str = "X86"
    disk_category: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """How the cloud says that a type in a zone stands, such as Available and WithoutStock."""

    status: str
    category: str

    @property
    def can_be_had(self) -> bool:
        """Whether an order has a chance."""
        return (self.status, self.category) == _AVAILABLE


Stock = Mapping[str, Mapping[str, State]]
"""Zone → type → how it stands."""


async def stock_of(ask: Ask, wanted: Wanted, kind: str = "") -> Stock:
    """What the cloud says of all types in all zones, or of type `kind` alone: one call."""
    request: dict[str, Any] = {
        "DestinationResource": "InstanceType",
        "ResourceType": "instance",
        "InstanceChargeType": "PostPaid",
        "IoOptimized": "optimized",
        "NetworkCategory": "vpc",
        "SpotStrategy": wanted.spot_strategy,
    }
    if kind:
        request["InstanceType"] = kind
    if wanted.disk_category:
        request["SystemDiskCategory"] = wanted.disk_category
    answer = await ask("ecs:DescribeAvailableResource", request)
    return {
        str(zone.get("ZoneId")): dict(_types_of(zone)) for zone in items(answer, ("AvailableZones", "AvailableZone"))
    }


def _types_of(zone: Mapping[str, Any]) -> Iterable[tuple[str, State]]:
    """A zone that can have nothing has no type that can be had, whatever is said of each."""
    whole = _state(zone)
    for resource in items(zone, ("AvailableResources", "AvailableResource")):
        if resource.get("Type") == "InstanceType":
            for one in items(resource, ("SupportedResources", "SupportedResource")):
                own = _state(one)
                yield str(one.get("Value")), whole if own.can_be_had and not whole.can_be_had else own


def _state(one: Mapping[str, Any]) -> State:
    return State(status=str(one.get("Status") or ""), category=str(one.get("StatusCategory") or ""))


async def fitting(ask: Ask, wanted: Wanted) -> list[tuple[str, float, int]]:
    """Types that have at least the wanted size, the smallest first, with vCPU and MiB: all pages."""
    request = {
        "MinimumCpuCoreCount": math.ceil(wanted.cpu),
        "MinimumMemorySize": wanted.memory_mib / _MIB,
    }
    found = await pages(ask, "ecs:DescribeInstanceTypes", request)
    sizes = [
        (str(one["InstanceTypeId"]), float(one["CpuCoreCount"]), round(float(one["MemorySize"]) * _MIB))
        for one in found
        if _is_usual(one, wanted.architecture)
    ]
    fits = [one for one in sizes if one[1] >= wanted.cpu and one[2] >= wanted.memory_mib]
    return sorted(fits, key=lambda one: (one[1], one[2], one[0]))


def _is_usual(one: Mapping[str, Any], architecture: str) -> bool:
    """A plain virtual machine: no GPU, no local disks, no shared processors, no bare metal."""
    name = str(one.get("InstanceTypeId") or "")
    plain = not int(one.get("GPUAmount") or 0) and not int(one.get("LocalStorageAmount") or 0)
    own = str(one.get("CpuArchitecture") or architecture)
    return plain and own == architecture and not name.startswith(_BURSTABLE) and "ebm" not in name


def choose_types(fits: Iterable[tuple[str, float, int]], stock: Stock, zones: tuple[str, ...]) -> tuple[str, ...]:
    """The smallest that fit and are in stock in some allowed zone: those of one size, at most five; none: ()."""
    have = {
        kind
        for zone, types in stock.items()
        if not zones or zone in zones
        for kind, state in types.items()
        if state.can_be_had
    }
    there = [one for one in fits if one[0] in have]
    return tuple(name for name, cpu, memory in there if (cpu, memory) == there[0][1:])[:MOST_TYPES]


def choose_zones(types: Iterable[str], stock: Stock, zones: tuple[str, ...]) -> tuple[str, ...]:
    """Zones in which some of the types are in stock: in the order of `zones`, else those with most of them first."""
    wanted = set(types)
    counts = {
        zone: sum(state.can_be_had for kind, state in known.items() if kind in wanted)
        for zone, known in stock.items()
        if not zones or zone in zones
    }
    found = [zone for zone, count in counts.items() if count]
    return tuple(sorted(found, key=lambda zone: zones.index(zone) if zones else (-counts[zone], zone)))
