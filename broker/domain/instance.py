"""What a backend reports to exist."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from broker.domain.ids import AgentId, InstanceRef, LaunchToken
from broker.domain.lengths import short
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
    host: str = ""
    """The id of the host that it is placed on, where that is one of ours; else what the cloud calls it, or empty."""


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
class Times:
    """When an instance came to each step of its life, by its cloud's clock: aware UTC; None is not yet, or not told.

    Amazon ECS has all of them (DescribeTasks: `createdAt`, `pullStartedAt`, `pullStoppedAt`, `startedAt`, `stoppingAt`,
    `stoppedAt`).
    """

    created: datetime | None = None
    pull_started: datetime | None = None
    pull_stopped: datetime | None = None
    started: datetime | None = None
    stopping: datetime | None = None
    stopped: datetime | None = None

    def steps(self) -> Mapping[str, timedelta]:
        """How long each step of the start took whose two ends are known, by the names of `STEPS`; none is negative."""
        ends = (self.created, self.pull_started, self.pull_stopped, self.started)
        found: dict[str, timedelta] = {}
        for name, begin, end in zip(STEPS, ends, ends[1:], strict=False):
            if begin is not None and end is not None:
                found[name] = max(end - begin, timedelta())
        return found

    def in_words(self) -> str:
        """How long the cloud has taken for each step, for people; empty where it says nothing of any."""
        words = {"provisioning": "got its place", "pulling": "pulled the image", "starting": "started"}
        return ", ".join(f"{words[step]} in {short(took)}" for step, took in self.steps().items())

    def unfinished(self, now: datetime) -> str:
        """What it has come to and not finished, and since when, for people; empty where nobody can say."""
        if self.started is not None or self.created is None:
            return ""
        if self.pull_started is None:
            return f"it has waited {short(now - self.created)} for its place"
        if self.pull_stopped is None:
            return f"its image has been pulled for {short(now - self.pull_started)}"
        return f"its image was there {short(now - self.pull_stopped)} ago"


STEPS: Final = ("provisioning", "pulling", "starting")
"""Of a start: until the image is asked for, until it is there, until it runs."""
NO_TIMES: Final = Times()


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
    times: Times = NO_TIMES


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """All instances that carry our exact ownership. Only a complete listing may lead to a deletion."""

    instances: tuple[Instance, ...]
    complete: bool
