"""Disks that are made with an instance: categories, sizes and levels.

https://www.alibabacloud.com/help/en/ecs/developer-reference/api-ecs-2014-05-26-runinstances
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from broker.demo.clouds.alibaba import errors, formats
from broker.demo.clouds.alibaba.catalog import Image, InstanceType
from broker.demo.clouds.alibaba.errors import NotBuilt
from broker.demo.clouds.model import ApiError

_SYSTEM: Final[Mapping[str, tuple[int, int]]] = {
    "cloud": (20, 500),
    "cloud_efficiency": (20, 2048),
    "cloud_ssd": (20, 2048),
    "cloud_essd": (20, 2048),
    "cloud_auto": (1, 2048),
    "cloud_essd_entry": (10, 2048),
}
_DATA: Final[Mapping[str, tuple[int, int]]] = {
    "cloud": (5, 2000),
    "cloud_efficiency": (20, 32768),
    "cloud_ssd": (20, 32768),
    "cloud_essd": (20, 65536),
    "cloud_auto": (1, 65536),
    "cloud_essd_entry": (10, 32768),
}
_LEVELS: Final[Mapping[str, int]] = {"PL0": 1, "PL1": 20, "PL2": 461, "PL3": 1261}
"""Performance levels of cloud_essd, and the least size of each."""
_BUILT: Final = frozenset(
    [
        "Category",
        "DeleteWithInstance",
        "Description",
        "Device",
        "DiskName",
        "Encrypted",
        "PerformanceLevel",
        "Size",
        "SnapshotId",
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskOrder:
    """One disk that an instance is to have."""

    kind: str
    category: str
    level: str
    size_gib: int
    name: str = ""
    delete_with_instance: bool = True
    snapshot: str = ""
    encrypted: bool = False


def disks_of(said: Mapping[str, Any], image: Image, kind: InstanceType, most: int) -> list[DiskOrder]:
    """The system disk, then the data disks; raises ApiError."""
    data = said.get("DataDisk", [])
    if len(data) > min(most, kind.disks):
        message = "The total number of specified disk in an instance exceeds."
        raise ApiError("InstanceDiskNumber.LimitExceed", message)
    return [_system(said.get("SystemDisk", {}), image), *(_data(one) for one in data)]


def _system(said: Mapping[str, Any], image: Image) -> DiskOrder:
    _check(said)
    category = said.get("Category", "cloud_essd")
    if category not in _SYSTEM:
        raise errors.invalid("SystemDisk.Category", "InvalidSystemDiskCategory.ValueNotSupported")
    least, most = _SYSTEM[category]
    size = _number(
        said.get("Size", max(40, image.size_gib)), "SystemDisk.Size", "InvalidSystemDiskSize.ValueNotSupported"
    )
    if size < least:
        raise _size("LessThanMinSize", "less than the min size.")
    if size > most:
        raise _size("MoreThanMaxSize", "more than the max size")
    if size < image.size_gib:
        raise _size("LessThanImageSize", "less than the image size.")
    level = _level(said, category, size, "InvalidSystemDiskSize.ValueNotSupported")
    return DiskOrder(kind="system", category=category, level=level, size_gib=size, name=said.get("DiskName", ""))


def _size(code: str, words: str) -> ApiError:
    return ApiError(f"InvalidSystemDiskSize.{code}", f"The specified parameter SystemDisk.Size is {words}", 404)


def _data(said: Mapping[str, Any]) -> DiskOrder:
    _check(said)
    category = said.get("Category", "cloud_efficiency")
    if category not in _DATA:
        raise errors.invalid("DataDisk.n.Category", "InvalidDataDiskCategory.ValueNotSupported")
    if "Size" not in said and "SnapshotId" not in said:
        raise errors.missing("DataDisk.n.Size")
    least, most = _DATA[category]
    size = _number(said.get("Size", least), "DataDisk.n.Size", "InvalidDataDiskSize.ValueNotSupported")
    if category == "cloud_essd" and said.get("PerformanceLevel") == "PL0":
        least = 1
    if not least <= size <= most:
        raise errors.invalid("DataDisk.n.Size", "InvalidDataDiskSize.ValueNotSupported")
    if said.get("Encrypted") not in (None, "true", "false", "True", "False"):
        raise errors.invalid("DataDisk.n.Encrypted")
    return DiskOrder(
        kind="data",
        category=category,
        level=_level(said, category, size, "InvalidDataDiskSize.ValueNotSupported"),
        size_gib=size,
        name=said.get("DiskName", ""),
        delete_with_instance=said.get("DeleteWithInstance", True),
        snapshot=said.get("SnapshotId", ""),
        encrypted=str(said.get("Encrypted", "")).lower() == "true",
    )


def _check(said: Mapping[str, Any]) -> None:
    if lacking := sorted(set(said) - _BUILT):
        raise NotBuilt(f"a disk's {lacking[0]}")
    if "DiskName" in said and not formats.is_name(said["DiskName"]):
        raise errors.invalid("SystemDisk.DiskName or DataDisk.n.DiskName", "InvalidDiskName.Malformed")
    if "Description" in said and not formats.is_description(said["Description"]):
        raise errors.invalid("SystemDisk.Description or DataDisk.n.Description", "InvalidDiskDescription.Malformed")


def _level(said: Mapping[str, Any], category: str, size: int, code: str) -> str:
    level = said.get("PerformanceLevel")
    if level is None:
        return "PL1" if category == "cloud_essd" else ""
    if category != "cloud_essd" or level not in _LEVELS:
        raise errors.invalid("PerformanceLevel", "InvalidPerformanceLevel.Malformed")
    if size < _LEVELS[level]:
        raise errors.invalid("Size", code)
    return str(level)


def _number(value: str | int, name: str, code: str) -> int:
    try:
        return int(value)
    except ValueError:
        raise errors.invalid(name, code) from None
