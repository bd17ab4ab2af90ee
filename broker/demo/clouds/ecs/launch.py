"""RunTask: makes the tasks of an order, each with a place, a wait for one, or the reason why there is none."""

from collections.abc import Mapping
from typing import Any

from broker.demo.clouds.ec2 import Subnet
from broker.demo.clouds.ecs import errors, knobs, life, order, placement, strategy
from broker.demo.clouds.ecs.clusters import FARGATE
from broker.demo.clouds.ecs.ending import SIGTERM
from broker.demo.clouds.ecs.instances import ContainerInstance
from broker.demo.clouds.ecs.order import Order
from broker.demo.clouds.ecs.region import Region
from broker.demo.clouds.ecs.tasks import Container, Status, Task
from broker.demo.clouds.model import Call
from broker.demo.clouds.throttles import Throttles

NO_CAPACITY = "Capacity is unavailable at this time. Please try again later or in a different availability zone"
NO_TASKS = "You've reached the limit on the number of tasks you can run concurrently"
NO_VCPUS = "You've reached the limit on the number of vCPUs you can run concurrently"

Failure = dict[str, str]


def run(region: Region, call: Call, throttles: Throttles) -> tuple[list[Task], list[Failure]]:
    """The tasks of a request, new or those that its client token made before, and why others were not made."""
    request = call.parameters
    order.check(request)
    cluster = region.clusters.active(request.get("cluster"))
    now = region.settle()
    if (made := region.tokens.made(cluster.name, request, now)) is not None:
        return [region.tasks[arn] for arn in made if arn in region.tasks], []
    definition = region.definitions.runnable(request["taskDefinition"])
    asked = order.of(request, cluster, definition, region.clusters, region.network)
    _check_roles(region, asked)
    if (reason := region.next_failure()) is not None:
        return [], [{"reason": reason}] * asked.count
    tasks: list[Task] = []
    failures: list[Failure] = []
    providers = _providers(region, asked)
    if asked.launch_type == "FARGATE":
        for spot in {provider == FARGATE[1] for provider in providers}:
            count = sum((provider == FARGATE[1]) == spot for provider in providers)
            throttles.fargate(call, spot=spot, tasks=count)
    for provider in providers:
        made_or_not = _place(region, asked, provider, now)
        if isinstance(made_or_not, Task):
            tasks.append(made_or_not)
        else:
            failures += made_or_not
    region.tokens.keep(cluster.name, request, now, [task.arn for task in tasks])
    return tasks, failures


def _check_roles(region: Region, asked: Order) -> None:
    for field in ("taskRoleArn", "executionRoleArn"):
        role = asked.overrides.get(field) or asked.definition.content.get(field)
        if role in region.unassumable_roles:
            raise errors.refused(
                f"ECS was unable to assume the role '{role}' that was provided for this task. Please verify that the "
                "role being passed has the proper trust relationship and permissions and that your IAM user has "
                "permissions to pass this role."
            )


def _providers(region: Region, asked: Order) -> list[str]:
    """The capacity provider of each task, "" for a launch type; raises when too many would wait or no machine is."""
    if not asked.strategy:
        if asked.launch_type != "FARGATE" and not _machines(region, asked, ""):
            raise errors.invalid("No Container Instances were found in your cluster.")
        return [""] * asked.count
    chosen = strategy.spread(asked.strategy, asked.count, region.chance)
    waiting = sum(task.waits for task in region.tasks.values() if task.cluster == asked.cluster.name)
    for provider in set(chosen):
        known = region.clusters.providers[provider]
        if known.scales and waiting + asked.count > region.quotas.provisioning_tasks:
            raise errors.refused("Tasks provisioning capacity limit exceeded.")
        if not known.is_fargate and not known.scales and not _machines(region, asked, provider):
            raise errors.invalid("No Container Instances were found in your capacity provider.")
    return chosen


def _machines(region: Region, asked: Order, provider: str) -> list[ContainerInstance]:
    return [
        one
        for one in asked.cluster.instances.values()
        if one.status == "ACTIVE"
        and one.external == (asked.launch_type == "EXTERNAL")
        and (not provider or one.capacity_provider == provider)
    ]


def _place(region: Region, asked: Order, provider: str, now: float) -> Task | list[Failure]:
    if asked.launch_type == "FARGATE":
        return _on_fargate(region, asked, provider, now)
    found = placement.choose(_machines(region, asked, provider), asked.need, asked.rules, asked.group, region.chance)
    if isinstance(found, ContainerInstance):
        task = _new(region, asked, provider, now)
        settle_on(region, task, asked, found, now)
        return task
    if provider and region.clusters.providers[provider].scales:
        task = _new(region, asked, provider, now)
        life.wait(task, now)
        region.wait(task, asked.need, lambda later: place_waiting(region, task, asked, later))
        return task
    return found


def settle_on(region: Region, task: Task, asked: Order, instance: ContainerInstance, now: float) -> None:
    """Gives a task its machine: from now on it comes up."""
    gpus = instance.take(task.arn, asked.need, asked.group)
    task.instance, task.zone = instance, instance.attributes.get("ecs.availability-zone") or ""
    for container in task.containers:
        wanted = asked.definition.container(container.name) or {}
        texts = [one["value"] for one in wanted.get("resourceRequirements", ())]
        count = len(gpus) if "ALL" in texts else sum(map(int, texts))
        container.gpus, gpus = gpus[:count], gpus[count:]
    subnets = [subnet for subnet in asked.subnets if subnet.zone == task.zone]
    _come_up(region, task, asked, subnets[0] if subnets else None, now)


def place_waiting(region: Region, task: Task, asked: Order, now: float) -> bool:
    """Looks again whether a task that waits has room now."""
    machines = _machines(region, asked, task.capacity_provider)
    found = placement.choose(machines, asked.need, asked.rules, asked.group, region.chance)
    if isinstance(found, ContainerInstance):
        settle_on(region, task, asked, found, now)
        return True
    return False


def _on_fargate(region: Region, asked: Order, provider: str, now: float) -> Task | list[Failure]:
    spot = provider == FARGATE[1]
    if (reason := _over_quota(region, asked, spot)) is not None:
        return [{"reason": reason}]
    open_ = [subnet for subnet in asked.subnets if not region.is_closed(provider or FARGATE[0], subnet.zone)]
    if not open_:
        return [{"reason": NO_CAPACITY}]
    task = _new(region, asked, provider, now)
    roomy = [subnet for subnet in open_ if subnet.free_addresses > 0] or open_
    subnet = region.chance.choice(roomy)
    task.zone = subnet.zone
    _come_up(region, task, asked, subnet, now)
    return task


def _over_quota(region: Region, asked: Order, spot: bool) -> str | None:
    quotas = region.quotas
    most = quotas.fargate_spot_vcpus if spot else quotas.fargate_vcpus
    if most is None and quotas.fargate_tasks is None:
        return None
    alive = [task for task in region.tasks.values() if task.launch_type == "FARGATE" and not task.released]
    if quotas.fargate_tasks is not None and len(alive) >= quotas.fargate_tasks:
        return NO_TASKS
    if most is not None:
        used = sum(int(task.cpu) for task in alive if (task.capacity_provider == FARGATE[1]) == spot)
        if used + int(asked.cpu) > most * 1024:
            return NO_VCPUS
    return None


def _come_up(region: Region, task: Task, asked: Order, subnet: Subnet | None, now: float) -> None:
    fate = region.next_fate(task)
    if subnet is not None:
        task.subnet, task.eni = subnet, f"eni-{region.ids.hex(17)}"
        task.address = region.network.take(subnet)
        if not task.address:
            fate = knobs.no_address(subnet.id)
    life.start(task, now)
    if fate is not None:
        _doom(task, fate)
    region.follow(task)


def _doom(task: Task, fate: knobs.Fate) -> None:
    """Plans the end that a task will come to."""
    since = task.since(fate.stage)
    if since is None:  # it passes over that state
        since = task.timeline[0][0] if fate.stage is Status.PROVISIONING else (task.since(Status.RUNNING) or 0.0)
    at = since + fate.after_s
    if fate.stage is Status.RUNNING:
        life.exited(task, at, fate.code, fate.reason)
    else:
        task.timeline = [entry for entry in task.timeline if entry[0] <= since]
        life.fail(task, at, fate.code, fate.reason)
    for container in task.containers if fate.stage is Status.RUNNING else ():
        container.exit_code = SIGTERM
    doomed = task.container()
    doomed.exit_code, doomed.reason = fate.exit_code, fate.container_reason


def _new(region: Region, asked: Order, provider: str, now: float) -> Task:
    task_id = region.ids.hex()
    content = asked.definition.content
    architecture = content.get("runtimePlatform", {}).get("cpuArchitecture", "X86_64")
    task = Task(
        arn=region.names.arn("task", asked.cluster.name, task_id),
        id=task_id,
        number=region.next_number(),
        cluster=asked.cluster.name,
        cluster_arn=asked.cluster.arn,
        definition=asked.definition,
        created_at=now,
        visible_at=now + knobs.drawn(region.visible_after_s, region.chance),
        launch_type=asked.launch_type,
        capacity_provider=provider,
        group=asked.group,
        started_by=asked.started_by,
        tags=dict(asked.tags),
        overrides=asked.overrides,
        cpu=asked.cpu or str(asked.need.cpu),
        memory=asked.memory or str(asked.need.memory),
        platform_version=asked.platform_version,
        disk_gib=asked.disk_gib,
        execute_command=asked.execute_command,
        architecture="arm64" if architecture == "ARM64" else "x86_64",
        volumes=asked.volumes,
        durations=region.timing.draw(region.chance),
    )
    task.containers = [_container(region, task, one, asked.overrides) for one in content["containerDefinitions"]]
    region.tasks[task.arn] = task
    return task


def _container(region: Region, task: Task, wanted: Mapping[str, Any], overrides: Mapping[str, Any]) -> Container:
    none: Mapping[str, Any] = {}
    given = next((one for one in overrides.get("containerOverrides", ()) if one.get("name") == wanted["name"]), none)
    environment = {one["name"]: one.get("value", "") for one in wanted["environment"]}
    environment |= {one["name"]: one.get("value", "") for one in given.get("environment", ())}
    return Container(
        name=wanted["name"],
        arn=region.names.arn("container", task.cluster, task.id, region.ids.uuid()),
        image=wanted["image"],
        essential=wanted["essential"],
        command=given.get("command", wanted.get("command")),
        entry_point=wanted.get("entryPoint"),
        environment=environment,
        cpu=given.get("cpu", wanted["cpu"]),
        memory=given.get("memory", wanted.get("memory")),
        memory_reservation=given.get("memoryReservation", wanted.get("memoryReservation")),
        stop_timeout=wanted.get("stopTimeout", 30),
        runtime_id=f"{task.id}-{region.chance.randrange(10**9, 10**10)}"
        if task.launch_type == "FARGATE"
        else region.ids.hex(64),
        digest=f"sha256:{region.ids.hex(64)}",
    )
