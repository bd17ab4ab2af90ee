"""DescribeInstanceTypes and DescribeImages."""

from broker.demo.clouds.alibaba import formats, paging
from broker.demo.clouds.alibaba.catalog import Image, InstanceType
from broker.demo.clouds.alibaba.region import Region
from broker.demo.clouds.model import ApiError, Call, Parameters


def describe_types(region: Region, call: Call) -> Parameters:
    """By ids, family, sizes and architecture, in pages of up to a hundred."""
    said = call.parameters
    if len(said.get("InstanceTypes", ())) > 10:
        raise ApiError("InvalidParameter", 'The specified parameter "InstanceTypes" has more than 10 items.')
    found = [
        one
        for one in region.catalog.types.values()
        if one.id in said.get("InstanceTypes", [one.id])
        and said.get("InstanceTypeFamily") in (None, one.family)
        and said.get("CpuArchitecture") in (None, one.architecture)
        and said.get("MinimumCpuCoreCount", 0) <= one.cpus <= said.get("MaximumCpuCoreCount", one.cpus)
        and said.get("MinimumMemorySize", 0.0) <= one.memory_gib <= said.get("MaximumMemorySize", one.memory_gib)
        and said.get("MinimumGPUAmount", 0) <= one.gpus <= said.get("MaximumGPUAmount", one.gpus)
    ]
    shown, told = paging.page(found, {"MaxResults": 100, **said})
    return {"NextToken": told["NextToken"], "InstanceTypes": {"InstanceType": [_type(one) for one in shown]}}


def _type(one: InstanceType) -> Parameters:
    return {
        "InstanceTypeId": one.id,
        "InstanceTypeFamily": one.family,
        "CpuCoreCount": one.cpus,
        "MemorySize": one.memory_gib,
        "CpuArchitecture": one.architecture,
        "GPUAmount": one.gpus,
        "GPUSpec": one.gpu,
        "DiskQuantity": one.disks + 1,
        "EniQuantity": 3,
        "EniPrivateIpAddressQuantity": 6,
        "NvmeSupport": "supported",
        "LocalStorageCategory": "",
    }


def describe_images(region: Region, call: Call) -> Parameters:
    """By ids (with commas), family, name, owner, system and architecture, at most 100 a page."""
    said = call.parameters
    ids = said["ImageId"].split(",") if "ImageId" in said else None
    states = said.get("Status", "Available").split(",")
    tags = formats.wanted_tags(said.get("Tag"))
    kind = region.catalog.types.get(said["InstanceType"]) if "InstanceType" in said else None
    arm = None if kind is None else kind.architecture == "ARM"
    found = [
        one
        for one in region.catalog.images.values()
        if (ids is None or one.id in ids)
        and one.status in states
        and said.get("ImageFamily") in (None, one.family)
        and _is_named(one.name, said.get("ImageName"))
        and said.get("ImageOwnerAlias") in (None, one.owner)
        and said.get("OSType") in (None, one.os_type)
        and said.get("Architecture") in (None, one.architecture)
        and said.get("IsSupportCloudinit") in (None, one.cloud_init)
        and arm in (None, one.architecture == "arm64")
        and formats.has_tags(one.tags, tags)
    ]
    shown, told = paging.page(found, said)
    return {**told, "RegionId": region.name, "Images": {"Image": [_image(one) for one in shown]}}


def describe_image_from_family(region: Region, call: Call) -> Parameters:
    """The newest image of a family that is Available; a reply without one where there is none."""
    family = [
        one
        for one in region.catalog.images.values()
        if one.family == call.parameters["ImageFamily"] and one.status == "Available"
    ]
    return {"Image": _of_family(max(family, key=lambda one: one.created_at))} if family else {}


def _of_family(one: Image) -> Parameters:
    return {key: value for key, value in _image(one).items() if key != "OSNameEn"}


def _is_named(name: str, pattern: str | None) -> bool:
    if pattern is None:
        return True
    return pattern.strip("*") in name if "*" in pattern else pattern == name


def _image(one: Image) -> Parameters:
    return {
        "ImageId": one.id,
        "ImageName": one.name or one.id,
        "ImageFamily": one.family,
        "ImageOwnerAlias": one.owner,
        "OSName": one.os_name,
        "OSNameEn": one.os_name,
        "OSType": one.os_type,
        "Platform": one.platform,
        "Architecture": one.architecture,
        "Size": one.size_gib,
        "Status": one.status,
        "Usage": "none",
        "IsSupportCloudinit": one.cloud_init,
        "IsSupportIoOptimized": True,
        "CreationTime": one.created_at,
        "Tags": {"Tag": [{"TagKey": key, "TagValue": value} for key, value in one.tags.items()]},
    }
