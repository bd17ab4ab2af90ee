"""How tasks end: because a caller says so, by themselves, or because the cloud takes their machine."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from broker.demo.clouds.ecs import errors, life
from broker.demo.clouds.ecs.region import Region
from broker.demo.clouds.ecs.tasks import Status, Task

EXITED = "Essential container in task exited"
SIGTERM, SIGKILL = 143, 137


def stop(region: Region, request: Mapping[str, Any]) -> Task:
    """StopTask: raises InvalidParameterException for a task that is not there or not visible yet.

    One that ends already stays as it is. The vendor deletes the tags of a task that is stopped so.
    """
    cluster = region.clusters.find(request.get("cluster"))
    arn = region.names.inside(request["task"], "task", cluster.name)
    now = region.settle()
    task = region.tasks.get(arn)
    if task is None or task.visible_at > now:
        raise errors.invalid("The referenced task was not found.")
    if task.is_wanted(now):
        order(region, task, now, "UserInitiated", request.get("reason") or "Task stopped by user")
        if region.stop_deletes_tags:
            task.tags = {}
    return task


def order(region: Region, task: Task, now: float, code: str, reason: str) -> None:
    """Orders a task to stop now; nothing for one that is ending."""
    if not task.is_wanted(now):
        return
    lasts = None if region.runs(task) else _shutdown(task)
    if task.reached(Status.RUNNING, now):
        _signalled(task, lasts)
    region.waiting.pop(task.arn, None)
    life.stop(task, now, code, reason, lasts=lasts)
    region.follow(task)


def interrupt(region: Region, task: Task, now: float, code: str, reason: str, notice_s: float) -> None:
    """The cloud wants its machine back: SIGTERM now, SIGKILL after the notice or a shorter stopTimeout."""
    if not task.is_wanted(now):
        return
    own = [one["stopTimeout"] for one in task.definition.content["containerDefinitions"] if "stopTimeout" in one]
    notice_s = min([notice_s, *own])
    for container in task.containers if task.reached(Status.RUNNING, now) else ():
        container.exit_code = SIGKILL
    life.interrupt(task, now, code, reason, lasts=None if region.runs(task) else notice_s)
    region.follow(task)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    """The end of a container that nobody asked for, and what is told of its task if it was essential."""

    container: str = ""
    """Its name; "": the first that is essential."""
    exit_code: int = 0
    reason: str = ""
    """The container's."""
    code: str = "EssentialContainerExited"
    stopped_reason: str = EXITED


def exit_now(region: Region, task: Task, now: float, end: Exit) -> None:
    """A container ends now, by itself or as it was told to; nothing if it has ended already."""
    ended = task.container(end.container)
    if task.is_over(now) or ended.ended_at is not None or _all_ended(task, now):
        return
    running = task.reached(Status.RUNNING, now)
    if not running and not task.is_wanted(now):
        return
    if running or end.code == "EssentialContainerExited":
        ended.exit_code = end.exit_code
    ended.reason = end.reason
    if running:
        ended.ended_at = now
    if ended.essential or not running:
        _end_all(region, task, now, end)
    region.follow(task)


def _end_all(region: Region, task: Task, now: float, end: Exit) -> None:
    """The essential container has ended; the others are told to."""
    region.waiting.pop(task.arn, None)
    if not task.reached(Status.RUNNING, now):
        life.fail(task, now, end.code, end.stopped_reason)
        return
    left = [container for container in task.containers if container.ended_at is None]
    lasts = _shutdown(task) if left and not region.runs(task) else 0.0
    for container in left:
        container.exit_code = SIGKILL if task.durations.stopping > lasts else SIGTERM
    life.exited(task, now, end.code, end.stopped_reason, lasts=lasts)


def _all_ended(task: Task, now: float) -> bool:
    ending = task.ending
    return ending is not None and ending.exits_at is not None and ending.exits_at <= now


def _shutdown(task: Task) -> float:
    """From SIGTERM to the end: SIGKILL comes when a container's patience is over."""
    return min(task.durations.stopping, max(container.stop_timeout for container in task.containers))


def _signalled(task: Task, lasts: float | None) -> None:
    if lasts is None:
        return
    killed = task.durations.stopping > lasts
    for container in task.containers:
        container.exit_code = SIGKILL if killed else SIGTERM
        container.reason = ""
