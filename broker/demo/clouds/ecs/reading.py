"""DescribeTasks and ListTasks: what is there, as late as the cloud tells it."""

from collections.abc import Mapping
from typing import Any

from broker.demo.clouds.ecs import describe, errors
from broker.demo.clouds.ecs.names import NAME
from broker.demo.clouds.ecs.paging import Entry, page
from broker.demo.clouds.ecs.region import Region
from broker.demo.clouds.ecs.tasks import Status, Task
from broker.demo.clouds.model import ApiError


def described(region: Region, request: Mapping[str, Any]) -> dict[str, Any]:
    """Up to a hundred tasks by id or ARN; one that is not there, or not visible yet, is MISSING."""
    cluster = region.clusters.find(request.get("cluster"))
    asked = request["tasks"]
    if not asked:
        raise errors.invalid("Tasks cannot be empty.")
    if len(asked) > 100:
        raise errors.invalid("Tasks length must be at most 100.")
    now = region.settle()
    with_tags = "TAGS" in request.get("include", ())
    tasks, failures = [], []
    for arn in dict.fromkeys(region.names.inside(one, "task", cluster.name) for one in asked):
        task = region.tasks.get(arn)
        if task is None or task.visible_at > now:
            failures.append({"arn": arn, "reason": "MISSING"})
        else:
            tasks.append(describe.told(task, now, with_tags=with_tags))
    return {"tasks": tasks, "failures": failures}


def listed(region: Region, request: Mapping[str, Any]) -> dict[str, Any]:
    """One page of ARNs of tasks with one desired status that the filters like."""
    cluster = region.clusters.find(request.get("cluster"))
    now = region.settle()
    started_by = request.get("startedBy")
    others = ("family", "containerInstance", "serviceName", "launchType", "daemonName", "desiredStatus")
    if started_by is not None and any(request.get(one) for one in others):
        raise errors.invalid("startedBy must be the only filter.")
    if request.get("serviceName"):
        raise ApiError("ServiceNotFoundException", "Service not found.")
    if (family := request.get("family")) and not NAME.fullmatch(family):
        raise errors.invalid("Family contains invalid characters.")
    instance = request.get("containerInstance")
    if instance:
        instance = region.names.inside(instance, "container-instance", cluster.name)
        if instance not in cluster.instances:
            raise errors.invalid("The specified container instance does not exist.")
    wanted = request.get("desiredStatus", "RUNNING")
    found = [
        Entry((task.number,), task.arn)
        for task in region.tasks.values()
        if task.cluster == cluster.name
        and task.visible_at <= now
        and _shows(region, task, wanted, now)
        and (started_by is None or task.started_by == started_by)
        and (not family or task.definition.family == family)
        and (not instance or (task.instance is not None and task.instance.arn == instance))
        and request.get("launchType", task.launch_type) == task.launch_type
    ]
    arns, token = page(found, request)
    return {"taskArns": arns, "nextToken": token} if token else {"taskArns": arns}


def _shows(region: Region, task: Task, wanted: str, now: float) -> bool:
    if task.ending is None or task.ending.at > now:
        return wanted == "RUNNING"
    late = task.ending.at + region.listed_after_end_s > now
    return wanted == ("RUNNING" if late else "STOPPED")


def counts(region: Region, cluster: str) -> dict[str, int]:
    """Tasks of a cluster that run and that come up, also by launch type, as DescribeClusters counts them."""
    now = region.settle()
    found = dict.fromkeys(
        ("running", "pending", "runningEC2TasksCount", "runningFargateTasksCount", "pendingEC2TasksCount",
         "pendingFargateTasksCount"), 0,
    )  # fmt: skip
    for task in region.tasks.values():
        if task.cluster != cluster or task.is_over(now) or not task.is_wanted(now):
            continue
        state = "running" if task.status(now) is Status.RUNNING else "pending"
        found[state] += 1
        if task.launch_type in {"EC2", "FARGATE"}:
            found[f"{state}{'EC2' if task.launch_type == 'EC2' else 'Fargate'}TasksCount"] += 1
    return found
