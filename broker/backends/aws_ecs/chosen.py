"""The task definition that a launch runs, and what a launch needs to know of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from broker.backends.aws_ecs.containers import names_of
from broker.backends.aws_ecs.definition import wanted_sizes
from broker.backends.aws_ecs.options import PoolOptions
from broker.backends.aws_ecs.sizes import SizeOverrides, Sizes, cpu_units, resized, size_overrides
from broker.domain.pool import Pool
from broker.domain.reason import Reason
from broker.domain.resources import Resources
from broker.domain.template import Template
from broker.errors import BackendRejected


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """A task definition by its full revision ARN."""

    arn: str
    container: str
    """The agent's, for `containerOverrides`."""
    containers: tuple[str, ...]
    ours: bool
    """Registered by a broker; False: the config names it."""
    sizes: Sizes = Sizes()
    """What it says itself."""
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    """The variables that it gives to the agent's container: a launch need not say them again."""
    entry_point: tuple[str, ...] = ()
    network_mode: str = ""
    """With `awsvpc` a launch needs subnets; with any other it may have none."""
    is_windows: bool = False
    logs: Mapping[str, str] = field(default_factory=dict)
    """The options of the agent's container's `awslogs` driver; empty if it logs elsewhere."""

    @property
    def family(self) -> str:
        """Without revision."""
        return self.arn.rpartition("/")[2].rpartition(":")[0]

    @property
    def revision(self) -> int:
        """Counted by AWS within the family, from 1."""
        return int(self.arn.rpartition(":")[2])


def chosen_of(body: Mapping[str, Any], arn: str, container: str, *, ours: bool) -> Chosen:
    """Of a definition's body, as it is registered or described."""
    containers = body["containerDefinitions"]
    agent: Mapping[str, Any] = next(one for one in containers if one["name"] == container)
    return Chosen(
        arn=arn,
        container=container,
        containers=names_of(containers),
        ours=ours,
        sizes=Sizes(
            task_cpu=int(body.get("cpu") or 0),
            task_memory=int(body.get("memory") or 0),
            cpu=agent.get("cpu") or 0,
            memory=agent.get("memory") or 0,
            reservation=agent.get("memoryReservation") or 0,
        ),
        environment={one["name"]: one.get("value", "") for one in agent.get("environment") or ()},
        entry_point=tuple(agent.get("entryPoint") or ()),
        network_mode=body.get("networkMode") or "",
        is_windows=_system_of(body).startswith("WINDOWS"),
        logs=log_options(agent),
    )


def _system_of(body: Mapping[str, Any]) -> str:
    """The operating system of a definition's containers; empty: not said, which is Linux."""
    return str((body.get("runtimePlatform") or {}).get("operatingSystemFamily") or "")


def agent_of(body: Mapping[str, Any], wanted: str, key: str) -> str:
    """The agent's container in a definition that the config names: `wanted`, by default the first essential one.

    BackendRejected names the containers that there are, and the config's `key`.
    """
    containers = body["containerDefinitions"]
    names = names_of(containers)
    if not wanted:
        return next((str(one["name"]) for one in containers if one.get("essential", True)), names[0])
    if wanted not in names:
        message = (
            f"{key} is {wanted!r}, which is no container of {body['taskDefinitionArn']}: it has {', '.join(names)}"
        )
        raise BackendRejected("NoSuchContainer", message, Reason.INVALID_TEMPLATE)
    return wanted


def log_options(container: Mapping[str, Any]) -> Mapping[str, str]:
    """Where a container's lines can be read by GetLogEvents; empty: nowhere."""
    logs: Mapping[str, Any] = container.get("logConfiguration") or {}
    return dict(logs.get("options") or {}) if logs.get("logDriver") == "awslogs" else {}


def launch_sizes(chosen: Chosen, template: Template, pool: Pool, configured: Resources | None) -> SizeOverrides:
    """What RunTask is to say of sizes, so that the agent gets what `template`, after its build's wishes, asks for.

    A definition that the config names keeps its own size but for what the build asked for.
    """
    if chosen.ours:
        return size_overrides(chosen.sizes, wanted_sizes(template, pool))
    asked, usual = template.resources, configured or template.resources
    cpu = cpu_units(asked) if asked.cpu_milli != usual.cpu_milli else 0
    memory = asked.memory_mib if asked.memory_mib != usual.memory_mib else 0
    return size_overrides(chosen.sizes, resized(chosen.sizes, cpu, memory, on_fargate=PoolOptions.of(pool).is_fargate))
