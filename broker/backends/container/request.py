"""What is asked of the engine for one agent: the body of POST /containers/create."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from broker.backends.bootstrap import start_dir, start_of
from broker.domain.pool import Pool
from broker.domain.reason import Reason
from broker.domain.template import Mount, Template
from broker.errors import BackendRejected
from broker.ports import LaunchSpec

_MIB: Final = 1 << 20
_TMP: Final = "/tmp"  # noqa: S108 -- the container's own
_TMP_OPTIONS: Final = "rw,exec,nosuid,nodev"
"""Agents and builds run programs that they have put into /tmp."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerOptions:
    """A pool's own keys, as the config has checked them."""

    command: tuple[str, ...] = ()
    network: str = ""
    pids: int = 4096
    pull: str = "if-missing"
    init_process: bool = True
    cap_add: tuple[str, ...] = ()

    @classmethod
    def of(cls, pool: Pool) -> "ContainerOptions":
        """Reads `pool.options`."""
        options: dict[str, Any] = {**pool.options}
        known = {name: options[name] for name in cls.__dataclass_fields__ if options.get(name) is not None}
        return cls(**known | {name: tuple(known[name]) for name in ("command", "cap_add") if name in known})


def create_body(spec: LaunchSpec, options: ContainerOptions, labels: Mapping[str, str]) -> dict[str, Any]:
    """The whole request. The agent may do in its container what an ordinary user may, and nothing to the machine."""
    start = start_of(spec, options.command)
    body: dict[str, Any] = {
        "Image": image_of(spec),
        "Hostname": spec.name,
        "Env": [f"{name}={value}" for name, value in start.environment.items()],
        "Cmd": list(start.arguments),
        "WorkingDir": start_dir(spec.template),
        "Labels": dict(labels),
        "HostConfig": _host_config(spec.template, options),
    }
    if start.entrypoint is not None:
        body["Entrypoint"] = list(start.entrypoint)
    if spec.template.user:
        body["User"] = spec.template.user
    return body


def image_of(spec: LaunchSpec) -> str:
    """The template's image; BackendRejected names the key if there is none."""
    if spec.template.image is None:
        message = f"pool {spec.pool.name} runs containers: set templates.{spec.template.name}.image"
        raise BackendRejected("NoImage", message, Reason.INVALID_TEMPLATE)
    return spec.template.image


def _host_config(template: Template, options: ContainerOptions) -> dict[str, Any]:
    config: dict[str, Any] = {
        "CapDrop": ["ALL"],
        "CapAdd": list(options.cap_add),
        "SecurityOpt": ["no-new-privileges"],
        "PidsLimit": options.pids,
        "Init": options.init_process,
        "Mounts": _mounts(template),
        "ReadonlyRootfs": template.read_only,
    }
    if options.network:
        config["NetworkMode"] = options.network
    if memory := template.resources.memory_mib * _MIB:
        config |= {"Memory": memory, "MemorySwap": memory}  # of both together, so: no swap
    if template.resources.cpu_milli:
        config["NanoCpus"] = template.resources.cpu_milli * 1_000_000
    if template.read_only and all(mount.target != _TMP for mount in template.mounts):
        config["Tmpfs"] = {_TMP: _TMP_OPTIONS}
    return config


def _mounts(template: Template) -> list[dict[str, Any]]:
    """Those of the template, and for the agent's directory a volume that is removed with the container.

    A volume and no tmpfs: a workspace in memory would count against the agent's own limit.
    """
    mounts = [_mount(mount) for mount in template.mounts]
    if all(mount.target != start_dir(template) for mount in template.mounts):
        mounts.append({"Type": "volume", "Target": start_dir(template)})
    return mounts


def _mount(mount: Mount) -> dict[str, Any]:
    kind = "bind" if mount.source.startswith("/") else "volume"
    return {"Type": kind, "Source": mount.source, "Target": mount.target, "ReadOnly": mount.read_only}
