"""What there is in an account on Alibaba Cloud that a config could name: items for programs, columns for people."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from broker.backends.alibaba_ecs.asking import items
from broker.backends.alibaba_ecs.network_marks import AGENTBROKER, MANAGED_BY, tags_of
from broker.backends.alibaba_ecs.network_stock import Wanted, stock_of
from broker.doctor.alibaba_ask import AlibabaCloud

Item = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of thing: how it is found, and which of its fields people are shown."""

    title: str
    columns: Sequence[str]
    find: Callable[[AlibabaCloud, str], Awaitable[list[Item]]]
    """The second argument narrows the search to what `narrowed_by` says; empty does not."""
    narrowed_by: str = ""
    key: str = ""
    """The key of a pool that takes it."""


async def images(cloud: AlibabaCloud, owner: str = "") -> list[Item]:
    """The account's own images and the vendor's, or those of an owner: self, system, others, marketplace."""
    found = list[Item]()
    for whose in [owner] if owner else ["self", "system"]:
        asked = {"ImageOwnerAlias": whose, "Status": "Available"}
        found += [_image(one) for one in await cloud.pages("ecs:DescribeImages", asked)]
    return sorted(found, key=lambda item: (item["owner"] != "self", item["os"], item["id"]))


def _image(one: Mapping[str, Any]) -> Item:
    return {
        "id": str(one.get("ImageId") or ""),
        "name": str(one.get("ImageName") or ""),
        "os": str(one.get("OSNameEn") or one.get("OSName") or one.get("OSType") or ""),
        "architecture": str(one.get("Architecture") or ""),
        "size_gib": int(one.get("Size") or 0),
        "status": str(one.get("Status") or ""),
        "family": str(one.get("ImageFamily") or ""),
        "owner": str(one.get("ImageOwnerAlias") or ""),
    }


async def zones(cloud: AlibabaCloud, _: str = "") -> list[Item]:
    """All zones of the region, and how many instance types each has in stock on demand."""
    answer = await cloud.ask("ecs:DescribeZones")
    stock = await stock_of(cloud.call, Wanted())
    return sorted((_zone(one, stock) for one in items(answer, ("Zones", "Zone"))), key=lambda item: str(item["id"]))


def _zone(one: Mapping[str, Any], stock: Mapping[str, Mapping[str, Any]]) -> Item:
    here = stock.get(str(one.get("ZoneId")), {})
    return {
        "id": str(one.get("ZoneId") or ""),
        "name": str(one.get("LocalName") or ""),
        "types_in_stock": sum(state.can_be_had for state in here.values()),
    }


async def types(cloud: AlibabaCloud, zone: str = "") -> list[Item]:
    """All instance types with their sizes, and the zones that have them in stock, on demand and as spot."""
    known = await cloud.pages("ecs:DescribeInstanceTypes")
    plain = await stock_of(cloud.call, Wanted())
    spot = await stock_of(cloud.call, Wanted(spot_strategy="SpotAsPriceGo"))
    found = [_type(one, plain, spot, zone) for one in known]
    there = [item for item in found if not zone or item["zones"] or item["spot_zones"]]
    return sorted(there, key=lambda item: (item["cpu"], item["memory_gib"], item["id"]))


def _type(one: Mapping[str, Any], plain: Mapping[str, Any], spot: Mapping[str, Any], zone: str) -> Item:
    name = str(one.get("InstanceTypeId") or "")

    def having(stock: Mapping[str, Any]) -> list[str]:
        there = [at for at, known in stock.items() if name in known and known[name].can_be_had]
        return sorted(at for at in there if not zone or at == zone)

    return {
        "id": name,
        "cpu": int(one.get("CpuCoreCount") or 0),
        "memory_gib": float(one.get("MemorySize") or 0),
        "architecture": str(one.get("CpuArchitecture") or ""),
        "zones": having(plain),
        "spot_zones": having(spot),
    }


async def vpcs(cloud: AlibabaCloud, _: str = "") -> list[Item]:
    """All VPCs of the region."""
    return sorted((_vpc(one) for one in await cloud.pages("vpc:DescribeVpcs")), key=lambda item: str(item["id"]))


def _vpc(one: Mapping[str, Any]) -> Item:
    more = (one.get("SecondaryCidrBlocks") or {}).get("SecondaryCidrBlock") or []
    return {
        "id": str(one.get("VpcId") or ""),
        "name": str(one.get("VpcName") or ""),
        "blocks": [str(one.get("CidrBlock") or ""), *(str(block) for block in more)],
        "status": str(one.get("Status") or ""),
        "default": bool(one.get("IsDefault")),
        "ours": tags_of(one).get(MANAGED_BY) == AGENTBROKER,
    }


async def vswitches(cloud: AlibabaCloud, vpc: str = "") -> list[Item]:
    """All vSwitches of the region, or of a VPC."""
    found = await cloud.pages("vpc:DescribeVSwitches", {"VpcId": vpc} if vpc else {})
    return sorted((_vswitch(one) for one in found), key=lambda item: (item["vpc"], item["zone"], item["id"]))


def _vswitch(one: Mapping[str, Any]) -> Item:
    return {
        "id": str(one.get("VSwitchId") or ""),
        "name": str(one.get("VSwitchName") or ""),
        "vpc": str(one.get("VpcId") or ""),
        "zone": str(one.get("ZoneId") or ""),
        "block": str(one.get("CidrBlock") or ""),
        "free_addresses": int(one.get("AvailableIpAddressCount") or 0),
        "status": str(one.get("Status") or ""),
        "ours": tags_of(one).get(MANAGED_BY) == AGENTBROKER,
    }


async def security_groups(cloud: AlibabaCloud, vpc: str = "") -> list[Item]:
    """All security groups of the region, or of a VPC."""
    found = await cloud.pages("ecs:DescribeSecurityGroups", {"VpcId": vpc} if vpc else {})
    return sorted((_group(one) for one in found), key=lambda item: (item["vpc"], item["id"]))


def _group(one: Mapping[str, Any]) -> Item:
    return {
        "id": str(one.get("SecurityGroupId") or ""),
        "name": str(one.get("SecurityGroupName") or ""),
        "vpc": str(one.get("VpcId") or ""),
        "type": str(one.get("SecurityGroupType") or ""),
        "description": str(one.get("Description") or ""),
        "ours": tags_of(one).get(MANAGED_BY) == AGENTBROKER,
    }


async def key_pairs(cloud: AlibabaCloud, _: str = "") -> list[Item]:
    """All key pairs of the region."""
    found = await cloud.pages("ecs:DescribeKeyPairs")
    return sorted((_key_pair(one) for one in found), key=lambda item: str(item["name"]))


def _key_pair(one: Mapping[str, Any]) -> Item:
    return {
        "name": str(one.get("KeyPairName") or ""),
        "fingerprint": str(one.get("KeyPairFingerPrint") or ""),
        "created": str(one.get("CreationTime") or ""),
    }


KINDS: Final[Mapping[str, Kind]] = {
    "images": Kind(
        title="ImageList",
        columns=("id", "os", "architecture", "size_gib", "owner", "family"),
        find=images,
        narrowed_by="owner",
        key="image_id",
    ),
    "zones": Kind(title="ZoneList", columns=("id", "name", "types_in_stock"), find=zones, key="zones"),
    "types": Kind(
        title="InstanceTypeList",
        columns=("id", "cpu", "memory_gib", "architecture", "zones", "spot_zones"),
        find=types,
        narrowed_by="zone",
        key="instance_types",
    ),
    "vpcs": Kind(title="VpcList", columns=("id", "name", "blocks", "status", "default", "ours"), find=vpcs),
    "vswitches": Kind(
        title="VSwitchList",
        columns=("id", "vpc", "zone", "block", "free_addresses", "status", "ours"),
        find=vswitches,
        narrowed_by="VPC",
        key="vswitches",
    ),
    "security-groups": Kind(
        title="SecurityGroupList",
        columns=("id", "name", "vpc", "type", "ours", "description"),
        find=security_groups,
        narrowed_by="VPC",
        key="security_groups",
    ),
    "key-pairs": Kind(title="KeyPairList", columns=("name", "fingerprint", "created"), find=key_pairs, key="key_pair"),
}
