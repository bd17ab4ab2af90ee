"""What this process knows of each task that it watches, and what that means."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from broker.backends.aws_ecs.observe import Task, agent_name, instance_of, is_ending, is_over
from broker.backends.aws_ecs.ownership import NOBODY, Owned
from broker.domain.ids import InstanceRef
from broker.domain.instance import Instance, InstanceState
from broker.errors import BackendError

NEVER: Final = float("-inf")
MISSING_S: Final = 60.0
"""So long "MISSING" means nothing: what ECS tells is not always up to date (API reference, RunTask)."""


@dataclass(slots=True)
class Known:
    """One task. Times are monotonic."""

    ref: InstanceRef
    since: float
    """When it was launched here, or first asked for."""
    asked: float = NEVER
    """When somebody last asked for it: what nobody asks for is forgotten."""
    looked: float = NEVER
    """When ECS last told of it, be it that it is missing."""
    seen: float = NEVER
    """When ECS last told that it is there."""
    missing: bool = False
    failed: BackendError | None = None
    """What the last look failed of."""
    owned: Owned | None = None
    """None: not looked yet, or not ours."""
    task: Task | None = None
    container: str = ""
    """The agent's; empty: the first. A broker that has not launched it is told by the task."""
    zone: str = ""
    """Where it was sent; ECS tells later."""
    running_since: float = NEVER
    ended_at: float = NEVER
    """When its end was first asked for."""
    stopped_at: float = NEVER
    """When StopTask was last called."""
    tidied: bool = False
    """Whether its secret, if it had one by reference, was left to be deleted."""
    lines: tuple[str, ...] | None = None
    """Its last ones, once they were asked for."""

    def note(self, task: Mapping[str, Any], now: float) -> None:
        """What ECS tells now. Never back from an end: answers may be out of order."""
        self.looked, self.seen, self.missing, self.failed = now, now, False, None
        if self.task is not None and (is_over(self.task) or _version(task) < _version(self.task)):
            return
        if task.get("lastStatus") == "RUNNING" and self.running_since == NEVER:
            self.running_since = now
        self.task, self.container = task, self.container or agent_name(task)

    def miss(self, now: float) -> None:
        """ECS tells that it is missing."""
        self.looked, self.missing, self.failed = now, True, None

    def is_gone(self, now: float) -> bool:
        """Whether it does not exist: missing for long enough, or over and asked to end."""
        over = self.task is not None and is_over(self.task)
        if over and self.ended_at > NEVER:
            return True
        return self.missing and (over or now - max(self.since, self.seen) >= MISSING_S)

    def moves(self, now: float, settle_s: float) -> bool:
        """Whether it is likely to be something else soon."""
        if self.task is None or self.missing:
            return not self.is_gone(now)
        if is_over(self.task):
            return False
        if is_ending(self.task) or self.ended_at > NEVER or self.running_since == NEVER:
            return True
        return now - self.running_since < settle_s

    def instance(self, now: float) -> Instance | None:
        """What it is, as far as is known; None if it does not exist, or is not ours."""
        if self.is_gone(now):
            return None
        if self.task is None:
            nobody = self.owned or NOBODY
            state = InstanceState.PENDING
            return Instance(ref=self.ref, state=state, agent_id=nobody.agent_id, attempt=nobody.attempt)
        if self.owned is None:
            return None
        return replace(instance_of(self.task, self.owned, self.container), last_lines=self.lines or ())


@dataclass(slots=True)
class Tasks:
    """All that is known, by ARN."""

    by_ref: dict[InstanceRef, Known] = field(default_factory=dict)

    def of(self, ref: InstanceRef, now: float) -> Known:
        """What is known of a task, made if it is nothing."""
        if ref not in self.by_ref:
            self.by_ref[ref] = Known(ref=ref, since=now)
        return self.by_ref[ref]

    def forget_unasked(self, before: float) -> None:
        """Forgets what nobody has asked for since."""
        self.by_ref = {ref: one for ref, one in self.by_ref.items() if max(one.asked, one.since) >= before}


def _version(task: Mapping[str, Any]) -> int:
    return int(task.get("version") or 0)
