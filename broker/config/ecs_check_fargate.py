"""What a template may not say where it runs: on Fargate, on instances, in a network mode."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from broker.config.ecs_check_containers import Container, containers
from broker.config.ecs_uses import (
    Ecs,
    ecs_of,
    is_fargate,
    is_on_instances,
    is_windows,
    network_mode,
    operating_system,
    providers,
)
from broker.config.model_ecs_linux import LinuxParametersModel
from broker.config.model_pools import PoolModel, TemplateModel
from broker.config.mounts import to_mount
from broker.config.nodes import Path
from broker.config.units import milli

Refusal = tuple[Path, str, str]
"""Where it stands, why it is refused, and what to do."""

_LOG_DRIVERS: Final = ("awslogs", "splunk", "awsfirelens")
_LONGEST_STOP: Final = timedelta(seconds=120)
_SHORTEST_STOP: Final = timedelta(seconds=2)
_LARGE: Final = 8_000
"""Thousandths of a vCPU from which on a platform of 1.4.0 is needed."""
_OLD_WINDOWS: Final = frozenset({"WINDOWS_SERVER_2016_FULL", "WINDOWS_SERVER_2004_CORE", "WINDOWS_SERVER_20H2_CORE"})
_NOT_AWSVPC: Final = ("extra_hosts", "dns_servers", "dns_search_domains", "links", "hostname")
_SCRATCH: Final = "use ecs.ephemeral_storage for a larger disk, or a volume of EFS or EBS"


def check(ecs: Ecs) -> None:
    """Reports every key that ECS would refuse there; each once, with the policy that wants it."""
    for name, pool_name in ecs.pairs():
        template, pool = ecs.templates[name], ecs.pools[pool_name]
        if template.task_definition is not None:
            continue
        if is_fargate(pool):
            for path, why, help_ in _on_fargate(name, template, pool):
                used = ecs.used_by(name, {pool_name})
                ecs.error("not-on-fargate", ecs.key(*path), f"Fargate has {why}", help_, used)
        if is_on_instances(pool):
            for path, why, help_ in _on_instances(name, template, pool):
                ecs.error("not-on-instances", ecs.key(*path), why, help_, ecs.used_by(name, {pool_name}))
        _modes(ecs, name, template, pool_name)


def _on_fargate(name: str, template: TemplateModel, pool: PoolModel) -> Iterator[Refusal]:
    at: Path = ("templates", name, "ecs")
    said = ecs_of(template)
    for one in containers(name, template):
        yield from _container(one)
    yield from _volumes(name, template)
    if said.placement_constraints:
        yield (*at, "placement_constraints"), "no instances to choose from", "remove it"
    if said.ipc_mode:
        yield (*at, "ipc_mode"), "no 'ipc_mode'", "remove it"
    if said.pid_mode == "host":
        yield (*at, "pid_mode"), "no host whose processes could be shared", "write 'task', or remove it"
    if said.network_mode not in {None, "awsvpc"}:
        yield (*at, "network_mode"), "awsvpc as its only network mode", "remove it"
    yield from _platform(name, template, pool)


def _volumes(name: str, template: TemplateModel) -> Iterator[Refusal]:
    at: Path = ("templates", name, "ecs")
    said = ecs_of(template)
    for n, volume in enumerate(said.volumes or ()):
        path: Path = (*at, "volumes", n)
        if volume.host and volume.host.source_path:
            yield (*path, "host", "source_path"), "no directories of an instance", _SCRATCH
        if volume.docker_volume_configuration:
            yield (*path, "docker_volume_configuration"), "no volumes of Docker", _SCRATCH
        if volume.fsx_windows_file_server_volume_configuration:
            yield (*path, "fsx_windows_file_server_volume_configuration"), "no volumes of FSx", "run it on EC2"
    for n, made in enumerate(said.volume_configurations or ()):
        if made.managed_ebs_volume.volume_type == "standard":
            path = (*at, "volume_configurations", n, "managed_ebs_volume", "volume_type")
            yield path, "no EBS volumes of type standard", "use gp3"
    for n, text in enumerate(template.mounts):
        if to_mount(text).source.startswith("/"):
            yield ("templates", name, "mounts", n), "no directories of an instance", _SCRATCH


def _platform(name: str, template: TemplateModel, pool: PoolModel) -> Iterator[Refusal]:
    at: Path = ("templates", name, "ecs")
    runs_on: Path = (*at, "runtime_platform", "operating_system_family")
    if operating_system(template) in _OLD_WINDOWS:
        yield runs_on, f"no {operating_system(template)}", "use 2019 or later"
    if is_windows(template) and "FARGATE_SPOT" in providers(pool):
        yield runs_on, "no Windows on spot", "run it in a pool with 'capacity_provider: FARGATE'"
    for n, volume in enumerate(ecs_of(template).volumes or ()):
        if is_windows(template) and volume.efs_volume_configuration:
            yield (*at, "volumes", n, "efs_volume_configuration"), "no EFS for Windows", "remove it"
    old = pool.platform_version not in {None, "LATEST"} and _version(pool.platform_version or "") < (1, 4, 0)
    if old and not is_windows(template):
        for key, wants in (
            ("ephemeral_storage", ecs_of(template).ephemeral_storage),
            ("pid_mode", ecs_of(template).pid_mode),
        ):
            if wants:
                yield (*at, key), f"no '{key}' before platform version 1.4.0", "raise the pool's 'platform_version'"
        if (milli(template.cpu) or 0) >= _LARGE:
            help_ = "raise the pool's 'platform_version'"
            yield ("templates", name, "cpu"), "8 vCPU and more from platform version 1.4.0 on", help_


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))


def _container(one: Container) -> Iterator[Refusal]:
    said, at = one.said, one.path
    if said.privileged:
        yield (*at, "privileged"), "no privileged containers", "remove it, or run the template on EC2"
    if said.resource_requirements:
        yield (*at, "resource_requirements"), "no GPUs", "run the template in a pool of instances that have them"
    if said.docker_security_options:
        yield (*at, "docker_security_options"), "no 'docker_security_options'", "remove it"
    logs = said.log_configuration
    if logs and logs.log_driver not in _LOG_DRIVERS:
        path: Path = (*at, "log_configuration", "log_driver")
        yield path, f"no log driver {logs.log_driver}", f"use {', '.join(_LOG_DRIVERS[:-1])} or {_LOG_DRIVERS[-1]}"
    for key in ("start_timeout", "stop_timeout"):
        value = getattr(said, key)
        if value is not None and not _SHORTEST_STOP <= value <= _LONGEST_STOP:
            yield (*at, key), f"a '{key}' of 2s to 120s", "write at most 120s"
    if said.linux_parameters:
        yield from _linux(said.linux_parameters, (*at, "linux_parameters"))


def _linux(linux: LinuxParametersModel, at: Path) -> Iterator[Refusal]:
    added = [one for one in (linux.capabilities.add if linux.capabilities else None) or () if one != "SYS_PTRACE"]
    if added:
        yield (*at, "capabilities", "add"), f"SYS_PTRACE to add, and not {added[0]}", "remove it, or run it on EC2"
    if linux.shared_memory_size is not None:
        yield (*at, "shared_memory_size"), "no 'shared_memory_size'", "remove it, or run the template on EC2"
    for key in ("devices", "max_swap", "swappiness"):
        if getattr(linux, key) is not None:
            yield (*at, key), f"no '{key}'", "remove it, or run the template on EC2"


def _on_instances(name: str, template: TemplateModel, pool: PoolModel) -> Iterator[Refusal]:
    at: Path = ("templates", name, "ecs")
    said = ecs_of(template)
    if said.ephemeral_storage:
        why = "'ephemeral_storage' is the disk of a task on Fargate; on instances it is the instance's own"
        yield (*at, "ephemeral_storage"), why, "remove it, or use 'volume_configurations' for an EBS volume"
    for n, volume in enumerate(said.volumes or ()):
        if volume.fsx_windows_file_server_volume_configuration and not is_windows(template):
            path: Path = (*at, "volumes", n, "fsx_windows_file_server_volume_configuration")
            yield path, "volumes of FSx are of Windows on EC2", "set 'runtime_platform', or use EFS"
    most = 10 - len(pool.placement_constraints or ())
    if len(said.placement_constraints or ()) > most:
        why = "pool and template have more than 10 placement constraints together"
        yield (*at, "placement_constraints"), why, "ECS takes 10 for a task"


def _modes(ecs: Ecs, name: str, template: TemplateModel, pool_name: str) -> None:
    """What goes with the network mode."""
    pool = ecs.pools[pool_name]
    mode = "awsvpc" if is_fargate(pool) else network_mode(pool, template)
    used = ecs.used_by(name, {pool_name})
    at: Path = ("templates", name, "ecs")
    own = ecs_of(template).network_mode
    if own == "awsvpc" and not pool.subnets and not is_fargate(pool):
        message = f"template '{name}' needs subnets for awsvpc, and pool '{pool_name}' has none"
        ecs.error("network-conflict", ecs.value(*at, "network_mode"), message, "add 'subnets' to the pool", used)
    if is_windows(template) and mode in {"bridge", "host"} and not is_fargate(pool):
        message = f"Windows containers have no 'network_mode: {mode}'"
        help_ = "write 'network_mode: default', or awsvpc with subnets"
        span = ecs.key(*at, "network_mode") if own else ecs.key("pools", pool_name, "network_mode")
        ecs.error("network-conflict", span, message, help_, used)
    for one in containers(name, template):
        for key in _NOT_AWSVPC:
            if getattr(one.said, key) and (mode == "awsvpc" or (key == "links" and mode == "host")):
                message = f"tasks with 'network_mode: {mode}' have no '{key}'"
                help_ = (
                    "remove it" if mode == "awsvpc" and key != "links" else "containers of a task are on 'localhost'"
                )
                ecs.error("network-conflict", ecs.key(*one.path, key), message, help_, used)
        for n, port in enumerate(one.said.port_mappings or ()):
            if mode in {"awsvpc", "host"} and port.host_port not in {None, port.container_port}:
                message = f"with 'network_mode: {mode}' a port is the same outside as inside"
                span = ecs.value(*one.path, "port_mappings", n, "host_port")
                ecs.error("network-conflict", span, message, "remove 'host_port'", used)
