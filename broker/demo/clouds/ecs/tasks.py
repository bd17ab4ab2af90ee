"""Tasks: what one is, and which state it is in at which time."""

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from broker.demo.clouds.ec2 import Subnet
from broker.demo.clouds.ecs.definitions import Definition
from broker.demo.clouds.ecs.instances import ContainerInstance


class Status(StrEnum):
    """A task's life, in its order."""

    PROVISIONING = "PROVISIONING"
    PENDING = "PENDING"
    ACTIVATING = "ACTIVATING"
    RUNNING = "RUNNING"
    DEACTIVATING = "DEACTIVATING"
    STOPPING = "STOPPING"
    DEPROVISIONING = "DEPROVISIONING"
    STOPPED = "STOPPED"


STARTING: Final = (Status.PROVISIONING, Status.PENDING, Status.ACTIVATING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Durations:
    """How long one task stays in each state, in seconds."""

    provisioning: float
    pending: float
    activating: float
    deactivating: float
    stopping: float
    deprovisioning: float


@dataclass(slots=True, kw_only=True)
class Container:
    """One container of a task, with the overrides of its launch in it."""

    name: str
    arn: str
    image: str
    essential: bool = True
    command: list[str] | None = None
    entry_point: list[str] | None = None
    environment: dict[str, str] = field(default_factory=dict)
    cpu: int = 0
    memory: int | None = None
    memory_reservation: int | None = None
    stop_timeout: int = 30
    runtime_id: str = ""
    digest: str = ""
    gpus: tuple[str, ...] = ()
    exit_code: int | None = None
    """Once it has ended, if it had begun."""
    reason: str = ""
    """Of its end."""
    ended_at: float | None = None
    """If it ended before the others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """That a task is to end: from `at` on it is wanted STOPPED."""

    at: float
    code: str
    reason: str
    exits_at: float | None
    """When its containers have ended; None: not known yet, or they never began."""


@dataclass(slots=True, kw_only=True)
class Task:
    """One task."""

    arn: str
    id: str
    number: int
    """Of all tasks, in the order of their launch."""
    cluster: str
    cluster_arn: str
    definition: Definition
    created_at: float
    visible_at: float
    launch_type: str
    capacity_provider: str = ""
    group: str = ""
    started_by: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    overrides: Mapping[str, Any] = field(default_factory=dict)
    cpu: str = ""
    memory: str = ""
    platform_version: str = ""
    disk_gib: int = 0
    execute_command: bool = False
    architecture: str = "x86_64"
    volumes: list[dict[str, Any]] = field(default_factory=list)
    containers: list[Container] = field(default_factory=list)
    durations: Durations
    subnet: Subnet | None = None
    address: str = ""
    eni: str = ""
    zone: str = ""
    instance: ContainerInstance | None = None
    timeline: list[tuple[float, Status]] = field(default_factory=list)
    """Since when it is, or when it will be, in each state."""
    ending: Ending | None = None
    edits: int = 0
    """Grows with each change that is no mere passing of time."""
    released: bool = False
    """Whether it has given back what it held."""
    view: tuple[object, dict[str, Any]] | None = None
    """How it was last told, and of which state and edit."""

    @property
    def waits(self) -> bool:
        """Whether it has no place yet."""
        return len(self.timeline) == 1 and self.timeline[0][1] is Status.PROVISIONING

    def phase(self, now: float) -> int:
        """How many states it has come to by now, less one."""
        return max(0, bisect_right(self.timeline, now, key=lambda entry: entry[0]) - 1)

    def status(self, now: float) -> Status:
        """Its last status."""
        return self.timeline[self.phase(now)][1]

    def since(self, status: Status) -> float | None:
        """When it came or comes to a state, None if it does not."""
        return next((at for at, one in self.timeline if one is status), None)

    def reached(self, status: Status, now: float) -> bool:
        """Whether it has been in a state."""
        at = self.since(status)
        return at is not None and at <= now

    def is_wanted(self, now: float) -> bool:
        """Whether its desired status is RUNNING."""
        return self.ending is None or self.ending.at > now

    def is_over(self, now: float) -> bool:
        """Whether it is STOPPED."""
        return self.timeline[-1][1] is Status.STOPPED and self.timeline[-1][0] <= now

    @property
    def has_eni(self) -> bool:
        """Whether it has an interface of its own."""
        return bool(self.eni)

    def container(self, name: str = "") -> Container:
        """A container by name; without one the first that is essential."""
        found = (one for one in self.containers if (one.name == name if name else one.essential))
        return next(found)
