"""What Fargate takes: sizes, platforms, and what a definition must not ask of it.

https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-tasks-services.html.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from broker.demo.clouds.ecs import errors

_GIB: Final = 1024
SIZES: Final[Mapping[int, range | tuple[int, ...]]] = {
    256: (512, 1024, 2048),
    512: range(_GIB, 4 * _GIB + 1, _GIB),
    1024: range(2 * _GIB, 8 * _GIB + 1, _GIB),
    2048: range(4 * _GIB, 16 * _GIB + 1, _GIB),
    4096: range(8 * _GIB, 30 * _GIB + 1, _GIB),
    8192: range(16 * _GIB, 60 * _GIB + 1, 4 * _GIB),
    16384: range(32 * _GIB, 120 * _GIB + 1, 8 * _GIB),
}
"""The memory in MiB that goes with so many CPU units."""

PLATFORMS: Final[Mapping[str, tuple[str, ...]]] = {"Linux": ("1.4.0", "1.3.0"), "Windows": ("1.0.0",)}
"""Newest first."""

_LOG_DRIVERS: Final = {"awslogs", "splunk", "awsfirelens"}
_NOT_OF_LINUX: Final = ("devices", "sharedMemorySize", "maxSwap", "swappiness")


def check_size(cpu: str | None, memory: str | None, *, windows: bool = False) -> None:
    """Raises ClientException unless Fargate has tasks of this size."""
    if not cpu or not memory:
        missing = "cpu" if not cpu else "memory"
        raise errors.refused(f"Fargate requires that '{missing}' be defined at the task level.")
    if int(memory) not in SIZES.get(int(cpu), ()) or (windows and int(cpu) < 1024):
        raise errors.refused(f"No Fargate configuration exists for given values: {cpu} CPU, {memory} memory.")


def check_disk(size_gib: int) -> None:
    """Raises unless a task can have this much ephemeral storage."""
    if not 21 <= size_gib <= 200:
        raise errors.refused("EphemeralStorage.sizeInGiB must be between 21 and 200.")


def platform(version: str | None, *, windows: bool, needs_newest: bool) -> str:
    """The platform version that a request's text means; `needs_newest`: the definition wants what older ones lack."""
    known = PLATFORMS["Windows" if windows else "Linux"]
    if version in {None, "", "LATEST"}:
        return known[0]
    if version not in known:
        raise errors.unknown_platform()
    if needs_newest and version != known[0]:
        raise errors.unfit_platform(
            "The specified platform does not satisfy the task definition's required capabilities."
        )
    return str(version)


def needs_newest(definition: Mapping[str, Any]) -> bool:
    """Whether older platform versions cannot run a definition."""
    cpu = int(definition.get("cpu") or 0)
    has_efs = any("efsVolumeConfiguration" in volume for volume in definition.get("volumes", ()))
    return cpu > 4096 or has_efs or "ephemeralStorage" in definition or bool(definition.get("pidMode"))


def is_windows(definition: Mapping[str, Any]) -> bool:
    """Whether its runtime platform says so."""
    return str(definition.get("runtimePlatform", {}).get("operatingSystemFamily", "")).startswith("WINDOWS")


def check(definition: Mapping[str, Any]) -> None:
    """Raises ClientException for the first thing of a definition that keeps it from Fargate."""
    if definition.get("networkMode") != "awsvpc":
        raise errors.refused("Fargate only supports network mode 'awsvpc'.")
    windows = is_windows(definition)
    check_size(definition.get("cpu"), definition.get("memory"), windows=windows)
    if windows and definition.get("runtimePlatform", {}).get("cpuArchitecture", "X86_64") != "X86_64":
        raise errors.refused("The runtime platform is not supported on Fargate.")
    if "ephemeralStorage" in definition:
        check_disk(int(definition["ephemeralStorage"]["sizeInGiB"]))
    if definition.get("placementConstraints"):
        raise errors.refused("Tasks using the Fargate launch type do not support placement constraints.")
    if definition.get("ipcMode") or definition.get("pidMode") == "host":
        raise errors.refused("Tasks using the Fargate launch type do not support sharing namespaces with the host.")
    for volume in definition.get("volumes", ()):
        _check_volume(volume)
    for container in definition["containerDefinitions"]:
        _check_container(container, bool(definition.get("executionRoleArn")))


def _check_volume(volume: Mapping[str, Any]) -> None:
    if volume.get("host", {}).get("sourcePath"):
        raise errors.refused("host.sourcePath should not be set for volumes in Fargate.")
    for kind in ("dockerVolumeConfiguration", "fsxWindowsFileServerVolumeConfiguration"):
        if kind in volume:
            raise errors.refused(f"{kind} is not supported for tasks using the Fargate launch type.")


def _check_container(container: Mapping[str, Any], has_execution_role: bool) -> None:
    name = container["name"]
    for field in ("privileged", "links", "dockerSecurityOptions"):
        if container.get(field):
            raise errors.refused(f"Invalid setting for container '{name}'. {field} is not supported on Fargate.")
    linux = container.get("linuxParameters", {})
    for field in _NOT_OF_LINUX:
        if linux.get(field):
            raise errors.refused(f"Invalid setting for container '{name}'. {field} is not supported on Fargate.")
    if set(linux.get("capabilities", {}).get("add", ())) - {"SYS_PTRACE"}:
        raise errors.refused(f"Invalid setting for container '{name}'. Fargate adds no capability but SYS_PTRACE.")
    if container.get("resourceRequirements"):
        raise errors.refused(f"Invalid setting for container '{name}'. Fargate does not support resourceRequirements.")
    if int(container.get("stopTimeout") or 0) > 120:
        raise errors.refused(f"Invalid setting for container '{name}'. The maximum stopTimeout on Fargate is 120.")
    _check_log(container, has_execution_role)
    if container.get("secrets") and not has_execution_role:
        raise errors.refused("Fargate requires task definition to have execution role ARN to support secrets.")
    if re.search(r"\.dkr\.ecr\.", container["image"]) and not has_execution_role:
        raise errors.refused("Fargate requires task definition to have execution role ARN to support ECR images.")


def _check_log(container: Mapping[str, Any], has_execution_role: bool) -> None:
    log = container.get("logConfiguration")
    if log is None:
        return
    driver = log["logDriver"]
    if driver not in _LOG_DRIVERS:
        raise errors.refused(f"Log driver {driver} is not supported on Fargate: awslogs, splunk, awsfirelens are.")
    if driver == "awslogs" and not log.get("options", {}).get("awslogs-stream-prefix"):
        raise errors.refused("Log driver awslogs requires options: awslogs-stream-prefix")
    if driver == "awslogs" and not has_execution_role:
        raise errors.refused(
            "Fargate requires task definition to have execution role ARN to support log driver awslogs."
        )
