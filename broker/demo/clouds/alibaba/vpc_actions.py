"""CreateVpc, DescribeVpcs, DeleteVpc.

https://www.alibabacloud.com/help/en/vpc/developer-reference/api-vpc-2016-04-28-createvpc
"""

from ipaddress import AddressValueError, IPv4Network, NetmaskValueError
from typing import Final

from broker.demo.clouds.alibaba import errors, formats, paging
from broker.demo.clouds.alibaba.networks import Vpc
from broker.demo.clouds.alibaba.region import Region
from broker.demo.clouds.model import ApiError, Call, Parameters

_USUAL: Final = "172.16.0.0/12"
_PRIVATE: Final = tuple(IPv4Network(one) for one in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))
_FORBIDDEN: Final = tuple(
    IPv4Network(one) for one in ("100.64.0.0/10", "224.0.0.0/4", "127.0.0.0/8", "169.254.0.0/16", "0.0.0.0/8")
)


def block(text: str) -> IPv4Network | None:
    """A block of addresses; None for a text that is none, or whose address is not its first."""
    try:
        return IPv4Network(text) if "/" in text else None
    except (AddressValueError, NetmaskValueError, ValueError):
        return None


def create(region: Region, call: Call) -> Parameters:
    """One more, Pending at first."""
    now, said = region.settle(), call.parameters
    if (again := region.tokens.answer("CreateVpc", said, now)) is not None:
        return again
    cidr = block(said.get("CidrBlock", _USUAL))
    if cidr is None or not 8 <= cidr.prefixlen <= 28 or any(cidr.overlaps(one) for one in _FORBIDDEN):
        raise ApiError("InvalidCidrBlock.Malformed", "Specified CIDR block is not valid.")
    check_texts(
        said.get("VpcName"), said.get("Description"), "InvalidVpcName.Malformed", "InvalidVpcDiscription.Malformed"
    )
    tags = formats.tags(said.get("Tag"))
    if len(region.networks.vpcs) >= region.knobs.quotas.vpcs:
        raise ApiError("QuotaExceeded.Vpc", "VPC quota exceeded.")
    if said.get("DryRun"):
        raise errors.dry_run()
    vpc = Vpc(
        id=region.world.fresh("vpc"),
        name=said.get("VpcName", ""),
        description=said.get("Description", ""),
        cidr=cidr,
        created_at=now,
        ready_at=now + region.drawn(region.knobs.timing.vpc_pending_s),
        router=region.world.fresh("vrt"),
        route_table=region.world.fresh("vtb"),
        tags=tags,
    )
    region.networks.vpcs[vpc.id] = vpc
    answer: Parameters = {"VpcId": vpc.id, "VRouterId": vpc.router, "RouteTableId": vpc.route_table}
    return region.tokens.keep("CreateVpc", said, now, answer)


def check_texts(name: str | None, description: str | None, code: str, description_code: str) -> None:
    """Raises ApiError for a name or a description that is not taken."""
    if name is not None and (not 1 <= len(name) <= 128 or name.startswith(("http://", "https://"))):
        raise errors.invalid("Name", code)
    if description is not None and (len(description) > 256 or description.startswith(("http://", "https://"))):
        raise errors.invalid("Description", description_code)


def describe(region: Region, call: Call) -> Parameters:
    """By ids, name and tags, at most 50 a page."""
    now, said = region.settle(), call.parameters
    ids = said["VpcId"].split(",") if "VpcId" in said else None
    tags = formats.wanted_tags(said.get("Tag"))
    found = [
        vpc
        for vpc in region.networks.vpcs.values()
        if (ids is None or vpc.id in ids)
        and said.get("VpcName") in (None, vpc.name)
        and said.get("IsDefault") in (None, vpc.is_default)
        and formats.has_tags(vpc.tags, tags)
    ]
    shown, told = paging.page(found, said, most=50)
    return {**told, "Vpcs": {"Vpc": [_told(region, vpc, now) for vpc in shown]}}


def _told(region: Region, vpc: Vpc, now: float) -> Parameters:
    return {
        "VpcId": vpc.id,
        "VpcName": vpc.name,
        "Description": vpc.description,
        "Status": vpc.status(now),
        "CidrBlock": str(vpc.cidr),
        "SecondaryCidrBlocks": {"SecondaryCidrBlock": [str(one) for one in vpc.secondary]},
        "CreationTime": formats.told_exactly(vpc.created_at),
        "IsDefault": vpc.is_default,
        "RegionId": region.name,
        "VRouterId": vpc.router,
        "RouterTableIds": {"RouterTableIds": [vpc.route_table] if vpc.route_table else []},
        "VSwitchIds": {"VSwitchId": [one.id for one in region.networks.in_vpc(vpc.id)]},
        "Tags": {"Tag": [{"Key": key, "Value": value} for key, value in vpc.tags.items()]},
    }


def found(region: Region, vpc_id: str) -> Vpc:
    """One that is there; raises ApiError."""
    vpc = region.networks.vpcs.get(vpc_id)
    if vpc is None:
        raise ApiError("InvalidVpcID.NotFound", "Specified VPC does not exist.", 404)
    return vpc


def delete(region: Region, call: Call) -> Parameters:
    """One in which nothing is left."""
    region.settle()
    vpc = found(region, call.parameters["VpcId"])
    if any(region.networks.in_vpc(vpc.id)):
        raise ApiError("DependencyViolation.VSwitch", "Specified VPC has vSwitches; delete them first.")
    if any(group.vpc == vpc.id for group in region.networks.groups.values()):
        raise ApiError("DependencyViolation.SecurityGroup", "Specified VPC has security groups; delete them first.")
    if call.parameters.get("DryRun"):
        raise errors.dry_run()
    del region.networks.vpcs[vpc.id]
    return {}
