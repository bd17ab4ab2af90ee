"""What this process knows of hosts beside their rows: what was seen, what was called, and who waits for which."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NamedTuple

from broker.domain.host import Host, HostPhase, SeenHost
from broker.domain.ids import AgentId, BackendName, HostId, HostRef, PoolName
from broker.domain.reason import Reason

BECOMES_VISIBLE_S: Final = 60.0
"""So long a new machine may be missing from what its cloud tells."""

_MOST_ENDED: Final = 5000


class Task(StrEnum):
    """What there is to do."""

    ALL = "all"
    """A look at all hosts; the name is empty."""
    HOST = "host"
    ORDER = "order"
    """The hosts of a pool that are requested become orders."""
    MAKE = "make"
    """An order, by its token."""
    DELETE = "delete"
    """The hosts of a backend that are to end now, in few calls."""
    POLL = "poll"
    """The machines of a backend."""
    FEWEST = "fewest"
    """The hosts that a pool keeps without agents."""
    ORPHANS = "orphans"
    """The machines of a backend that belong to nobody."""


class Key(NamedTuple):
    """What the queue of hosts holds."""

    task: Task
    name: str = ""


@dataclass(frozen=True, slots=True)
class Seen:
    """What the poller saw of a machine: None is "not in the answer". `asked_at` is when it began to ask.

    A machine that is missing from two answers in a row does not exist; one answer may be empty although it says that
    all is well.
    """

    ref: HostRef
    host: SeenHost | None
    asked_at: float
    missing_since: float | None = None
    """When the first of the answers was asked for in which it is missing since; None while it is there."""

    @property
    def is_missing(self) -> bool:
        """Whether the machine does not exist."""
        return self.missing_since is not None and self.missing_since < self.asked_at


@dataclass(slots=True, kw_only=True)
class Known:
    """Lives in memory: a new process asks again. Times are monotonic seconds."""

    began: float
    rows: dict[HostId, Host] = field(default_factory=dict)
    """The living hosts as they were last read or written."""
    seen: dict[HostId, Seen] = field(default_factory=dict)
    was_seen: set[HostId] = field(default_factory=set)
    """Hosts whose machine the cloud has told of."""
    made_at: dict[HostId, float] = field(default_factory=dict)
    fresh: set[str] = field(default_factory=set)
    """Tokens that were saved by this process and not called with yet: the refusal of a first call tells the whole."""
    nothing_made: set[HostId] = field(default_factory=set)
    """Hosts of which it is sure that they have no machine, and will get none."""
    called: dict[str, float] = field(default_factory=dict)
    """When the order of a token was first called for."""
    call_at: dict[str, float] = field(default_factory=dict)
    """When it is called for again: whoever looks earlier waits."""
    steps: dict[HostId, str] = field(default_factory=dict)
    """What a host that is prepared does just now, in words."""
    waiting: dict[HostId, set[AgentId]] = field(default_factory=dict)
    told: dict[AgentId, float] = field(default_factory=dict)
    """When it was last written down for an agent what its host does."""
    delete_called: dict[HostId, float] = field(default_factory=dict)
    delete_tries: Counter[HostId] = field(default_factory=Counter)
    to_delete: dict[BackendName, set[HostId]] = field(default_factory=dict)
    alerted: dict[HostId, float] = field(default_factory=dict)
    unreachable: dict[HostId, float] = field(default_factory=dict)
    """Since when nothing can be started on a host."""
    shut: dict[HostId, tuple[Reason, str]] = field(default_factory=dict)
    """Hosts that were ready and let nobody in any more: why, in a code and in words."""
    ended: dict[HostId, tuple[Reason | None, str]] = field(default_factory=dict)
    """Why the hosts ended that are gone, the last of them: agents hear of it later."""
    leaving: set[HostId] = field(default_factory=set)
    """Hosts that are about to drain: they count as gone for those who ask whether there are too many."""
    not_before: dict[PoolName, float] = field(default_factory=dict)
    """When a host without agents may be asked for again, of a pool where the last one came to nothing."""
    failures: Counter[PoolName] = field(default_factory=Counter)
    fewest_failed: dict[PoolName, str] = field(default_factory=dict)

    def keep(self, host: Host) -> None:
        """Remembers a row as it now stands; of one that is gone nothing."""
        if host.phase is HostPhase.GONE:
            self.forget(host.id)
            self.ended[host.id] = (host.why, host.message)
            if len(self.ended) > _MOST_ENDED:
                del self.ended[next(iter(self.ended))]
        elif (known := self.rows.get(host.id)) is None or known.version <= host.version:
            self.rows[host.id] = host

    def keep_only(self, hosts: Iterable[Host]) -> None:
        """Forgets those that are not among the living hosts, and takes these as they are."""
        found = {host.id: host for host in hosts}
        for host_id in self.rows.keys() - found.keys():
            self.forget(host_id)
        for host in found.values():
            self.keep(host)

    def forget(self, host_id: HostId) -> None:
        """The host is gone."""
        of_hosts = (self.rows, self.seen, self.made_at, self.steps, self.waiting, self.delete_called)
        for memory in (*of_hosts, self.delete_tries, self.alerted, self.unreachable, self.shut):
            memory.pop(host_id, None)
        for some in (self.was_seen, self.nothing_made, self.leaving, *self.to_delete.values()):
            some.discard(host_id)

    def seen_of(self, host: Host) -> Seen | None:
        """What the poller saw last of the host's machine; None if it has not looked yet."""
        seen = self.seen.get(host.id)
        return seen if seen is not None and seen.ref == host.ref else None

    def can_be_seen(self, host: Host, now_s: float) -> bool:
        """Whether a machine that is missing does not exist: its cloud has told of it, or has had time to."""
        if host.id in self.was_seen or host.address:
            return True
        return now_s - self.made_at.get(host.id, self.began) >= BECOMES_VISIBLE_S
