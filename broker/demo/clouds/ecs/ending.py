"""How tasks end: because a caller says so, by themselves, or because the cloud takes their machine."""

from collections.abc import Mapping
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


def exit_now(
    region: Region, task: Task, now: float, exit_code: int, reason: str, code: str, stopped_reason: str
) -> None:
    """The task's essential container ends now, by itself or as it was told to; nothing once it has ended."""
    if task.is_over(now) or (task.ending and task.ending.exits_at is not None and task.ending.exits_at <= now):
        return
    ended = task.container()
    if task.is_wanted(now):  # the others are told to end
        for container in task.containers:
            container.exit_code = SIGTERM
    ended.exit_code, ended.reason = exit_code, reason
    region.waiting.pop(task.arn, None)
    if task.reached(Status.RUNNING, now):
        life.exited(task, now, code, stopped_reason)
    else:
        ended.exit_code = exit_code if code == "EssentialContainerExited" else None
        life.fail(task, now, code, stopped_reason)
    region.follow(task)


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
