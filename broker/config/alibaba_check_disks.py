"""Sizes and kinds of disks that Alibaba Cloud has (RunInstances: SystemDisk, DataDisk)."""

from collections.abc import Mapping
from typing import Final

from broker.config.hosts_uses import ALIBABA, Hosts
from broker.config.model_alibaba_parts import DataDisk, SystemDisk
from broker.config.model_pools import PoolModel
from broker.config.nodes import Path
from broker.config.units import format_size

_GIB: Final = 1024
_MOST_DISKS: Final = 16
_BY_LEVEL: Final[Mapping[str, int]] = {"PL0": 1, "PL1": 20, "PL2": 461, "PL3": 1261}
"""Least GiB of an ESSD."""
_LEAST: Final[Mapping[str, int]] = {"cloud_auto": 1, "cloud_essd_entry": 10}
_MOST: Final[Mapping[str, int]] = {
    "cloud": 2000,
    "cloud_ssd": 32768,
    "cloud_efficiency": 32768,
    "cloud_essd_entry": 32768,
}


def check(hosts: Hosts) -> None:
    """Reports disks that cannot be had."""
    for name, pool in hosts.of(ALIBABA).items():
        if pool.system_disk is not None:
            _disk(hosts, pool.system_disk, ("pools", name, "system_disk"))
        for n, disk in enumerate(pool.data_disks or ()):
            _disk(hosts, disk, ("pools", name, "data_disks", n))
        _count(hosts, name, pool)


def _disk(hosts: Hosts, disk: SystemDisk | DataDisk, at: Path) -> None:
    category, mark, level = disk.category.partition("_PL")
    if disk.performance_level is not None and (mark or category != "cloud_essd"):
        why = f"'{disk.category}' says one itself" if mark else f"'{disk.category}' has none"
        message = f"'performance_level' is of a cloud_essd: {why}"
        hosts.error("bad-disk", hosts.key(*at, "performance_level"), message, "remove it")
    level = f"PL{level}" if mark else disk.performance_level or "PL1"
    least, most = _bounds(category, level, system=isinstance(disk, SystemDisk))
    span = hosts.value(*at, "size")
    if disk.size % _GIB:
        hosts.error("bad-disk", span, f"a disk has whole GiB, not {format_size(disk.size)}", "write it in Gi")
    elif not least <= disk.size // _GIB <= most:
        kind = f"{category} {level}" if category == "cloud_essd" else category
        message = f"a disk of kind {kind} has {least}Gi to {most}Gi, not {format_size(disk.size)}"
        hosts.error("bad-disk", span, message)


def _bounds(category: str, level: str, *, system: bool) -> tuple[int, int]:
    least = _BY_LEVEL[level] if category == "cloud_essd" else _LEAST.get(category, 5 if category == "cloud" else 20)
    if system:
        return (20 if category == "cloud" else least), 500 if category == "cloud" else 2048
    return least, _MOST.get(category, 65536)


def _count(hosts: Hosts, name: str, pool: PoolModel) -> None:
    count = sum(disk.count for disk in pool.data_disks or ()) + len(pool.data_disk_ids or ())
    if count > _MOST_DISKS:
        key = "data_disks" if pool.data_disks else "data_disk_ids"
        message = f"pool '{name}' gives each host {count} disks beside its own, and {_MOST_DISKS} are the most"
        hosts.error("bad-disk", hosts.value("pools", name, key), message)
