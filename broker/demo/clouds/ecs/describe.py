"""Tasks as the API tells them."""

from typing import Any

from broker.demo.clouds.ecs import tags
from broker.demo.clouds.ecs.names import stamp
from broker.demo.clouds.ecs.tasks import STARTING, Container, Status, Task


def told(task: Task, now: float, *, with_tags: bool = False) -> dict[str, Any]:
    """A task as it is now. What did not change since it was last told is not made again; leave it as it is."""
    key = (task.phase(now), task.edits, task.is_wanted(now))
    if task.view is None or task.view[0] != key:
        task.view = (key, _made(task, now))
    view = task.view[1]
    return {**view, "tags": tags.listed(task.tags)} if with_tags else view


def _made(task: Task, now: float) -> dict[str, Any]:
    view: dict[str, Any] = {
        "attachments": _attachments(task, now),
        "attributes": [{"name": "ecs.cpu-architecture", "value": task.architecture}],
        "clusterArn": task.cluster_arn,
        "containers": [_container(task, container, now) for container in task.containers],
        "cpu": task.cpu,
        "createdAt": stamp(task.created_at),
        "desiredStatus": "RUNNING" if task.is_wanted(now) else "STOPPED",
        "enableExecuteCommand": task.execute_command,
        "group": task.group,
        "healthStatus": _health(task, now),
        "inferenceAccelerators": [],
        "lastStatus": str(task.status(now)),
        "launchType": task.launch_type,
        "memory": task.memory,
        "overrides": _overrides(task),
        "tags": [],
        "taskArn": task.arn,
        "taskDefinitionArn": task.definition.arn,
        "version": task.phase(now) + task.edits + 1,
    }
    if task.capacity_provider:
        view["capacityProviderName"] = task.capacity_provider
    if task.zone:
        view["availabilityZone"] = task.zone
    if task.instance is not None:
        view["containerInstanceArn"] = task.instance.arn
    if task.started_by:
        view["startedBy"] = task.started_by
    return {**view, **_fargate(task), **_times(task, now), **_end(task, now)}


def _fargate(task: Task) -> dict[str, Any]:
    if task.launch_type != "FARGATE":
        return {}
    family = task.definition.content.get("runtimePlatform", {}).get("operatingSystemFamily", "LINUX")
    return {
        "platformVersion": task.platform_version,
        "platformFamily": "Linux" if family == "LINUX" else str(family),
        "ephemeralStorage": {"sizeInGiB": task.disk_gib},
        "fargateEphemeralStorage": {"sizeInGiB": task.disk_gib},
    }


def _overrides(task: Task) -> dict[str, Any]:
    given = {one.get("name"): one for one in task.overrides.get("containerOverrides", ())}
    return {
        **task.overrides,
        "containerOverrides": [given.get(one.name, {"name": one.name}) for one in task.containers],
        "inferenceAcceleratorOverrides": [],
    }


def _times(task: Task, now: float) -> dict[str, Any]:
    """When it came so far. The image is pulled in the last nine tenths of PENDING."""
    pending, running = task.since(Status.PENDING), task.since(Status.RUNNING)
    view: dict[str, Any] = {}
    if pending is not None:
        pulling = pending + task.durations.pending / 10
        pulled = pending + task.durations.pending
        last = task.ending.at if task.ending else float("inf")
        if pending <= now:
            view["connectivity"], view["connectivityAt"] = "CONNECTED", stamp(pending)
        if pulling <= min(now, last):
            view["pullStartedAt"] = stamp(pulling)
        if pulled <= min(now, last):
            view["pullStoppedAt"] = stamp(pulled)
    if running is not None and running <= now:
        view["startedAt"] = stamp(running)
    return view


def _end(task: Task, now: float) -> dict[str, Any]:
    ending = task.ending
    if ending is None or ending.at > now:
        return {}
    view: dict[str, Any] = {"stopCode": ending.code, "stoppedReason": ending.reason, "stoppingAt": stamp(ending.at)}
    if ending.exits_at is not None and ending.exits_at <= now:
        view["executionStoppedAt"] = stamp(ending.exits_at)
    stopped = task.since(Status.STOPPED)
    if stopped is not None and stopped <= now:
        view["stoppedAt"] = stamp(stopped)
    return view


def _container(task: Task, container: Container, now: float) -> dict[str, Any]:
    running = task.reached(Status.RUNNING, now)
    ending = task.ending if task.ending and task.ending.at <= now else None
    ended = container.ended_at is not None and container.ended_at <= now
    if ending is not None and not ended:
        ended = ending.exits_at <= now if ending.exits_at is not None else not running or task.is_over(now)
    view: dict[str, Any] = {
        "containerArn": container.arn,
        "taskArn": task.arn,
        "name": container.name,
        "image": container.image,
        "lastStatus": "STOPPED" if ended else "RUNNING" if running else "PENDING",
        "networkBindings": [],
        "networkInterfaces": [],
        "healthStatus": "HEALTHY" if running and not ended and _is_checked(task, container.name) else "UNKNOWN",
        "cpu": str(container.cpu),
    }
    if container.memory is not None:
        view["memory"] = str(container.memory)
    if container.memory_reservation is not None:
        view["memoryReservation"] = str(container.memory_reservation)
    if container.gpus:
        view["gpuIds"] = list(container.gpus)
    if running:
        view["runtimeId"], view["imageDigest"] = container.runtime_id, container.digest
        if task.execute_command:
            view["managedAgents"] = [{"name": "ExecuteCommandAgent", "lastStatus": "STOPPED" if ended else "RUNNING"}]
        if not task.has_eni:
            view["networkBindings"] = _bindings(task, container)
    if ended and container.exit_code is not None:
        view["exitCode"] = container.exit_code
    if ended and container.reason:
        view["reason"] = container.reason[:1024]
    if task.address and not task.is_over(now):
        view["networkInterfaces"] = [{"attachmentId": f"{task.id[:8]}-eni", "privateIpv4Address": task.address}]
    return view


def _is_checked(task: Task, name: str) -> bool:
    return "healthCheck" in (task.definition.container(name) or {})


def _health(task: Task, now: float) -> str:
    """Of the essential containers; checks are believed to succeed from the start."""
    checked = all(_is_checked(task, container.name) for container in task.containers if container.essential)
    return "HEALTHY" if checked and task.status(now) is Status.RUNNING else "UNKNOWN"


def _bindings(task: Task, container: Container) -> list[dict[str, Any]]:
    wanted = task.definition.container(container.name) or {}
    return [
        {
            "bindIP": "0.0.0.0",
            "containerPort": port["containerPort"],
            "hostPort": port.get("hostPort") or 32768 + (task.number * 16 + index) % 28000,
            "protocol": port["protocol"],
        }
        for index, port in enumerate(wanted.get("portMappings", ()))
        if "containerPort" in port
    ]


def _attachments(task: Task, now: float) -> list[dict[str, Any]]:
    status = "ATTACHED" if task.reached(Status.RUNNING, now) else "ATTACHING"
    status = "DELETED" if task.is_over(now) else status
    found = [
        {
            "id": f"{task.id[:8]}-ebs-{one['name']}",
            "type": "AmazonElasticBlockStorage",
            "status": status,
            "details": [
                {"name": "volumeName", "value": one["name"]},
                {"name": "roleArn", "value": one["managedEBSVolume"]["roleArn"]},
            ],
        }
        for one in task.volumes
    ]
    if task.subnet is not None:
        found.append(_interface(task, now))
    return found


def _interface(task: Task, now: float) -> dict[str, Any]:
    assert task.subnet is not None
    details = [{"name": "subnetId", "value": task.subnet.id}]
    status = "PRECREATED"
    if task.address and task.status(now) is not Status.PROVISIONING:
        status = "ATTACHED" if task.status(now) not in (*STARTING, Status.STOPPED) else "ATTACHING"
        number = [int(part) for part in task.address.split(".")]
        details += [
            {"name": "networkInterfaceId", "value": task.eni},
            {"name": "macAddress", "value": "0a:00:" + ":".join(f"{part:02x}" for part in number)},
            {
                "name": "privateDnsName",
                "value": f"ip-{task.address.replace('.', '-')}.{task.zone[:-1]}.compute.internal",
            },
            {"name": "privateIPv4Address", "value": task.address},
        ]
    if task.is_over(now):
        status = "DELETED"
    return {"id": f"{task.id[:8]}-eni", "type": "ElasticNetworkInterface", "status": status, "details": details}
