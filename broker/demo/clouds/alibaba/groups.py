"""Security groups: made, opened, looked at, deleted."""

import re
from collections.abc import Mapping
from ipaddress import AddressValueError, IPv4Network, NetmaskValueError
from typing import Any, Final

from broker.demo.clouds.alibaba import errors, formats, paging
from broker.demo.clouds.alibaba.networks import SecurityGroup
from broker.demo.clouds.alibaba.region import Region
from broker.demo.clouds.model import ApiError, Call, Parameters

_PORTS: Final = re.compile(r"(-1|\d{1,5})/(-1|\d{1,5})")
_RULE: Final = frozenset(
    {"IpProtocol", "PortRange", "SourceCidrIp", "SourceGroupId", "Policy", "Priority", "Description", "DestCidrIp"}
)


def create(region: Region, call: Call) -> Parameters:
    """One more in a VPC."""
    now, said = region.settle(), call.parameters
    if (again := region.tokens.answer("CreateSecurityGroup", said, now)) is not None:
        return again
    if "SecurityGroupName" in said and not formats.is_name(said["SecurityGroupName"]):
        message = "Specified security group name is not valid."
        raise ApiError("InvalidSecurityGroupName.Malformed", message)
    if "Description" in said and not formats.is_description(said["Description"]):
        message = "Specified security group description is not valid."
        raise ApiError("InvalidSecurityGroupDiscription.Malformed", message)
    formats.check_choice("SecurityGroupType", said.get("SecurityGroupType"), "normal enterprise")
    tags = formats.tags(said.get("Tag"))
    if "VpcId" not in said:
        raise ApiError("InvalidVpcId.NotFound", "vpc id must not empty when only support vpc vm.", 403)
    vpc = region.networks.vpcs.get(said["VpcId"])
    if vpc is None:
        raise ApiError("InvalidVpcId.NotFound", "Specified VPC does not exist.", 404)
    if vpc.status(now) != "Available":
        raise ApiError("IncorrectVpcStatus", "Current VPC status does not support this operation.")
    if len(region.networks.groups) >= region.knobs.quotas.security_groups:
        message = "The maximum number of security groups is reached."
        raise ApiError("QuotaExceed.SecurityGroup", message, 403)
    group = SecurityGroup(
        id=region.world.fresh("sg"),
        name=said.get("SecurityGroupName", ""),
        description=said.get("Description", ""),
        kind=said.get("SecurityGroupType", "normal"),
        vpc=vpc.id,
        created_at=now,
        tags=tags,
    )
    region.networks.groups[group.id] = group
    return region.tokens.keep("CreateSecurityGroup", said, now, {"SecurityGroupId": group.id})


def found(region: Region, group_id: str) -> SecurityGroup:
    """One that is there; raises ApiError."""
    group = region.networks.groups.get(group_id)
    if group is None:
        raise ApiError("InvalidSecurityGroupId.NotFound", "The specified SecurityGroupId does not exist.", 404)
    return group


def authorize(region: Region, call: Call) -> Parameters:
    """Lets something in; a rule that is there already is a success and makes nothing new."""
    now, said = region.settle(), call.parameters
    if (again := region.tokens.answer("AuthorizeSecurityGroup", said, now)) is not None:
        return again
    group = found(region, said["SecurityGroupId"])
    alone = {name: value for name, value in said.items() if name in _RULE}
    if "Permissions" in said and alone:
        raise errors.conflict("Permissions.N cannot be specified together with a rule of its own.")
    asked = said.get("Permissions", [alone])
    if not 1 <= len(asked) <= 100:
        raise errors.invalid("Permissions.N")
    rules = [_rule(region, group, one, now) for one in asked]
    fresh = [one for one in rules if not any(_same(one, known) for known in group.rules)]
    if len(group.rules) + len(fresh) > region.knobs.quotas.group_rules:
        message = "The limit of authorization records in the security group reaches."
        raise ApiError("AuthorizationLimitExceed", message, 403)
    group.rules += fresh
    return region.tokens.keep("AuthorizeSecurityGroup", said, now, {})


def revoke(region: Region, call: Call) -> Parameters:
    """Takes rules away, by their ids; one that is not there is a success, too."""
    region.settle()
    group, ids = found(region, call.parameters["SecurityGroupId"]), call.parameters["SecurityGroupRuleId"]
    if not 1 <= len(ids) <= 100:
        raise errors.invalid("SecurityGroupRuleId.N")
    group.rules = [rule for rule in group.rules if rule["SecurityGroupRuleId"] not in ids]
    return {}


def _rule(region: Region, group: SecurityGroup, said: Mapping[str, Any], now: float) -> dict[str, Any]:
    protocol = str(said.get("IpProtocol", "")).upper()
    if not protocol:
        raise errors.missing("IpProtocol")
    if protocol not in {"TCP", "UDP", "ICMP", "GRE", "ALL"}:
        message = "The parameter IpProtocol must be specified with case insensitive TCP, UDP, ICMP, GRE or All."
        raise ApiError("InvalidIpProtocol.ValueNotSupported", message)
    ports = _ports(protocol, said.get("PortRange"))
    if "SourceCidrIp" not in said and "SourceGroupId" not in said:
        message = "Either SourceCidrIp or SourceGroupId must be specified."
        raise ApiError("MissingParameter.Source", message)
    if "SourceCidrIp" in said and not _is_block(said["SourceCidrIp"]):
        raise errors.invalid("SourceCidrIp", "InvalidSourceCidrIp.Malformed")
    if "SourceGroupId" in said:
        _check_source(region, group, said["SourceGroupId"])
    policy = str(said.get("Policy", "accept")).lower()
    formats.check_choice("Policy", policy, "accept drop", "InvalidPolicy.Malformed")
    priority = str(said.get("Priority", "1"))
    if not priority.isdigit() or not 1 <= int(priority) <= 100:
        raise ApiError("InvalidPriority.ValueNotSupported", "The parameter Priority is invalid.")
    if not len(said.get("Description", "")) <= 512:
        message = "The specified security group rule description is not valid."
        raise ApiError("InvalidSecurityGroupDiscription.Malformed", message)
    return {
        "SecurityGroupRuleId": region.world.fresh("sgr"),
        "Direction": "ingress",
        "IpProtocol": protocol,
        "PortRange": ports,
        "SourceCidrIp": said.get("SourceCidrIp", ""),
        "SourceGroupId": said.get("SourceGroupId", ""),
        "DestCidrIp": said.get("DestCidrIp", ""),
        "Policy": policy.capitalize(),
        "Priority": priority,
        "NicType": "intranet",
        "Description": said.get("Description", ""),
        "CreateTime": formats.told_exactly(now),
    }


def _ports(protocol: str, text: str | None) -> str:
    message = "The specified IpProtocol does not exist or IpProtocol and PortRange do not match."
    if text is None:
        raise errors.missing("PortRange")
    parts = _PORTS.fullmatch(text)
    if parts is None:
        raise errors.invalid("PortRange", "InvalidIpProtocol.Malformed")
    if protocol not in {"TCP", "UDP"}:
        if text != "-1/-1":
            raise ApiError("OperationDenied", message)
        return text
    first, last = int(parts[1]), int(parts[2])
    if not 1 <= first <= last <= 65535:
        raise ApiError("OperationDenied", message)
    return text


def _is_block(text: str) -> bool:
    try:
        return bool(IPv4Network(text, strict=False))
    except (AddressValueError, NetmaskValueError, ValueError):
        return False


def _check_source(region: Region, group: SecurityGroup, source_id: str) -> None:
    source = region.networks.groups.get(source_id)
    if source is None:
        message = "The SourceGroupId provided does not exist in our records."
        raise ApiError("InvalidSourceGroupId.NotFound", message, 404)
    if source.vpc != group.vpc:
        message = "Specified security group and source group are not in the same VPC."
        raise ApiError("InvalidSourceGroupId.Mismatch", message)


def _same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    told = ("IpProtocol", "PortRange", "SourceCidrIp", "SourceGroupId", "DestCidrIp", "Policy", "Priority")
    return all(one[name] == other[name] for name in told)


def describe(region: Region, call: Call) -> Parameters:
    """By ids, name, VPC and tags, in pages."""
    region.settle()
    said = call.parameters
    ids = paging.ids(said.get("SecurityGroupIds"), "SecurityGroupIds")
    tags = formats.wanted_tags(said.get("Tag"))
    matches = [
        one
        for one in region.networks.groups.values()
        if (ids is None or one.id in ids)
        and said.get("SecurityGroupId") in (None, one.id)
        and said.get("VpcId") in (None, one.vpc)
        and said.get("SecurityGroupType") in (None, one.kind)
        and _is_named(one.name, said.get("SecurityGroupName"), fuzzy=said.get("FuzzyQuery", False))
        and formats.has_tags(one.tags, tags)
    ]
    shown, told = paging.page(matches, said)
    groups = [_told(region, one, count=said.get("IsQueryEcsCount", False)) for one in shown]
    return {**told, "RegionId": region.name, "SecurityGroups": {"SecurityGroup": groups}}


def _is_named(name: str, wanted: str | None, *, fuzzy: bool) -> bool:
    return wanted is None or (wanted in name if fuzzy else wanted == name)


def _told(region: Region, one: SecurityGroup, *, count: bool) -> Parameters:
    told: Parameters = {
        "SecurityGroupId": one.id,
        "SecurityGroupName": one.name,
        "Description": one.description,
        "SecurityGroupType": one.kind,
        "VpcId": one.vpc,
        "CreationTime": formats.told_exactly(one.created_at),
        "RuleCount": len(one.rules),
        "ServiceManaged": False,
        "Tags": {"Tag": [{"TagKey": key, "TagValue": value} for key, value in one.tags.items()]},
    }
    used = sum(one.id in instance.groups for instance in region.instances.values())
    return {**told, "EcsCount": used, "AvailableInstanceAmount": 2000 - used} if count else told


def describe_attribute(region: Region, call: Call) -> Parameters:
    """Its rules; there are none but those of what comes in."""
    region.settle()
    said = call.parameters
    group = found(region, said["SecurityGroupId"])
    formats.check_choice("Direction", said.get("Direction"), "ingress egress all")
    rules = [] if said.get("Direction") == "egress" else group.rules
    shown, told = paging.page(rules, said, usual=500, most=1000)
    return {
        "SecurityGroupId": group.id,
        "SecurityGroupName": group.name,
        "Description": group.description,
        "VpcId": group.vpc,
        "RegionId": region.name,
        "InnerAccessPolicy": "Accept" if group.kind == "normal" else "Drop",
        "NextToken": told.get("NextToken", ""),
        "Permissions": {"Permission": [dict(rule) for rule in shown]},
    }


def delete(region: Region, call: Call) -> Parameters:
    """One that nothing uses."""
    region.settle()
    group = found(region, call.parameters["SecurityGroupId"])
    if any(group.id in one.groups for one in region.instances.values()):
        message = "There is still instance(s) in the specified security group."
        raise ApiError("DependencyViolation", message, 403)
    for other in region.networks.groups.values():
        if other is not group and any(rule["SourceGroupId"] == group.id for rule in other.rules):
            message = "The specified security group has been authorized in another one."
            raise ApiError("DependencyViolation", message, 403)
    del region.networks.groups[group.id]
    return {}
