"""The little of EC2 that ECS needs: subnets, security groups, zones."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeVar

from broker.demo.clouds.model import ApiError, Call, Parameters, Service
from broker.demo.clouds.pages import page_of
from broker.demo.clouds.world import World

One = TypeVar("One", "Subnet", "SecurityGroup")
_ALL: Final = 1000


@dataclass(slots=True, kw_only=True)
class Subnet:
    """A subnet; `zone` is its availability zone's name."""

    id: str
    zone: str
    vpc: str = "vpc-0123456789abcdef0"
    cidr: str = "10.0.0.0/24"
    free_addresses: int = 250
    region: str = ""
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class SecurityGroup:
    """A security group."""

    id: str
    name: str
    vpc: str = "vpc-0123456789abcdef0"
    description: str = "a group"
    egress: list[Parameters] = field(
        default_factory=lambda: [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
    )
    """Rules of what it lets out: all, unless a test says otherwise."""
    region: str = ""
    tags: dict[str, str] = field(default_factory=dict)


class FakeEc2(Service):
    """Has three subnets in three zones of the world's region, and one security group, until a test says otherwise."""

    name = "ec2"

    def __init__(self, world: World) -> None:
        """With `subnet-a…`, `-b…`, `-c…` and `sg-agents…`."""
        self._world = world
        self.subnets: dict[str, Subnet] = {}
        self.security_groups: dict[str, SecurityGroup] = {}
        for place, letter in enumerate("abc"):
            zone = f"{world.region}{letter}"
            self.add(Subnet(id=f"subnet-{letter * 17}", zone=zone, cidr=f"10.0.{place}.0/24"))
        self.add(SecurityGroup(id=f"sg-{'a' * 17}", name="agents"))

    def add(self, item: Subnet | SecurityGroup) -> None:
        """One more; without a region it is in the world's."""
        item.region = item.region or self._world.region
        if isinstance(item, Subnet):
            self.subnets[item.id] = item
        else:
            self.security_groups[item.id] = item

    async def DescribeSubnets(self, call: Call) -> Parameters:
        """By ids, or by filters in pages."""
        here = {one.id: one for one in self.subnets.values() if one.region == call.region}
        wanted = _named(call, here, "SubnetIds", "InvalidSubnetID.NotFound", "subnet ID")
        fields: Mapping[str, Callable[[Subnet], str]] = {
            "availability-zone": lambda one: one.zone,
            "vpc-id": lambda one: one.vpc,
            "subnet-id": lambda one: one.id,
            "cidr-block": lambda one: one.cidr,
        }
        found = _filtered(call, wanted, fields, lambda one: one.tags)
        return _paged(call, "Subnets", [self._subnet(one) for one in found])

    async def DescribeSecurityGroups(self, call: Call) -> Parameters:
        """By ids, or by filters in pages."""
        here = {one.id: one for one in self.security_groups.values() if one.region == call.region}
        wanted = _named(call, here, "GroupIds", "InvalidGroup.NotFound", "security group")
        fields: Mapping[str, Callable[[SecurityGroup], str]] = {
            "group-id": lambda one: one.id,
            "group-name": lambda one: one.name,
            "vpc-id": lambda one: one.vpc,
        }
        found = _filtered(call, wanted, fields, lambda one: one.tags)
        return _paged(call, "SecurityGroups", [self._group(one) for one in found])

    async def DescribeAvailabilityZones(self, call: Call) -> Parameters:
        """Those of the subnets."""
        zones = sorted({one.zone for one in self.subnets.values() if one.region == call.region})
        return {
            "AvailabilityZones": [{"ZoneName": zone, "State": "available", "RegionName": call.region} for zone in zones]
        }

    def _subnet(self, one: Subnet) -> Parameters:
        return {
            "SubnetId": one.id,
            "AvailabilityZone": one.zone,
            "AvailabilityZoneId": f"{one.region}-az{1 + ord(one.zone[-1]) - ord('a')}",
            "VpcId": one.vpc,
            "CidrBlock": one.cidr,
            "AvailableIpAddressCount": one.free_addresses,
            "State": "available",
            "OwnerId": self._world.account,
            "Tags": _tags(one.tags),
        }

    def _group(self, one: SecurityGroup) -> Parameters:
        return {
            "GroupId": one.id,
            "GroupName": one.name,
            "VpcId": one.vpc,
            "Description": one.description,
            "IpPermissionsEgress": one.egress,
            "OwnerId": self._world.account,
            "Tags": _tags(one.tags),
        }


def _named(call: Call, here: Mapping[str, One], member: str, code: str, what: str) -> list[One]:
    ids = call.parameters.get(member, [])
    if gone := [one for one in ids if one not in here]:
        raise ApiError(code, f"The {what} '{gone[0]}' does not exist")
    return [one for name, one in here.items() if not ids or name in ids]


def _filtered(
    call: Call,
    items: list[One],
    fields: Mapping[str, Callable[[One], str]],
    tags: Callable[[One], Mapping[str, str]],
) -> list[One]:
    for wanted in call.parameters.get("Filters", []):
        name, values = wanted.get("Name", ""), wanted.get("Values", [])
        key = name.removeprefix("tag:")
        if key != name:
            items = [one for one in items if tags(one).get(key) in values]
        elif name in fields:
            items = [one for one in items if fields[name](one) in values]
        else:
            raise ApiError("InvalidParameterValue", f"The filter '{name}' is invalid")
    return items


def _paged(call: Call, member: str, items: list[Parameters]) -> Parameters:
    wrong = ApiError("InvalidNextToken", "The token is not valid")
    size, token = call.parameters.get("MaxResults", _ALL), call.parameters.get("NextToken")
    page, following = page_of(items, token=token, size=size, wrong=wrong)
    return {member: page, "NextToken": following} if following else {member: page}


def _tags(tags: Mapping[str, str]) -> list[Parameters]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]
