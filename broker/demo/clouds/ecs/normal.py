"""A task definition as AWS gives it back: completed with defaults, and what running it asks of an instance.

What is filled in was read from answers of DescribeTaskDefinition that users quote, and from the API's reference.
"""

import copy
import re
from collections.abc import Mapping
from typing import Any, Final

from broker.demo.clouds.ecs import errors

_CPU: Final = re.compile(r"(\d*\.?\d+)\s*vcpu", re.IGNORECASE)
_MEMORY: Final = re.compile(r"(\d*\.?\d+)\s*gb", re.IGNORECASE)
_TASK_FIELDS: Final = (
    "family", "taskRoleArn", "executionRoleArn", "networkMode", "containerDefinitions", "volumes",
    "placementConstraints", "requiresCompatibilities", "cpu", "memory", "pidMode", "ipcMode", "proxyConfiguration",
    "inferenceAccelerators", "ephemeralStorage", "runtimePlatform", "enableFaultInjection",
)  # fmt: skip
_HEALTH: Final = {"interval": 30, "timeout": 5, "retries": 3}
_API: Final = "com.amazonaws.ecs.capability.docker-remote-api"


def completed(request: Mapping[str, Any]) -> dict[str, Any]:
    """A definition with what AWS fills in; the request is left as it is."""
    definition = {field: copy.deepcopy(request[field]) for field in _TASK_FIELDS if field in request}
    definition["containerDefinitions"] = [
        _container(container, definition.get("networkMode")) for container in definition["containerDefinitions"]
    ]
    definition["volumes"] = [_volume(volume) for volume in definition.get("volumes", ())]
    definition.setdefault("placementConstraints", [])
    for field, words in (("cpu", _CPU), ("memory", _MEMORY)):
        if field in definition:
            definition[field] = size(definition[field], words, field)
    return definition


def cpu_units(text: str) -> str:
    """CPU units in a text such as `1024` or `1 vCPU`."""
    return size(text, _CPU, "cpu")


def memory_mib(text: str) -> str:
    """MiB in a text such as `2048` or `2 GB`."""
    return size(text, _MEMORY, "memory")


def size(text: str, words: re.Pattern[str], field: str) -> str:
    """A number in a text; raises ClientException if there is none."""
    if found := words.fullmatch(text.strip()):
        return str(int(float(found[1]) * 1024))
    if not re.fullmatch(r"\d+", text.strip()):
        raise errors.refused(f"Invalid '{field}' setting for task.")
    return str(int(text))


def _container(container: dict[str, Any], mode: str | None) -> dict[str, Any]:
    container.setdefault("cpu", 0)
    container.setdefault("essential", True)
    for field in ("portMappings", "environment", "mountPoints", "volumesFrom", "systemControls"):
        container.setdefault(field, [])
    for port in container["portMappings"]:
        port.setdefault("protocol", "tcp")
        if "containerPortRange" not in port:
            port.setdefault("hostPort", port.get("containerPort", 0) if mode in {"awsvpc", "host"} else 0)
    if "healthCheck" in container:
        container["healthCheck"] = {**_HEALTH, **container["healthCheck"]}
    if "logConfiguration" in container:
        container["logConfiguration"] = {"options": {}, **container["logConfiguration"]}
    return container


def _volume(volume: dict[str, Any]) -> dict[str, Any]:
    if "efsVolumeConfiguration" in volume:
        volume["efsVolumeConfiguration"].setdefault("rootDirectory", "/")
    elif "dockerVolumeConfiguration" in volume:
        volume["dockerVolumeConfiguration"].setdefault("scope", "task")
    elif not {"configuredAtLaunch", "fsxWindowsFileServerVolumeConfiguration", "s3filesVolumeConfiguration"} & set(
        volume
    ):
        volume.setdefault("host", {})
    return volume


def required(definition: Mapping[str, Any]) -> list[tuple[str, str | None]]:
    """The attributes that an instance must have, by name, with a value where one is asked for."""
    found: set[tuple[str, str | None]] = {(f"{_API}.1.18", None)}
    if definition.get("networkMode") == "awsvpc":
        found.add(("ecs.capability.task-eni", None))
    if "taskRoleArn" in definition:
        host = "-network-host" if definition.get("networkMode") == "host" else ""
        found.add((f"com.amazonaws.ecs.capability.task-iam-role{host}", None))
    if definition.get("pidMode") or definition.get("ipcMode"):
        found.add(("ecs.capability.pid-ipc-namespace-sharing", None))
    if "cpu" in definition or "memory" in definition:
        found.add(("ecs.capability.task-cpu-mem-limit", None))
    for volume in definition["volumes"]:
        found |= _of_volume(volume)
    for container in definition["containerDefinitions"]:
        found |= _of_container(container, bool(definition.get("executionRoleArn")))
    return sorted(found, key=str)


def _of_volume(volume: Mapping[str, Any]) -> set[tuple[str, str | None]]:
    if "efsVolumeConfiguration" in volume:
        access = "authorizationConfig" in volume["efsVolumeConfiguration"]
        return {("ecs.capability.efsAuth" if access else "ecs.capability.efs", None)}
    if volume.get("configuredAtLaunch"):
        return {("ecs.capability.storage.ebs-task-volume-attach", None)}
    if "dockerVolumeConfiguration" in volume:
        driver = volume["dockerVolumeConfiguration"].get("driver", "local")
        return {(f"ecs.capability.docker-plugin.{driver}", None)}
    return set()


def _of_container(container: Mapping[str, Any], has_execution_role: bool) -> set[tuple[str, str | None]]:
    found: set[str] = set()
    log = container.get("logConfiguration")
    if log:
        found.add(f"com.amazonaws.ecs.capability.logging-driver.{log['logDriver']}")
        if log["logDriver"] == "awslogs" and has_execution_role:
            found.add("ecs.capability.execution-role-awslogs")
    if ".dkr.ecr." in container["image"]:
        found.add("com.amazonaws.ecs.capability.ecr-auth")
        if has_execution_role:
            found.add("ecs.capability.execution-role-ecr-pull")
    for secret in container.get("secrets", ()):
        kind = "asm" if ":secretsmanager:" in secret["valueFrom"] else "ssm"
        found.add(f"ecs.capability.secrets.{kind}.environment-variables")
    wanted = {
        "privileged": "com.amazonaws.ecs.capability.privileged-container",
        "repositoryCredentials": "ecs.capability.private-registry-authentication.secretsmanager",
        "healthCheck": "ecs.capability.container-health-check",
        "dependsOn": "ecs.capability.container-ordering",
        "environmentFiles": "ecs.capability.env-files.s3",
    }
    found |= {attribute for field, attribute in wanted.items() if container.get(field)}
    if "firelensConfiguration" in container:
        found.add(f"ecs.capability.firelens.{container['firelensConfiguration']['type']}")
    if container.get("linuxParameters", {}).get("initProcessEnabled"):
        found.add(f"{_API}.1.25")
    return {(name, None) for name in found}
