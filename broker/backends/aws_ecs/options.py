"""The config's own keys of this backend, as frozen values. The config has checked them: here they are only read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from broker.backends.aws_ecs.spelling import api_form
from broker.domain.definitions import Rate
from broker.domain.pool import BackendDefinition, Pool
from broker.domain.template import Template

AGENT_CONTAINER: Final = "agent"
"""What the agent's container is called in the definitions that the broker registers; sidecars may depend on it."""
FAMILY_PREFIX: Final = "agentbroker"
SECRET_PREFIX: Final = "agentbroker"  # noqa: S105 -- a name
FARGATE: Final = frozenset({"FARGATE", "FARGATE_SPOT"})
"""The capacity providers that are Fargate."""
_TASK_KEYS: Final = frozenset(
    {
        "volumes",
        "task_role_arn",
        "execution_role_arn",
        "network_mode",
        "ipc_mode",
        "pid_mode",
        "placement_constraints",
        "runtime_platform",
        "ephemeral_storage",
    }
)
"""Keys of a template's `ecs` that are of the whole task definition; all others but those below are the container's."""
_OTHER_KEYS: Final = frozenset({"sidecars", "volume_configurations"})


@dataclass(frozen=True, slots=True, kw_only=True)
class AssumeRole:
    """One role of a chain; empty: none."""

    role_arn: str
    external_id: str = ""
    session_name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendOptions:
    """One account, region and cluster with its credentials. Empty is not said, so the SDK's own default."""

    region: str = ""
    cluster: str = ""
    api_rate: Rate | None = None
    family_prefix: str = FAMILY_PREFIX
    profile: str = ""
    access_key_id: str = field(default="", repr=False)
    access_key_id_file: str = ""
    secret_access_key: str = field(default="", repr=False)
    secret_access_key_file: str = ""
    session_token_file: str = ""
    assume_role_arn: tuple[AssumeRole, ...] = ()
    """In the order in which they are taken."""
    sts_region: str = ""
    proxy: str = field(default="", repr=False)
    endpoint_url: str = ""
    poll_interval: timedelta = timedelta(seconds=3)
    leave_grace: timedelta = timedelta(seconds=10)
    keep_definitions: int = 2

    @classmethod
    def of(cls, definition: BackendDefinition) -> "BackendOptions":
        """Reads `definition.options`."""
        known = _known(cls, definition.options)
        if "assume_role_arn" in known:
            known["assume_role_arn"] = tuple(AssumeRole(**role) for role in known["assume_role_arn"])
        return cls(**known)


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """One item of a capacity provider strategy."""

    capacity_provider: str
    weight: int = 0
    base: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacementStrategy:
    """`binpack`, `spread` or `random`; the last has no field."""

    type: str
    field: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacementConstraint:
    """`memberOf` with an expression, or `distinctInstance`."""

    type: str
    expression: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolOptions:
    """Where and how tasks are run. At most one of the first three is said; none is the cluster's own default."""

    capacity_provider: str = ""
    capacity_provider_strategy: tuple[Capacity, ...] = ()
    launch_type: str = ""
    subnets: tuple[str, ...] = ()
    security_groups: tuple[str, ...] = ()
    assign_public_ip: bool = False
    platform_version: str = ""
    placement_strategy: tuple[PlacementStrategy, ...] = ()
    placement_constraints: tuple[PlacementConstraint, ...] = ()
    enable_execute_command: bool = False
    execution_role_arn: str = ""
    task_role_arn: str = ""
    secret_delivery: str = "env"  # noqa: S105 -- a way
    secret_prefix: str = SECRET_PREFIX
    secret_kms_key_id: str = ""
    network_mode: str = ""

    @classmethod
    def of(cls, pool: Pool) -> "PoolOptions":
        """Reads `pool.options`."""
        known = _known(cls, pool.options)
        for name, kind in _LISTS.items():
            known[name] = tuple(kind(**item) for item in known.get(name, ()))
        return cls(**known)

    @property
    def strategy(self) -> tuple[Capacity, ...]:
        """The capacity providers with their weights: a single one has the weight 1."""
        if self.capacity_provider:
            return (Capacity(capacity_provider=self.capacity_provider, weight=1),)
        return self.capacity_provider_strategy

    @property
    def is_fargate(self) -> bool:
        """Whether its tasks are sure to run on Fargate: the pool says so, not its cluster."""
        return self.launch_type == "FARGATE" or any(one.capacity_provider in FARGATE for one in self.strategy)

    @property
    def is_spot(self) -> bool:
        """Whether all its tasks run on Fargate Spot."""
        return bool(self.strategy) and all(one.capacity_provider == "FARGATE_SPOT" for one in self.strategy)


_LISTS: Final[Mapping[str, Any]] = {
    "capacity_provider_strategy": Capacity,
    "placement_strategy": PlacementStrategy,
    "placement_constraints": PlacementConstraint,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskOptions:
    """What a template says of its tasks beside its generic keys (image, cpu, memory, env, user, read_only, tags).

    All mappings are in the API's own form and spelling, ready for a request: `container` has members of the agent's
    ContainerDefinition, `task` of RegisterTaskDefinition, `sidecars` are whole ContainerDefinitions, and
    `volume_configurations` are of RunTask. With `task_definition` (family, family:revision or ARN) all are empty.
    """

    task_definition: str = ""
    agent_container: str = ""
    """The agent's container in `task_definition`; empty: its first essential one."""
    container: Mapping[str, Any] = field(default_factory=dict)
    task: Mapping[str, Any] = field(default_factory=dict)
    sidecars: tuple[Mapping[str, Any], ...] = ()
    volume_configurations: tuple[Mapping[str, Any], ...] = ()

    @classmethod
    def of(cls, template: Template) -> "TaskOptions":
        """Reads `template.options`."""
        options: dict[str, Any] = {**template.options}
        ecs: dict[str, Any] = {**options.get("ecs", {})}
        of_task = {key: value for key, value in ecs.items() if key in _TASK_KEYS}
        of_container = {key: value for key, value in ecs.items() if key not in _TASK_KEYS | _OTHER_KEYS}
        return cls(
            task_definition=options.get("task_definition") or "",
            agent_container=options.get("agent_container") or "",
            container=api_form(of_container),
            task=api_form(of_task),
            sidecars=tuple(api_form(ecs.get("sidecars") or [])),
            volume_configurations=tuple(api_form(ecs.get("volume_configurations") or [])),
        )

    @property
    def operating_system(self) -> str:
        """`LINUX`, or the Windows version."""
        return str(self.task.get("runtimePlatform", {}).get("operatingSystemFamily", "LINUX"))

    @property
    def is_windows(self) -> bool:
        """Whether its containers are Windows'."""
        return self.operating_system.startswith("WINDOWS")


def _known(cls: Any, options: Mapping[str, object]) -> dict[str, Any]:
    """What is said of a class's fields; lists as tuples."""
    said = {name: options[name] for name in cls.__dataclass_fields__ if options.get(name) is not None}
    return {name: tuple(value) if isinstance(value, list) else value for name, value in said.items()}
