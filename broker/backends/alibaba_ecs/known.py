"""What this process knows of each instance that it watches, and what that means."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from broker.backends.alibaba_ecs.observe import Item, is_recycled, seen_of, state_of, time_of
from broker.domain.host import HostState, SeenHost
from broker.domain.ids import HostId, HostRef
from broker.domain.reason import Reason
from broker.errors import BackendError

NEVER: Final = float("-inf")
MISSING_S: Final = 60.0
"""So long a new instance may be in no answer: reads are not up to date with writes."""


@dataclass(slots=True)
class Known:
    """One instance. Times are monotonic."""

    ref: HostRef
    since: float
    """When it was made here, or first asked for."""
    asked: float = NEVER
    """When somebody last asked for it: what nobody asks for is forgotten."""
    looked: float = NEVER
    """When the cloud last said something of it, be it that it is missing."""
    seen: float = NEVER
    """When it was last in an answer."""
    fresh: bool = False
    """Whether it was made here: then not to be seen yet means nothing for a while."""
    misses: int = 0
    """Answers in a row that say for sure, or to a question for it alone, that it is not there."""
    empties: int = 0
    """Empty answers in a row to a question for it and others."""
    failed: BackendError | None = None
    item: Item | None = None
    ours: bool = False
    connect_by: str = "private"
    host: HostId | None = None
    ran: bool = False
    """Whether it has been seen running."""
    running_since: float = NEVER
    ended_at: float = NEVER
    """When its deletion was last accepted."""
    taken_at: datetime | None = None
    refused_at: float = NEVER
    """When the cloud last refused to put its release off."""
    release_at: datetime | None = None
    """When the cloud deletes it by itself, as it last said or took it."""

    def note(self, item: Item, now: float) -> None:
        """What the cloud tells now."""
        self.looked = self.seen = now
        self.misses, self.empties, self.failed = 0, 0, None
        if state_of(item) is HostState.RUNNING:
            self.running_since = self.running_since if self.running_since > NEVER else now
            self.ran = True
        self.item = item
        if "AutoReleaseTime" in item:
            self.release_at = time_of(item["AutoReleaseTime"])

    def miss(self, now: float, *, sure: bool) -> None:
        """It is not in an answer, which has others (`sure`), or was asked for it alone."""
        self.looked, self.failed = now, None
        self.misses += 2 if sure else 1

    def is_gone(self, now: float) -> bool:
        """Whether it does not exist."""
        if self.misses < 2:
            return False
        if self.seen == NEVER and self.fresh:
            return now - self.since >= MISSING_S
        return True

    def moves(self, now: float, settle_s: float) -> bool:
        """Whether it is likely to be something else soon."""
        if self.is_gone(now):
            return False
        if self.item is None or self.misses or self.empties or self.ended_at > NEVER or self.taken_at is not None:
            return True
        state = state_of(self.item)
        if state is HostState.STOPPED:
            return False
        if state is not HostState.RUNNING or not self._told().address:
            return True
        return now - self.running_since < settle_s

    def told(self, now: float) -> SeenHost | None:
        """What it is; None if it does not exist, or is not ours.

        One that vanished before it ever ran is told as stopped until it is deleted, so that it is known why: the cloud
        takes an order and finds later that it has no stock (`SystemFailure.Delete`).
        """
        if self.is_gone(now):
            return self._stillborn() if self.fresh and not self.ran and self.ended_at == NEVER else None
        if self.item is None:
            return SeenHost(ref=self.ref, state=HostState.PENDING, host=self.host) if self.fresh else None
        return self._told() if self.ours else None

    def _told(self) -> SeenHost:
        return seen_of(self.item or {}, self.host, self.connect_by, self.taken_at)

    def _stillborn(self) -> SeenHost:
        message = f"SystemFailure.Delete: the cloud made {self.ref} and took it away before it ran"
        return SeenHost(
            ref=self.ref,
            state=HostState.STOPPED,
            host=self.host,
            reason=Reason.INSUFFICIENT_CAPACITY,
            message=message,
        )

    @property
    def is_recycled(self) -> bool:
        """Whether the cloud takes it back."""
        return self.item is not None and is_recycled(self.item)


@dataclass(slots=True)
class Instances:
    """All that is known, by id."""

    by_ref: dict[HostRef, Known] = field(default_factory=dict)

    def of(self, ref: HostRef, now: float) -> Known:
        """What is known of an instance, made if it is nothing."""
        if ref not in self.by_ref:
            self.by_ref[ref] = Known(ref=ref, since=now)
        return self.by_ref[ref]

    def forget_unasked(self, before: float) -> list[HostRef]:
        """Forgets what nobody has asked for since; says what."""
        old = [ref for ref, one in self.by_ref.items() if max(one.asked, one.since) < before]
        for ref in old:
            del self.by_ref[ref]
        return old
