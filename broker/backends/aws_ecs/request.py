"""What is asked of ECS for one agent: the request of RunTask.

The definition says what all agents of a template have in common; all that is one agent's own comes in the overrides.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from broker.backends.aws_ecs.chosen import Chosen, launch_sizes
from broker.backends.aws_ecs.options import PoolOptions, TaskOptions
from broker.backends.aws_ecs.spelling import api_name
from broker.backends.bootstrap import HOME, WINDOWS_HOME, start_of
from broker.domain.reason import Reason
from broker.errors import BackendRejected
from broker.ports import LaunchSpec

_LONGEST_OVERRIDES: Final = 8192
"""Characters of JSON (API reference, TaskOverride)."""
SECRET: Final = "JENKINS_SECRET"  # noqa: S105 -- a variable's name
KEPT_FOR: Final = "AGENTBROKER_LAUNCH"
"""The launch, after which an agent's secret is called that its definition gives: StopTask deletes tags."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """What makes a task ours, and the call repeatable."""

    cluster: str
    client_token: str
    started_by: str
    tags: Sequence[Mapping[str, str]]


def run_task(
    spec: LaunchSpec, chosen: Chosen, marks: Marks, subnets: Sequence[str], *, kept_for: str = ""
) -> dict[str, Any]:
    """The whole request. With `kept_for`, the launch, the definition gives the secret. BackendRejected for what cannot
    be.
    """
    pool, task = PoolOptions.of(spec.pool), TaskOptions.of(spec.template)
    request: dict[str, Any] = {
        "cluster": marks.cluster,
        "taskDefinition": chosen.arn,
        "count": 1,
        "clientToken": marks.client_token,
        "startedBy": marks.started_by,
        "tags": [dict(tag) for tag in marks.tags],
        "enableECSManagedTags": False,
        "overrides": overrides(spec, chosen, kept_for=kept_for),
        **_capacity(pool),
        **_placement(pool),
    }
    if pool.enable_execute_command:
        request["enableExecuteCommand"] = True
    if pool.platform_version and pool.is_fargate:
        request["platformVersion"] = pool.platform_version
    if chosen.network_mode == "awsvpc" or (not chosen.network_mode and subnets and pool.is_fargate):
        request["networkConfiguration"] = {"awsvpcConfiguration": _network(pool, subnets)}
    if task.volume_configurations:
        request["volumeConfigurations"] = [dict(one) for one in task.volume_configurations]
    return request


def overrides(spec: LaunchSpec, chosen: Chosen, *, kept_for: str = "") -> dict[str, Any]:
    """What is this agent's own: variables that the definition does not give, arguments, and another size."""
    start = start_of(spec, home=WINDOWS_HOME if chosen.is_windows else HOME)
    _check_start(spec, start.entrypoint, chosen)
    told = {n: v for n, v in start.environment.items() if chosen.environment.get(n) != v}
    if kept_for:
        told.pop(SECRET, None)
        told[KEPT_FOR] = kept_for
    sizes = launch_sizes(chosen, spec.template, spec.pool, spec.configured)
    container: dict[str, Any] = {"name": chosen.container}
    if start.arguments:
        container["command"] = list(start.arguments)
    if told:
        container["environment"] = [{"name": name, "value": value} for name, value in told.items()]
    container |= sizes.container
    found: dict[str, Any] = {"containerOverrides": [container], **sizes.task}
    length = len(json.dumps(found, separators=(",", ":")))
    if length > _LONGEST_OVERRIDES:
        message = (
            f"what agent {spec.name} is told takes {length} characters, and RunTask's overrides may have"
            f" {_LONGEST_OVERRIDES}: with a private CA use fewer certificates, or put it into the image"
        )
        raise BackendRejected("OverridesTooLong", message, Reason.INVALID_TEMPLATE)
    return found


def _check_start(spec: LaunchSpec, entrypoint: tuple[str, ...] | None, chosen: Chosen) -> None:
    """RunTask cannot say an entry point: one that is needed must be the definition's."""
    if entrypoint is None:
        return
    name = spec.template.name
    if chosen.is_windows:
        message = f"templates.{name}.inject is script, which is a POSIX script: Windows takes env, args or legacy"
        raise BackendRejected("NoShell", message, Reason.INVALID_TEMPLATE)
    if chosen.entry_point != entrypoint:
        message = (
            f"templates.{name}.inject is script, and {chosen.arn} has another entry point: use env, args or legacy"
        )
        raise BackendRejected("OtherEntryPoint", message, Reason.INVALID_TEMPLATE)


def _capacity(pool: PoolOptions) -> dict[str, Any]:
    """A launch type or a strategy, which exclude each other; neither is the cluster's default."""
    if pool.strategy:
        strategy = [{api_name(name): value for name, value in asdict(one).items()} for one in pool.strategy]
        return {"capacityProviderStrategy": strategy}
    return {"launchType": pool.launch_type} if pool.launch_type else {}


def _placement(pool: PoolOptions) -> dict[str, Any]:
    """Strategies and constraints of tasks on instances; Fargate knows neither."""
    if pool.is_fargate:
        return {}
    strategy = [{n: v for n, v in asdict(one).items() if v} for one in pool.placement_strategy]
    constraints = [{n: v for n, v in asdict(one).items() if v} for one in pool.placement_constraints]
    found = {"placementStrategy": strategy, "placementConstraints": constraints}
    return {name: value for name, value in found.items() if value}


def _network(pool: PoolOptions, subnets: Sequence[str]) -> dict[str, Any]:
    network: dict[str, Any] = {"subnets": list(subnets or pool.subnets)}
    if pool.security_groups:
        network["securityGroups"] = list(pool.security_groups)
    if pool.assign_public_ip:  # refused for tasks on instances
        network["assignPublicIp"] = "ENABLED"
    elif pool.is_fargate:
        network["assignPublicIp"] = "DISABLED"
    return network
