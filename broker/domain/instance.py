"""What a backend reports to exist."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from broker.domain.ids import AgentId, InstanceRef, LaunchToken
from broker.domain.reason import Reason


class InstanceState(StrEnum):
    """`stopped` still exists (it can be read and must be terminated); what does not exist is not reported at all."""

    PENDING = "pending"
    RUNNING = "running"
    STOPPING = "stopping"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchKey:
    """Names one attempt of one agent; `token` is the idempotency key that was saved before the call."""

    agent_id: AgentId
    attempt: int
    token: LaunchToken


@dataclass(frozen=True, slots=True, kw_only=True)
class Interruption:
    """A cloud's notice that it takes an instance back: it is gone `at` that time, aware UTC, whatever runs on it.

    Amazon gives 2 minutes, at best (AWS, "Fargate Spot termination notices" and "EC2 Spot Instance interruption
    notices"), Alibaba about 5 (DescribeInstances: `OperationLocks` with `LockReason: Recycling`).
    """

    at: datetime
    message: str = ""
    """The cloud's own words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """One observation of one instance.

    `reason` and `message` say why it stopped, where the backend knows: the message is the cloud's own words.
    `last_lines` are the last lines of its output, at most 20. `interruption` is there from the cloud's notice on.
    """

    ref: InstanceRef
    state: InstanceState
    agent_id: AgentId
    attempt: int
    exit_code: int | None = None
    reason: Reason | None = None
    message: str = ""
    last_lines: tuple[str, ...] = ()
    interruption: Interruption | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """All instances that carry our exact ownership. Only a complete listing may lead to a deletion."""

    instances: tuple[Instance, ...]
    complete: bool
