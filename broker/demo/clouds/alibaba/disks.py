"""AttachDisk and DescribeDisks, and what an instance's console has shown."""

import base64
from datetime import UTC, datetime, timedelta

from broker.demo.clouds.alibaba import formats, paging, release
from broker.demo.clouds.alibaba.instances import Disk, Instance, Status
from broker.demo.clouds.alibaba.region import Region
from broker.demo.clouds.model import ApiError, Call, Parameters


def attach(region: Region, call: Call) -> Parameters:
    """A data disk of the same zone, to an instance that is Running or Stopped."""
    region.settle()
    said = call.parameters
    instance = release.found(region, said["InstanceId"])
    disk = region.disks.get(said["DiskId"])
    if disk is None:
        raise ApiError("InvalidDiskId.NotFound", "The specified disk does not exist.", 404)
    if disk.instance:
        raise ApiError("IncorrectDiskStatus", "The operation is not supported in this status.", 403)
    if not disk.portable:
        raise ApiError("DiskNotPortable", "The specified disk is not a portable disk.", 403)
    if disk.zone != instance.zone:
        message = "The specified instance and disk are not in the same zone."
        raise ApiError("ResourcesNotInSameZone", message, 403)
    if instance.status not in {Status.RUNNING, Status.STOPPED}:
        message = "The current status of the resource does not support this operation."
        raise ApiError("IncorrectInstanceStatus", message)
    own = [one for one in region.disks.values() if one.instance == instance.id]
    if len(own) > region.knobs.quotas.data_disks:
        message = "The amount of the disk on instance in question reach its limits."
        raise ApiError("InstanceDiskLimitExceeded", message, 403)
    disk.device = said.get("Device", f"/dev/xvd{chr(ord('a') + len(own))}")
    disk.instance = instance.id
    disk.delete_with_instance = said.get("DeleteWithInstance", False)
    return {}


def describe(region: Region, call: Call) -> Parameters:
    """By ids, instance, kind, status, zone and tags, in pages."""
    region.settle()
    said = call.parameters
    ids = paging.ids(said.get("DiskIds"), "DiskIds")
    tags = formats.wanted_tags(said.get("Tag"))
    found = [
        one
        for one in region.disks.values()
        if (ids is None or one.id in ids)
        and said.get("InstanceId") in (None, one.instance)
        and said.get("DiskType", "all") in ("all", one.kind)
        and said.get("Status", "All") in ("All", _status(one))
        and said.get("ZoneId") in (None, one.zone)
        and said.get("Category", "all") in ("all", one.category)
        and formats.has_tags(one.tags, tags)
    ]
    shown, told = paging.page(found, said)
    return {**told, "Disks": {"Disk": [_told(region, one) for one in shown]}}


def _status(one: Disk) -> str:
    return "In_use" if one.instance else "Available"


def _told(region: Region, one: Disk) -> Parameters:
    attached = [{"InstanceId": one.instance, "Device": one.device}] if one.instance else []
    return {
        "DiskId": one.id,
        "DiskName": one.name,
        "Type": one.kind,
        "Category": one.category,
        "PerformanceLevel": one.level,
        "Size": one.size_gib,
        "Status": _status(one),
        "InstanceId": one.instance,
        "Device": one.device,
        "RegionId": region.name,
        "ZoneId": one.zone,
        "Portable": one.portable,
        "DeleteWithInstance": one.delete_with_instance,
        "MultiAttach": "Enabled" if one.multi_attach else "Disabled",
        "Encrypted": one.encrypted,
        "DiskChargeType": "PostPaid",
        "SourceSnapshotId": one.snapshot,
        "CreationTime": formats.told_exactly(one.created_at),
        "Attachments": {"Attachment": attached},
        "Tags": {"Tag": [{"TagKey": key, "TagValue": value} for key, value in one.tags.items()]},
    }


def console_output(region: Region, call: Call) -> Parameters:
    """What it has shown, in Base64; the time is that of China, as the vendor tells it."""
    now = region.settle()
    instance = release.found(region, call.parameters["InstanceId"])
    text = _console(region, instance)
    return {
        "InstanceId": instance.id,
        "ConsoleOutput": base64.b64encode(text.encode()).decode(),
        "LastUpdateTime": f"{datetime.fromtimestamp(now, UTC) + timedelta(hours=8):%Y-%m-%d %H:%M:%S}",
    }


def _console(region: Region, instance: Instance) -> str:
    if instance.started_at is None:
        return ""
    if region.runner:
        return region.runner.console(instance)
    return f"[    0.000000] Linux version 5.10.134\n\n{instance.image.os_name}\n{instance.host_name} login: "
