"""What a test turns on the fake: durations, quotas, and the fates of tasks to come."""

import random
from dataclasses import dataclass
from typing import TypeAlias

from broker.demo.clouds.ecs.tasks import Durations, Status

Span: TypeAlias = float | tuple[float, float]
"""Seconds, or a lowest and a highest number of them."""


@dataclass(slots=True, kw_only=True)
class Timing:
    """How long tasks stay in each state; a span is drawn anew for each task, with the fake's seed."""

    provisioning_s: Span = 5.0
    pending_s: Span = 15.0
    activating_s: Span = 1.0
    deactivating_s: Span = 0.0
    stopping_s: Span = 1.0
    """From SIGTERM until the containers have ended, if no runner says when."""
    deprovisioning_s: Span = 5.0

    def draw(self, chance: random.Random) -> Durations:
        """One task's."""
        return Durations(
            provisioning=drawn(self.provisioning_s, chance),
            pending=drawn(self.pending_s, chance),
            activating=drawn(self.activating_s, chance),
            deactivating=drawn(self.deactivating_s, chance),
            stopping=drawn(self.stopping_s, chance),
            deprovisioning=drawn(self.deprovisioning_s, chance),
        )

    @classmethod
    def at_once(cls) -> "Timing":
        """All states are over at once."""
        return cls(provisioning_s=0, pending_s=0, activating_s=0, stopping_s=0, deprovisioning_s=0)


def drawn(span: Span, chance: random.Random) -> float:
    """A number of seconds in a span."""
    return chance.uniform(*span) if isinstance(span, tuple) else float(span)


@dataclass(slots=True, kw_only=True)
class Quotas:
    """Limits of the account; None: no limit. They may change while all runs."""

    fargate_tasks: int | None = None
    fargate_vcpus: float | None = None
    fargate_spot_vcpus: float | None = None
    provisioning_tasks: int = 500
    """Tasks of a cluster that wait for managed scaling."""
    provisioning_timeout_s: float = 1800.0
    """After which one of them ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """What becomes of a task: in `stage`, `after_s` seconds into it, it ends so."""

    stage: Status
    after_s: float = 0.0
    code: str = "TaskFailedToStart"
    reason: str
    """`stoppedReason`."""
    exit_code: int | None = None
    container_reason: str = ""


def cannot_pull(image: str, why: str = "") -> Fate:
    """Its image is not there, or may not be had."""
    words = why or (
        f"CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to resolve ref {image}: "
        f"{image}: not found"
    )
    return Fate(stage=Status.PENDING, after_s=1.0, reason=words, container_reason=words)


def cannot_start(why: str = "CannotStartContainerError: Error response from daemon: exec format error") -> Fate:
    """Its container is made and does not start."""
    return Fate(stage=Status.PENDING, after_s=2.0, reason="Task failed to start", container_reason=why, exit_code=127)


def no_interface() -> Fate:
    """Its network interface does not come."""
    return Fate(
        stage=Status.PROVISIONING, after_s=3.0, reason="Timeout waiting for network interface provisioning to complete."
    )


def no_address(subnet: str) -> Fate:
    """Its subnet has no address left."""
    return Fate(
        stage=Status.PROVISIONING,
        after_s=1.0,
        reason="Unexpected EC2 error while attempting to Create Network Interface in subnet "
        f"'{subnet}': InsufficientFreeAddressesInSubnet",
    )


def no_capacity_after_all() -> Fate:
    """RunTask took it, and then there was no capacity."""
    return Fate(
        stage=Status.PROVISIONING,
        after_s=2.0,
        reason="Capacity is unavailable at this time. Please try again later or in a different availability zone",
    )


def unreadable_secret(arn: str) -> Fate:
    """A secret of its definition may not be read."""
    kind = "secret from asm" if ":secretsmanager:" in arn else "secrets from ssm"
    return Fate(
        stage=Status.PENDING,
        reason="ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval "
        f"failed: unable to retrieve {kind}: service call has been retried 1 time(s): failed to fetch {arn}: "
        "AccessDeniedException: User is not authorized to perform this action",
    )


def no_log_group(group: str) -> Fate:
    """The log group of its definition is not there, and it may not make one."""
    return Fate(
        stage=Status.PENDING,
        reason="ResourceInitializationError: failed to validate logger args: create stream has been retried 1 times: "
        f"failed to create Cloudwatch log stream: ResourceNotFoundException: The specified log group does not exist. "
        f"({group}) : exit status 1",
    )


def exits(exit_code: int, after_s: float = 0.0, reason: str = "") -> Fate:
    """Its container ends by itself, so long after it came to RUNNING."""
    return Fate(
        stage=Status.RUNNING, after_s=after_s, code="EssentialContainerExited", exit_code=exit_code,
        reason="Essential container in task exited", container_reason=reason,
    )  # fmt: skip


def out_of_memory(after_s: float = 0.0) -> Fate:
    """Its container is killed for its memory."""
    return exits(137, after_s, "OutOfMemoryError: Container killed due to memory usage")
