"""What Amazon ECS refuses in a task definition, whatever it is to run on.

https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task_definition_parameters.html.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from broker.demo.clouds.ecs import errors, query
from broker.demo.clouds.ecs.names import NAME

_USER: Final = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.-]*(:[A-Za-z0-9_.][A-Za-z0-9_.-]*)?")
_IMAGE: Final = re.compile(r"[A-Za-z0-9_\-./:#]{1,255}(@sha256:[0-9a-fA-F]{64})?")
_ROLE: Final = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/[A-Za-z0-9_+=,.@/-]+|[A-Za-z0-9_+=,.@-]+")
_HEALTH: Final = {"interval": (5, 300), "timeout": (2, 60), "retries": (1, 10), "startPeriod": (0, 300)}


def check(definition: Mapping[str, Any]) -> None:
    """Raises ClientException for the first thing that is wrong; `definition` is as AWS has completed it."""
    family = definition["family"]
    if not NAME.fullmatch(family):
        raise errors.refused("Family contains invalid characters." if family else "Family should not be null or empty.")
    containers = definition["containerDefinitions"]
    if not 1 <= len(containers) <= 10:
        raise errors.refused("A task definition must have between 1 and 10 container definitions.")
    if len(json.dumps(definition, default=str)) > 64 * 1024:
        raise errors.refused("The task definition is larger than 64 KiB.")
    _check_task(definition)
    names = [container.get("name") or "" for container in containers]
    if len(set(names)) < len(names):
        raise errors.refused("Container names in a task definition must be unique.")
    if not any(container["essential"] for container in containers):
        raise errors.refused("At least one container in a task definition must be essential.")
    for container in containers:
        _check_container(container, definition)
        _check_links(container, definition, set(names))
    _check_order(containers)


def _check_task(definition: Mapping[str, Any]) -> None:
    for field in ("taskRoleArn", "executionRoleArn"):
        if (role := definition.get(field)) is not None and not _ROLE.fullmatch(role):
            raise errors.refused(f"Role is not valid: {field}")
    if len(definition.get("placementConstraints", ())) > 10:
        raise errors.refused("A task definition can have at most 10 placement constraints.")
    for constraint in definition.get("placementConstraints", ()):
        query.parse(str(constraint.get("expression") or ""))
    if (cpu := definition.get("cpu")) is not None and not 128 <= int(cpu) <= 196_608:
        raise errors.refused("Invalid 'cpu' setting for task.")
    if (memory := definition.get("memory")) is not None and int(memory) < 4:
        raise errors.refused("Invalid 'memory' setting for task.")
    volumes = [volume.get("name") or "" for volume in definition.get("volumes", ())]
    if any(not NAME.fullmatch(name) for name in volumes) or len(set(volumes)) < len(volumes):
        raise errors.refused("Volume names must be unique and have letters, numbers, underscores and hyphens only.")
    if sum(bool(volume.get("configuredAtLaunch")) for volume in definition.get("volumes", ())) > 1:
        raise errors.refused("A task definition can have only one volume that is configured at launch.")
    for volume in definition.get("volumes", ()):
        _check_efs(volume.get("efsVolumeConfiguration", {}))


def _check_efs(efs: Mapping[str, Any]) -> None:
    access = efs.get("authorizationConfig", {})
    encrypted = efs.get("transitEncryption") == "ENABLED"
    if (access.get("accessPointId") or access.get("iam") == "ENABLED") and not encrypted:
        raise errors.refused("Transit encryption must be enabled to use an access point or IAM authorization.")
    if access.get("accessPointId") and efs.get("rootDirectory", "/") != "/":
        raise errors.refused("The root directory must be omitted or / when an access point is given.")


def _check_container(container: Mapping[str, Any], definition: Mapping[str, Any]) -> None:
    name = container.get("name") or ""
    if not name:
        raise errors.refused("Container.name should not be null or empty.")
    if not NAME.fullmatch(name):
        raise errors.refused("Container.name contains invalid characters.")
    if not container.get("image"):
        raise errors.refused("Container.image should not be null or empty.")
    if not _IMAGE.fullmatch(container["image"]):
        raise errors.refused("Container.image contains invalid characters.")
    if "user" in container and not _USER.fullmatch(container["user"]):
        raise errors.refused("Container.user contains invalid characters.")
    _check_size(container, definition)
    _check_lists(container)
    _check_health(container)
    _check_network(container, definition.get("networkMode"))


def _check_lists(container: Mapping[str, Any]) -> None:
    for variable in container.get("environment", ()):
        if not variable.get("name"):
            raise errors.refused("Environment variable name should not be null or empty.")
    if len(container.get("environmentFiles", ())) > 10:
        raise errors.refused("A container can have at most 10 environment files.")
    if any(not file["value"].endswith(".env") for file in container.get("environmentFiles", ())):
        raise errors.refused("Environment files must have the .env extension.")
    for asked in container.get("resourceRequirements", ()):
        if asked["type"] != "GPU" or not (asked["value"] == "ALL" or re.fullmatch("[1-9][0-9]*", asked["value"])):
            raise errors.refused("Resource requirements must be a number of GPUs, or ALL.")
    for limit in container.get("ulimits", ()):
        if limit["softLimit"] > limit["hardLimit"] >= 0:
            raise errors.refused("Ulimit softLimit must not be greater than hardLimit.")


def _check_size(container: Mapping[str, Any], definition: Mapping[str, Any]) -> None:
    name, hard, soft = container["name"], container.get("memory"), container.get("memoryReservation")
    if not hard and not soft and not definition.get("memory"):
        raise errors.refused(
            f"Invalid setting for container '{name}'. "
            "At least one of 'memory' or 'memoryReservation' must be specified."
        )
    if (hard is not None and hard < 6) or (soft is not None and soft < 6):
        raise errors.refused(f"Invalid setting for container '{name}'. The minimum memory is 6 MiB.")
    if hard and soft and soft > hard:
        raise errors.refused(
            f"Invalid setting for container '{name}'. 'memoryReservation' must not be greater than 'memory'."
        )
    if definition.get("memory") and max(hard or 0, soft or 0) > int(definition["memory"]):
        raise errors.refused(f"Invalid setting for container '{name}'. Its memory is greater than the task's.")
    if container.get("cpu", 0) < 0:
        raise errors.refused(f"Invalid setting for container '{name}'. 'cpu' must not be negative.")
    if definition.get("cpu") and container.get("cpu", 0) > int(definition["cpu"]):
        raise errors.refused(f"Invalid setting for container '{name}'. Its cpu is greater than the task's.")


def _check_health(container: Mapping[str, Any]) -> None:
    health = container.get("healthCheck")
    if health is None:
        return
    if not health["command"] or health["command"][0] not in {"CMD", "CMD-SHELL", "NONE"}:
        raise errors.refused("The health check command must start with CMD or CMD-SHELL.")
    for field, (low, high) in _HEALTH.items():
        if field in health and not low <= health[field] <= high:
            raise errors.refused(f"The health check's {field} must be between {low} and {high}.")


def _check_network(container: Mapping[str, Any], mode: str | None) -> None:
    ports = container.get("portMappings", ())
    if ports and mode == "none":
        raise errors.refused("Port mappings cannot be specified when networkMode=none.")
    for port in ports:
        if mode in {"awsvpc", "host"} and port.get("hostPort") != port.get("containerPort"):
            raise errors.refused(
                f"When networkMode={mode}, the host ports and container ports in port mappings must match."
            )
        if not 0 <= port.get("hostPort", 0) <= 65535 or not 1 <= port.get("containerPort", 1) <= 65535:
            raise errors.refused("Port mappings must be between 1 and 65535.")
    unfit = {
        "awsvpc": ("links", "hostname", "extraHosts", "dnsServers", "dnsSearchDomains"),
        "host": ("links", "hostname"),
    }
    for field in unfit.get(mode or "", ()):
        if container.get(field):
            raise errors.refused(f"{field} are not supported on container when networkMode={mode}.")


def _check_links(container: Mapping[str, Any], definition: Mapping[str, Any], names: set[str]) -> None:
    volumes = {volume["name"] for volume in definition.get("volumes", ())}
    for mount in container.get("mountPoints", ()):
        if mount.get("sourceVolume") not in volumes:
            raise errors.refused(f"Unknown volume '{mount.get('sourceVolume')}'.")
        if not mount.get("containerPath"):
            raise errors.refused("containerPath should not be null or empty.")
    for source in container.get("volumesFrom", ()):
        if source.get("sourceContainer") not in names:
            raise errors.refused(f"Unknown container '{source.get('sourceContainer')}' in volumesFrom.")
    for dependency in container.get("dependsOn", ()):
        if dependency["containerName"] not in names - {container["name"]}:
            raise errors.refused(f"Unknown container '{dependency['containerName']}' in dependsOn.")


def _check_order(containers: Sequence[Mapping[str, Any]]) -> None:
    by_name = {container["name"]: container for container in containers}
    waits = {name: [one["containerName"] for one in found.get("dependsOn", ())] for name, found in by_name.items()}
    for container in containers:
        for one in container.get("dependsOn", ()):
            target = by_name[one["containerName"]]
            if one["condition"] in {"COMPLETE", "SUCCESS"} and target["essential"]:
                raise errors.refused("A dependency on an essential container cannot be COMPLETE or SUCCESS.")
            if one["condition"] == "HEALTHY" and "healthCheck" not in target:
                raise errors.refused("A HEALTHY dependency needs a health check on the other container.")
    while free := [name for name, others in waits.items() if not any(other in waits for other in others)]:
        for name in free:
            del waits[name]
    if waits:
        raise errors.refused("Container dependencies form a cycle.")
