"""How instances come up, stop and go, and what the cloud does to them of itself."""

from collections.abc import Callable
from typing import Final

from broker.demo.clouds.alibaba.instances import Instance, Status
from broker.demo.clouds.alibaba.knobs import Fate, Span
from broker.demo.clouds.alibaba.region import Region

RECYCLING: Final = "Recycling"


def begin(region: Region, instance: Instance, fate: Fate | None) -> None:
    """A fresh instance: from here on it comes up, and meets its fate if it has one."""
    timing = region.knobs.timing
    _planned(region, instance, timing.pending_s, lambda at: _start(region, instance, at))
    if instance.auto_release_at is not None:
        release_at(region, instance, instance.auto_release_at)
    if fate is not None:
        region.later(instance.created_at + fate.after_s, lambda at: _meet(region, instance, fate, at))
    region.settle()


def start(region: Region, instance: Instance) -> None:
    """One that was stopped comes up again."""
    instance.stopped_mode = ""
    _start(region, instance, region.world.now())
    region.settle()


def _start(region: Region, instance: Instance, at: float) -> None:
    instance.status = Status.STARTING
    _planned(region, instance, region.knobs.timing.starting_s, lambda then: _run(region, instance, then), at)


def _run(region: Region, instance: Instance, at: float) -> None:
    instance.status = Status.RUNNING
    instance.started_at = at
    if region.runner:
        region.runner.began(instance)


def stop(region: Region, instance: Instance, *, force: bool, mode: str = "KeepCharging") -> None:
    """It is told to stop."""
    timing = region.knobs.timing
    halt(region, instance, Status.STOPPING)
    _planned(
        region,
        instance,
        timing.forced_s if force else timing.stopping_s,
        lambda at: _stopped(region, instance, mode),
    )
    region.settle()


def _stopped(region: Region, instance: Instance, mode: str) -> None:
    halt(region, instance, Status.STOPPED)
    instance.stopped_mode = mode


def halt(region: Region, instance: Instance, status: Status) -> None:
    """It runs no more, from now on, whatever was planned."""
    ran = instance.status is Status.RUNNING
    instance.plan += 1
    instance.status = status
    if ran and region.runner:
        region.runner.ended(instance)


def release(region: Region, instance: Instance, at: float) -> None:
    """It is deleted: listed for a while, and then gone."""
    halt(region, instance, Status.STOPPING)
    instance.ending = True
    region.later(at + region.drawn(region.knobs.timing.listed_after_end_s), lambda _: vanish(region, instance))


def vanish(region: Region, instance: Instance) -> None:
    """It is gone, with its address and the disks that go with it; twice is once."""
    if region.instances.pop(instance.id, None) is None:
        return
    halt(region, instance, Status.STOPPED)
    region.stock.give_back(instance.zone, instance.type.id, spot=instance.spot.is_spot)
    vswitch = region.networks.vswitches.get(instance.vswitch)
    if vswitch:
        vswitch.give_back(instance.private_ip)
    for disk in [disk for disk in region.disks.values() if disk.instance == instance.id]:
        if disk.kind == "system" or disk.delete_with_instance:
            del region.disks[disk.id]
        else:
            disk.instance = disk.device = ""


def release_at(region: Region, instance: Instance, when: float | None) -> None:
    """It is released by itself at that time, and not at an earlier one that was set before; None: never."""
    instance.auto_release_at = when
    if when is not None:
        region.later(when, lambda at: _release_if_due(region, instance, at))


def _release_if_due(region: Region, instance: Instance, at: float) -> None:
    if instance.id in region.instances and not instance.ending and instance.auto_release_at == at:
        release(region, instance, at)


def recycle(region: Region, instance: Instance) -> None:
    """The cloud takes its spot capacity back: a notice now, the end later."""
    at = region.settle()
    if not instance.spot.is_spot:
        raise ValueError(f"{instance.id} does not run on spot capacity")
    if RECYCLING in instance.locks:
        return
    instance.locks.append(RECYCLING)
    instance.recycled_at = at + region.knobs.timing.recycling_s
    region.later(instance.recycled_at, lambda _: _take_back(region, instance))


def _take_back(region: Region, instance: Instance) -> None:
    if instance.id not in region.instances or instance.ending:
        return
    if instance.spot.interruption == "Stop":
        _stopped(region, instance, "StopCharging")
    else:
        vanish(region, instance)


def _meet(region: Region, instance: Instance, fate: Fate, at: float) -> None:
    if instance.id not in region.instances or instance.ending:
        return
    if fate.end == "gone":
        vanish(region, instance)
    elif fate.end == "stopped":
        _stopped(region, instance, "KeepCharging")
    else:
        instance.plan += 1


def _planned(
    region: Region, instance: Instance, span: Span, what: Callable[[float], None], since: float | None = None
) -> None:
    """Has something happen to it after a while, unless its plan changes."""
    plan = instance.plan
    begun = region.world.now() if since is None else since

    def happen(at: float) -> None:
        if instance.plan == plan and instance.id in region.instances:
            what(at)

    region.later(begun + region.drawn(span), happen)
