"""What is mounted: volumes of the task, where the agent's container sees them, and what RunTask makes for one task."""

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any, Final

from broker.backends.aws_ecs.options import TaskOptions
from broker.backends.bootstrap import start_dir
from broker.domain.template import Mount, Template

_WORK: Final = "agentbroker-work"
_TMP: Final = "agentbroker-tmp"
_TMP_DIR: Final = "/tmp"  # noqa: S108 -- the container's own


def task_volumes(template: Template, options: TaskOptions) -> list[dict[str, Any]]:
    """The definition's volumes: the template's own, and those that its mounts or a read-only root call for."""
    named: dict[str, dict[str, Any]] = {one["name"]: dict(one) for one in options.task.get("volumes", ())}
    for one in options.volume_configurations:
        named.setdefault(one["name"], {"name": one["name"], "configuredAtLaunch": True})
    for number, mount in enumerate(template.mounts):
        volume = _volume_of(number, mount)
        named.setdefault(volume["name"], volume)
    for name in _writable(template, options):
        named.setdefault(name, {"name": name})
    return list(named.values())


def agent_mount_points(template: Template, options: TaskOptions) -> list[dict[str, Any]]:
    """Where the agent's container sees them."""
    points = [dict(one) for one in options.container.get("mountPoints", ())]
    for number, mount in enumerate(template.mounts):
        point = {"sourceVolume": _volume_of(number, mount)["name"], "containerPath": mount.target}
        points.append(point | ({"readOnly": True} if mount.read_only else {}))
    for name, path in _writable(template, options).items():
        points.append({"sourceVolume": name, "containerPath": path})
    return points


def volume_configurations(template: Template) -> list[dict[str, Any]]:
    """RunTask's `volumeConfigurations`: what is made anew for each task, such as an EBS volume."""
    return [dict(one) for one in TaskOptions.of(template).volume_configurations]


def _volume_of(number: int, mount: Mount) -> dict[str, Any]:
    """A path of the machine by a name of its own; anything else is the name of a volume."""
    if mount.source.startswith("/"):
        return {"name": f"mount-{number}", "host": {"sourcePath": mount.source}}
    return {"name": mount.source}


def _writable(template: Template, options: TaskOptions) -> dict[str, str]:
    """With a read-only root: the volumes that end with the task, by name, for the agent's directory and /tmp."""
    if not template.read_only or options.is_windows:
        return {}
    linux: Mapping[str, Any] = options.container.get("linuxParameters", {})
    taken = {one.get("containerPath") for one in options.container.get("mountPoints", ())}
    taken |= {mount.target for mount in template.mounts}
    taken |= {one.get("containerPath") for one in linux.get("tmpfs", ())}
    wanted = {_WORK: start_dir(template), _TMP: _TMP_DIR}
    return {name: path for name, path in wanted.items() if str(PurePosixPath(path)) not in taken}
