"""What may be had where: regions, zones, what is available, and what spot capacity has cost."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from broker.demo.clouds.alibaba import errors, formats
from broker.demo.clouds.alibaba.catalog import InstanceType, zones_of
from broker.demo.clouds.alibaba.errors import NotBuilt
from broker.demo.clouds.alibaba.region import Region
from broker.demo.clouds.model import ApiError, Call, Parameters

_CATEGORIES: Final = ("cloud_efficiency", "cloud_ssd", "cloud_essd", "cloud_auto", "cloud_essd_entry")
_STRATEGIES: Final = "NoSpot SpotWithPriceLimit SpotAsPriceGo"
_SCARCE: Final = 10
"""With fewer left than that, stock is told as short."""


def describe_regions(region: Region, call: Call) -> Parameters:
    """All."""
    regions = [
        {"RegionId": one, "LocalName": one, "RegionEndpoint": f"ecs.{one}.aliyuncs.com"} for one in region.world.regions
    ]
    return {"Regions": {"Region": regions}}


def describe_zones(region: Region, call: Call) -> Parameters:
    """Those of the region, with the types that each has in stock."""
    spot = call.parameters.get("SpotStrategy", "NoSpot") != "NoSpot"
    zones = [
        {
            "ZoneId": zone,
            "LocalName": zone,
            "ZoneType": "AvailabilityZone",
            "AvailableDiskCategories": {"DiskCategories": list(_CATEGORIES)},
            "AvailableInstanceTypes": {"InstanceTypes": [one.id for one in _stocked(region, zone, spot=spot)]},
            "AvailableResourceCreation": {"ResourceTypes": ["VSwitch", "IoOptimized", "Instance", "Disk"]},
        }
        for zone in region.zones
    ]
    return {"Zones": {"Zone": zones}}


def _stocked(region: Region, zone: str, *, spot: bool) -> Iterable[InstanceType]:
    stock = region.stock
    return (one for one in region.catalog.types.values() if stock.left(zone, one.id, spot=spot) != 0)


def describe_available(region: Region, call: Call) -> Parameters:
    """What of a kind can be had in each zone, and how much is in stock."""
    region.settle()
    said = call.parameters
    kind = said["DestinationResource"]
    if kind not in {"Zone", "InstanceType", "SystemDisk", "DataDisk", "Network", "IoOptimized"}:
        message = "The specified DestinationResource is not valid."
        raise ApiError("Invalid.DestinationResource", message, 404)
    if kind in {"Network", "IoOptimized"}:
        raise NotBuilt(f"DestinationResource {kind}")
    _check(said, kind)
    zones = [said["ZoneId"]] if "ZoneId" in said else region.zones
    found = [_zone(region, zone, kind, said) for zone in zones if zone in region.zones]
    return {"AvailableZones": {"AvailableZone": [one for one in found if one]}}


def _check(said: Mapping[str, Any], kind: str) -> None:
    formats.check_choice("SpotStrategy", said.get("SpotStrategy"), _STRATEGIES, "Invalid.SpotStrategy", 404)
    formats.check_choice("InstanceChargeType", said.get("InstanceChargeType"), "PostPaid PrePaid",
                         "Invalid.InstanceChargeType")  # fmt: skip
    formats.check_choice("IoOptimized", said.get("IoOptimized"), "none optimized", "Invalid.IoOptimized", 404)
    formats.check_choice("NetworkCategory", said.get("NetworkCategory"), "vpc classic", "Invalid.NetworkCategory", 404)
    formats.check_choice("ResourceType", said.get("ResourceType"), "instance disk reservedinstance ddh",
                         "Invalid.ResourceType", 404)  # fmt: skip
    if kind == "SystemDisk" and "InstanceType" not in said:
        raise errors.missing("InstanceType")
    if "InstanceType" in said and ("Cores" in said or "Memory" in said):
        message = "The specified 'InstanceType' and 'Cores','Memory' are not blank at the same time."
        raise ApiError("InvalidParam.TypeAndCpuMem.Conflict", message, 403)


def _zone(region: Region, zone: str, kind: str, said: Mapping[str, Any]) -> Parameters | None:
    """What is told of a zone; None for one that has nothing of what was asked."""
    spot = said.get("SpotStrategy", "NoSpot") != "NoSpot"
    types = [one for one in region.catalog.types.values() if _wanted(one, said) and region.stock.offers(zone, one.id)]
    if not types:
        return None
    left = [region.stock.left(zone, one.id, spot=spot) for one in types]
    if kind == "InstanceType":
        resources = [_resource(one.id, count) for one, count in zip(types, left, strict=True)]
    elif kind == "Zone":
        resources = []
    else:
        least = 20 if kind == "SystemDisk" else 10
        most = 2048 if kind == "SystemDisk" else 32768
        resources = [{**_resource(one, None), "Min": least, "Max": most, "Unit": "GiB"} for one in _CATEGORIES]
    any_left = None if None in left else sum(count or 0 for count in left)
    told: Parameters = {"RegionId": region.name, "ZoneId": zone, **_state(any_left)}
    if resources:
        listed = [{"Type": kind, "SupportedResources": {"SupportedResource": resources}}]
        told["AvailableResources"] = {"AvailableResource": listed}
    return told


def _wanted(one: InstanceType, said: Mapping[str, Any]) -> bool:
    return (
        said.get("InstanceType") in (None, one.id)
        and said.get("Cores") in (None, one.cpus)
        and said.get("Memory") in (None, one.memory_gib)
    )


def _resource(value: str, left: int | None) -> dict[str, Any]:
    return {"Value": value, **_state(left)}


def _state(left: int | None) -> dict[str, str]:
    if left is None or left >= _SCARCE:
        return {"Status": "Available", "StatusCategory": "WithStock"}
    if left > 0:
        return {"Status": "Available", "StatusCategory": "ClosedWithStock"}
    return {"Status": "SoldOut", "StatusCategory": "WithoutStock"}


def describe_spot_prices(region: Region, call: Call) -> Parameters:
    """What an hour costs in each zone, now and an hour ago: the fake's prices change only when a test says so."""
    now, said = region.settle(), call.parameters
    kind = region.catalog.types.get(said["InstanceType"])
    if kind is None:
        message = "The specified InstanceType does not exist or beyond the permitted range."
        raise ApiError("InvalidInstanceType.ValueNotSupported", message)
    formats.check_choice("NetworkType", said["NetworkType"], "vpc classic", "InvalidParams.NetworkType")
    times = [formats.moment(said[name]) if name in said else None for name in ("StartTime", "EndTime")]
    for name, at in zip(("StartTime", "EndTime"), times, strict=True):
        if name in said and at is None:
            raise ApiError(f"InvalidParams.{name}", f'The specified parameter "{name}" is not valid.')
    first, last = times[0] if times[0] is not None else now - 3 * 3600, times[1] if times[1] is not None else now
    zones = [zone for zone in zones_of(region.name) if said.get("ZoneId") in (None, zone)]
    moments = [at for at in (now - now % 3600 - 3600, now - now % 3600) if first <= at <= last]
    prices = [
        {
            "InstanceType": kind.id,
            "IoOptimized": "optimized",
            "NetworkType": "vpc",
            "OriginPrice": kind.price,
            "SpotPrice": region.stock.spot_price(zone, kind),
            "Timestamp": formats.told_exactly(at),
            "ZoneId": zone,
        }
        for zone in zones
        if region.stock.offers(zone, kind.id)
        for at in moments
    ]
    return {"Currency": "CNY", "NextOffset": 0, "SpotPrices": {"SpotPriceType": prices}}
