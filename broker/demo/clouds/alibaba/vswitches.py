"""CreateVSwitch, DescribeVSwitches, DeleteVSwitch.

https://www.alibabacloud.com/help/en/vpc/developer-reference/api-vpc-2016-04-28-createvswitch: a mask of /16 to /29,
within the VPC and beside its other vSwitches; the first address and the last three are the system's.
"""

from broker.demo.clouds.alibaba import errors, formats, paging, vpc_actions
from broker.demo.clouds.alibaba.networks import VSwitch
from broker.demo.clouds.alibaba.region import Region
from broker.demo.clouds.model import ApiError, Call, Parameters


def create(region: Region, call: Call) -> Parameters:
    """One more in a VPC that is Available."""
    now, said = region.settle(), call.parameters
    if (again := region.tokens.answer("CreateVSwitch", said, now)) is not None:
        return again
    if "CidrBlock" not in said:
        raise errors.missing("CidrBlock")
    vpc = vpc_actions.found(region, said["VpcId"])
    if said["ZoneId"] not in region.zones:
        raise ApiError("InvalidZoneId.NotFound", 'Specified value of "ZoneId" is not found.', 404)
    cidr = vpc_actions.block(said["CidrBlock"])
    if cidr is None or not 16 <= cidr.prefixlen <= 29 or not vpc.contains(cidr):
        raise ApiError("InvalidCidrBlock.Malformed", "Specified CIDR block is not valid.")
    if any(cidr.overlaps(one.cidr) for one in region.networks.in_vpc(vpc.id)):
        raise ApiError("InvalidCidrBlock.Overlapped", "Specified CIDR block overlapped with other subnets.")
    vpc_actions.check_texts(
        said.get("VSwitchName"),
        said.get("Description"),
        "InvalidVSwitchName.Malformed",
        "InvalidVSwitchDiscription.Malformed",
    )
    tags = formats.tags(said.get("Tag"))
    if vpc.status(now) != "Available":
        raise ApiError("IncorrectVpcStatus", "Current VPC status does not support this operation.")
    if sum(1 for _ in region.networks.in_vpc(vpc.id)) >= region.knobs.quotas.vswitches:
        raise ApiError("QuotaExceeded.VSwitch", "VSwitch quota exceeded.")
    vswitch = VSwitch(
        id=region.world.fresh("vsw"),
        name=said.get("VSwitchName", ""),
        description=said.get("Description", ""),
        vpc=vpc.id,
        zone=said["ZoneId"],
        cidr=cidr,
        created_at=now,
        ready_at=now + region.drawn(region.knobs.timing.vswitch_pending_s),
        tags=tags,
    )
    region.networks.vswitches[vswitch.id] = vswitch
    return region.tokens.keep("CreateVSwitch", said, now, {"VSwitchId": vswitch.id})


def describe(region: Region, call: Call) -> Parameters:
    """Of a VPC, a zone, by ids, name or tags, at most 50 a page; one of RegionId and VSwitchId must be there."""
    now, said = region.settle(), call.parameters
    if "RegionId" not in said and "VSwitchId" not in said:
        raise errors.missing("RegionId")
    ids = said["VSwitchId"].split(",") if "VSwitchId" in said else None
    tags = formats.wanted_tags(said.get("Tag"))
    found = [
        one
        for one in region.networks.vswitches.values()
        if (ids is None or one.id in ids)
        and said.get("VpcId") in (None, one.vpc)
        and said.get("ZoneId") in (None, one.zone)
        and said.get("VSwitchName") in (None, one.name)
        and said.get("IsDefault") in (None, one.is_default)
        and formats.has_tags(one.tags, tags)
    ]
    shown, told = paging.page(found, said, most=50)
    return {**told, "VSwitches": {"VSwitch": [_told(one, now) for one in shown]}}


def _told(one: VSwitch, now: float) -> Parameters:
    return {
        "VSwitchId": one.id,
        "VSwitchName": one.name,
        "Description": one.description,
        "VpcId": one.vpc,
        "ZoneId": one.zone,
        "CidrBlock": str(one.cidr),
        "Status": one.status(now),
        "AvailableIpAddressCount": one.free,
        "CreationTime": formats.told_exactly(one.created_at),
        "IsDefault": one.is_default,
        "Tags": {"Tag": [{"Key": key, "Value": value} for key, value in one.tags.items()]},
    }


def delete(region: Region, call: Call) -> Parameters:
    """One in which nothing has an address."""
    now = region.settle()
    vswitch = region.networks.vswitches.get(call.parameters["VSwitchId"])
    if vswitch is None:
        raise ApiError("InvalidVSwitchId.NotFound", "Specified virtual switch does not exist.", 404)
    if vswitch.status(now) != "Available":
        message = "Current virtual switch status does not support this operation."
        raise ApiError("IncorrectVSwitchStatus", message)
    if vswitch.held or vswitch.taken_elsewhere:
        raise ApiError("DependencyViolation", "Specified virtual switch has dependent resources.")
    if call.parameters.get("DryRun"):
        raise errors.dry_run()
    del region.networks.vswitches[vswitch.id]
    return {}
