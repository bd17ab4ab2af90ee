"""Whether the templates' tasks can start in their pools: log groups, named definitions, and room."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from broker.backends.aws_ecs.iam import log_groups
from broker.backends.aws_ecs.options import TaskOptions
from broker.backends.aws_ecs.used import Used
from broker.doctor.aws_ask import Cloud, Refused
from broker.doctor.report import Doubtful, Report, Wrong
from broker.domain.resources import Resources

_AT_ONCE: Final = 100


async def check_logs(cloud: Cloud, used: Used, region: str, report: Report) -> None:
    """Each log group that is not made by the driver exists; no check without awslogs."""
    made = {
        str(options.get("awslogs-group"))
        for task in used.tasks.values()
        for options in [(task.container.get("logConfiguration") or {}).get("options") or {}]
        if str(options.get("awslogs-create-group", "")).lower() == "true"
    }
    if groups := [pair for pair in log_groups(used, region) if pair[0] not in made]:
        await report.check("logs", _logs(cloud, groups))


async def _logs(cloud: Cloud, groups: Sequence[tuple[str, str]]) -> str:
    for group, region in groups:
        asked = {"logGroupNamePrefix": group}
        found = await cloud.pages("logs:DescribeLogGroups", "logGroups", asked, region=region)
        if not any(one.get("logGroupName") == group for one in found):
            hint = "make it, mend awslogs-group and awslogs-region, or set awslogs-create-group: 'true'"
            raise Wrong(f"no log group {group} in {region}: tasks would not start", hint)
    return ", ".join(group for group, _ in groups)


async def check_definitions(cloud: Cloud, used: Used, report: Report) -> None:
    """Each task definition that a template names is there, with the agent's container; no check without one."""
    named = {name: task for name, task in used.tasks.items() if task.task_definition}
    if named:
        await report.check(
            "task definitions", _definitions(cloud, used, {str(name): task for name, task in named.items()})
        )


async def _definitions(cloud: Cloud, used: Used, named: Mapping[str, TaskOptions]) -> str:
    told = []
    for template, task in named.items():
        key = f"templates.{template}"
        try:
            answer = await cloud.ask("ecs:DescribeTaskDefinition", {"taskDefinition": task.task_definition})
        except Refused as refused:
            if refused.code != "ClientException":
                raise
            hint = f"known: agentbroker discover aws task-definitions --backend {used.name}; set {key}.task_definition"
            raise Wrong(f"no task definition {task.task_definition}: {refused.message}", hint) from refused
        found = answer["taskDefinition"]
        name = f"{found['family']}:{found['revision']}"
        if found.get("status") != "ACTIVE":
            raise Wrong(f"{name} is {found.get('status')}", f"set {key}.task_definition to an active one")
        containers = [str(one["name"]) for one in found["containerDefinitions"]]
        if task.agent_container and task.agent_container not in containers:
            hint = f"known: {', '.join(containers)}; set {key}.agent_container"
            raise Wrong(f"{name} has no container {task.agent_container}", hint)
        told.append(f"{name}, agent in {task.agent_container or containers[0]}")
    return "; ".join(told)


async def check_instances(cloud: Cloud, used: Used, cluster: Mapping[str, Any], report: Report) -> None:
    """Instances are there and have room, for pools that are not Fargate; no check without such a pool."""
    if any(not pool.is_fargate for pool in used.pools.values()):
        await report.check("instances", _instances(cloud, used, cluster))


async def _instances(cloud: Cloud, used: Used, cluster: Mapping[str, Any]) -> str:
    where = cluster["clusterArn"]
    asked = {"cluster": where, "status": "ACTIVE"}
    arns = await cloud.pages("ecs:ListContainerInstances", "containerInstanceArns", asked)
    found = list[Mapping[str, Any]]()
    for start in range(0, len(arns), _AT_ONCE):
        some = {"cluster": where, "containerInstances": arns[start : start + _AT_ONCE]}
        found += (await cloud.ask("ecs:DescribeContainerInstances", some)).get("containerInstances") or []
    if not found:
        if any(pool.strategy for pool in used.pools.values() if not pool.is_fargate):
            return "none now; their capacity providers make them"
        raise Wrong("no active instances", f"add some to cluster {used.cluster}, or use capacity providers that scale")
    live = [one for one in found if one.get("agentConnected")]
    free = [(_left(one, "CPU"), _left(one, "MEMORY")) for one in live]
    told = f"{len(live)} of {len(found)} connected, free: {sum(cpu for cpu, _ in free) / 1024:g} vCPU,"
    told += f" {sum(memory for _, memory in free) / 1024:.1f} GiB"
    rooms = {str(one.name): _room(one.resources, free) for _, pool, one, _ in used.together() if not pool.is_fargate}
    told += "".join(f"; room for {count} of {name}" for name, count in rooms.items())
    if not live or (rooms and not any(rooms.values())):
        raise Doubtful(told, "add instances, or wait until tasks end: other pools are used meanwhile")
    return told


def _left(instance: Mapping[str, Any], name: str) -> int:
    return next(
        (int(one.get("integerValue", 0)) for one in instance.get("remainingResources") or () if one["name"] == name), 0
    )


def _room(wanted: Resources, free: Sequence[tuple[int, int]]) -> int:
    """How many agents of a size the instances could take, one by one."""
    sizes = (wanted.cpu_milli * 1024 // 1000, wanted.memory_mib)
    return sum(min((left // size for size, left in zip(sizes, one, strict=True) if size), default=0) for one in free)
