"""The body of RegisterTaskDefinition for a template in a pool: the same for the same config, whatever the agent.

What differs from agent to agent (name, secret, URL, a size of its own) comes with RunTask. A build's own image is
another definition of the same family.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any, Final

from broker.backends.aws_ecs.containers import agent_container, said, sidecars
from broker.backends.aws_ecs.options import PoolOptions, TaskOptions
from broker.backends.aws_ecs.sizes import Sizes, sizes_of
from broker.backends.aws_ecs.volumes import task_volumes
from broker.domain.ids import TemplateName
from broker.domain.pool import Pool
from broker.domain.resources import Resources
from broker.domain.template import Template

_NOT_IN_A_NAME: Final = re.compile(r"[^A-Za-z0-9_-]")
_LONGEST_FAMILY: Final = 255
_DEFAULT: Final = "default"
"""As a network mode: none is said, which Windows on EC2 needs."""
_AWSVPC: Final = "awsvpc"


def family_of(prefix: str, template: TemplateName) -> str:
    """`<prefix>-<template>` in the letters that a family may have."""
    return _NOT_IN_A_NAME.sub("-", f"{prefix}-{template}")[:_LONGEST_FAMILY]


def definition_body(
    template: Template,
    pool: Pool,
    family: str,
    size: Resources | None = None,
    secrets: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """All of it but the tags that say whose it is. `size` is the template's as configured, by default its own.

    `secrets` are variables of the agent's container beside its template's, by name, as references.

    BackendRejected, which names the key, for a template of which no definition can be made.
    """
    options, where = TaskOptions.of(template), PoolOptions.of(pool)
    beside = sidecars(options)
    sizes = wanted_sizes(template, pool, size)
    task = {name: value for name, value in options.task.items() if name != "volumes"}
    body = {
        "family": family,
        "containerDefinitions": [agent_container(template, options, sizes, secrets or {}), *beside],
        "volumes": task_volumes(template, options),
        "executionRoleArn": task.pop("executionRoleArn", None) or where.execution_role_arn,
        "taskRoleArn": task.pop("taskRoleArn", None) or where.task_role_arn,
        "networkMode": network_mode(options, where),
        "requiresCompatibilities": compatibilities(where),
        "cpu": str(sizes.task_cpu) if sizes.task_cpu else None,
        "memory": str(sizes.task_memory) if sizes.task_memory else None,
        "tags": [{"key": key, "value": value} for key, value in sorted(template.tags.items())],
    }
    task.pop("networkMode", None)
    return said({**task, **body})


def wanted_sizes(template: Template, pool: Pool, size: Resources | None = None) -> Sizes:
    """How large a task of `template` in `pool` is to be; of another size than the template's if one is said."""
    options = TaskOptions.of(template)
    soft = int(options.container.get("memoryReservation") or 0)
    on_fargate = PoolOptions.of(pool).is_fargate
    return sizes_of(size or template.resources, soft, options.sidecars, on_fargate=on_fargate)


def network_mode(options: TaskOptions, where: PoolOptions) -> str:
    """Fargate has awsvpc alone; else the template's, the pool's, awsvpc with subnets, or nothing."""
    if where.is_fargate:
        return _AWSVPC
    asked = str(options.task.get("networkMode") or where.network_mode or (_AWSVPC if where.subnets else ""))
    return "" if asked == _DEFAULT else asked


def compatibilities(where: PoolOptions) -> list[str]:
    """What AWS is to check the definition for; nothing where the capacity provider or the cluster decides."""
    if where.is_fargate:
        return ["FARGATE"]
    return [where.launch_type] if where.launch_type else []


def content_hash(body: Mapping[str, Any]) -> str:
    """The same for the same body, whatever the order of its maps; 32 hex digits."""
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()[:32]
