"""DescribeInstances and DescribeInstanceStatus."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from broker.demo.clouds.alibaba import formats, paging
from broker.demo.clouds.alibaba.instances import Instance, Status
from broker.demo.clouds.alibaba.region import Region
from broker.demo.clouds.model import ApiError, Call, Parameters

TAKES: Final = (
    "DryRun HttpTokens ImageId InstanceChargeType InstanceIds InstanceName InstanceNetworkType InstanceType"
    " InstanceTypeFamily KeyPairName LockReason MaxResults NextToken PageNumber PageSize PrivateIpAddresses"
    " PublicIpAddresses SecurityGroupId Status Tag VSwitchId VpcId ZoneId"
)
_FIELDS: Final[Mapping[str, Callable[[Instance], object]]] = {
    "HttpTokens": lambda one: one.http_tokens,
    "ImageId": lambda one: one.image.id,
    "InstanceChargeType": lambda one: "PostPaid",
    "InstanceNetworkType": lambda one: "vpc",
    "InstanceType": lambda one: one.type.id,
    "InstanceTypeFamily": lambda one: one.type.family,
    "KeyPairName": lambda one: one.key_pair,
    "Status": lambda one: str(one.status),
    "VSwitchId": lambda one: one.vswitch,
    "VpcId": lambda one: one.vpc,
    "ZoneId": lambda one: one.zone,
}


def describe_instances(region: Region, call: Call) -> Parameters:
    """By ids (those that are not there are left out), filters and tags, in pages."""
    now = region.settle()
    ids = paging.ids(call.parameters.get("InstanceIds"), "InstanceIds")
    likes = _filter(call.parameters, now)
    if call.parameters.get("DryRun"):
        raise ApiError("DryRunOperation", "Request validation has been passed with DryRun flag set.")
    found = [one for one in _named_ones(region, ids) if now >= one.visible_at and likes(one)]
    shown, told = paging.page(found, call.parameters, place=lambda one: one.number, least=10)
    return {**told, "Instances": {"Instance": [_told(one, now) for one in shown]}}


def _named_ones(region: Region, ids: list[str] | None) -> Iterable[Instance]:
    if ids is None:
        return region.instances.values()
    known = (region.instances.get(one) for one in set(ids))
    return sorted((one for one in known if one is not None), key=lambda one: one.number)


def _filter(said: Mapping[str, Any], now: float) -> Callable[[Instance], bool]:
    if said.get("Status") not in (None, *Status):
        raise ApiError("InvalidStatus.NotFound", "The specified Status is not found", 404)
    private = paging.ids(said.get("PrivateIpAddresses"), "PrivateIpAddresses")
    public = paging.ids(said.get("PublicIpAddresses"), "PublicIpAddresses")
    tags = formats.wanted_tags(said.get("Tag"))
    fields = [(of, said[name]) for name, of in _FIELDS.items() if name in said]

    def likes(one: Instance) -> bool:
        return (
            (private is None or one.shown_address(now) in private)
            and (public is None or one.shown_public_address(now) in public)
            and all(of(one) == value for of, value in fields)
            and _named(one.name, said.get("InstanceName"))
            and said.get("SecurityGroupId") in (None, *one.groups)
            and said.get("LockReason") in (None, *(lock.lower() for lock in one.locks), *one.locks)
            and formats.has_tags(one.tags, tags)
        )

    return likes


def _named(name: str, pattern: str | None) -> bool:
    if pattern is None:
        return True
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern


def _told(one: Instance, now: float) -> Parameters:
    private, public = one.shown_address(now), one.shown_public_address(now)
    addresses = [private] if private else []
    interface = {"MacAddress": one.mac, "NetworkInterfaceId": f"eni{one.id[1:]}", "Type": "Primary"}
    if private:
        sets = {"PrivateIpSet": [{"Primary": True, "PrivateIpAddress": private}]}
        interface = {**interface, "PrimaryIpAddress": private, "PrivateIpSets": sets}  # type: ignore[dict-item]  # nested
    told: Parameters = {
        "InstanceId": one.id,
        "InstanceName": one.name,
        "HostName": one.host_name,
        "Description": one.description,
        "Status": str(one.status),
        "RegionId": one.region,
        "ZoneId": one.zone,
        "ImageId": one.image.id,
        "OSName": one.image.os_name,
        "OSNameEn": one.image.os_name,
        "OSType": one.image.os_type,
        "InstanceType": one.type.id,
        "InstanceTypeFamily": one.type.family,
        "Cpu": one.type.cpus,
        "Memory": round(one.type.memory_gib * 1024),
        "GPUAmount": one.type.gpus,
        "GPUSpec": one.type.gpu,
        "IoOptimized": True,
        "InstanceChargeType": "PostPaid",
        "InstanceNetworkType": "vpc",
        "InternetChargeType": one.internet_charge,
        "InternetMaxBandwidthIn": one.bandwidth_in or -1,
        "InternetMaxBandwidthOut": one.bandwidth_out,
        "CreationTime": formats.told(one.created_at),
        "StartTime": formats.told(one.started_at) if one.started_at is not None else "",
        "ExpiredTime": "2099-12-31T15:59Z",
        "AutoReleaseTime": formats.told_exactly(one.auto_release_at) if one.auto_release_at is not None else "",
        "DeletionProtection": one.protected,
        "DeviceAvailable": True,
        "KeyPairName": one.key_pair,
        "SerialNumber": one.serial,
        "SpotStrategy": one.spot.strategy,
        "SpotPriceLimit": one.spot.price_limit,
        "StoppedMode": one.stopped_mode or "Not-applicable",
        "MetadataOptions": {"HttpEndpoint": one.http_endpoint, "HttpTokens": one.http_tokens},
        "OperationLocks": {"LockReason": [{"LockReason": lock} for lock in one.locks]},
        "SecurityGroupIds": {"SecurityGroupId": list(one.groups)},
        "PublicIpAddress": {"IpAddress": [public] if public else []},
        "InnerIpAddress": {"IpAddress": []},
        "NetworkInterfaces": {"NetworkInterface": [interface]},
        "Tags": {"Tag": [{"TagKey": key, "TagValue": value} for key, value in one.tags.items()]},
        "VpcAttributes": {
            "VpcId": one.vpc,
            "VSwitchId": one.vswitch,
            "NatIpAddress": "",
            "PrivateIpAddress": {"IpAddress": addresses},
        },
    }
    if one.spot.is_spot:
        told |= {"SpotDuration": one.spot.duration, "SpotInterruptionBehavior": one.spot.interruption}
    return told


def describe_instance_status(region: Region, call: Call) -> Parameters:
    """The states alone, at most 50 a page."""
    now = region.settle()
    said = call.parameters
    if len(said.get("InstanceId", ())) > 100:
        raise ApiError("InvalidParameter", 'The specified parameter "InstanceId" has more than 100 items.')
    found = [
        one
        for one in region.instances.values()
        if now >= one.visible_at
        and ("InstanceId" not in said or one.id in said["InstanceId"])
        and said.get("ZoneId") in (None, one.zone)
    ]
    shown, told = paging.page(found, said, most=50)
    statuses = [{"InstanceId": one.id, "Status": str(one.status)} for one in shown]
    return {**told, "InstanceStatuses": {"InstanceStatus": statuses}}
