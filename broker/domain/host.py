"""Machines of ours that hold agents: their life as data, the durable row, and what a backend says of them."""

import secrets
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from broker.domain.ids import ControllerName, HostId, HostRef, PolicyName, PoolName
from broker.domain.instance import Interruption
from broker.domain.offer import Offer, Offering
from broker.domain.reason import Reason
from broker.domain.resources import Resources


class HostPhase(StrEnum):
    """Where a host is between the decision to have it and the moment when nothing of it is left."""

    REQUESTED = "requested"
    CREATING = "creating"
    PREPARING = "preparing"
    READY = "ready"
    DRAINING = "draining"
    DELETING = "deleting"
    GONE = "gone"


HOST_TRANSITIONS: Final[Mapping[HostPhase, frozenset[HostPhase]]] = {
    HostPhase.REQUESTED: frozenset({HostPhase.CREATING, HostPhase.GONE}),
    HostPhase.CREATING: frozenset({HostPhase.PREPARING, HostPhase.DELETING}),
    HostPhase.PREPARING: frozenset({HostPhase.READY, HostPhase.DELETING}),
    HostPhase.READY: frozenset({HostPhase.DRAINING, HostPhase.DELETING}),
    HostPhase.DRAINING: frozenset({HostPhase.DELETING}),
    HostPhase.DELETING: frozenset({HostPhase.GONE}),
    HostPhase.GONE: frozenset(),
}
"""A host has one machine in its life: where none can be had, its agents are placed anew, on another host."""

HOSTS_TO_COME: Final = frozenset({HostPhase.REQUESTED, HostPhase.CREATING, HostPhase.PREPARING})
"""Agents may be placed on such a host, and wait for it."""
HOSTS_WITH_ROOM: Final = HOSTS_TO_COME | {HostPhase.READY}
"""Phases in which a host takes agents."""


def host_may_follow(now: HostPhase, after: HostPhase) -> bool:
    """Tells whether a host in phase `now` may go to phase `after`; staying is no change and not allowed."""
    return after in HOST_TRANSITIONS[now]


@dataclass(frozen=True, slots=True, kw_only=True)
class HostRules:
    """What a pool says of its hosts; None and 0 are without limit.

    `boot_timeout` is from the order until the host can be reached, `prepare_timeout` from then until it is ready.
    """

    agents_per_host: int | None = None
    most: int | None = None
    """The most hosts at once, in whatever phase but gone: `limits.hosts`."""
    fewest: int = 0
    """So many are kept even if nothing runs: `limits.min_hosts`."""
    idle_timeout: timedelta = timedelta(minutes=10)
    max_age: timedelta | None = None
    """A host of this age takes no more agents, and ends with the last that it has."""
    max_uses: int | None = None
    """A host that has had so many agents takes no more."""
    boot_timeout: timedelta = timedelta(minutes=10)
    prepare_timeout: timedelta = timedelta(minutes=15)

    @property
    def for_one_agent(self) -> bool:
        """Whether each host has one agent in its life: then what it costs is that agent's build's."""
        return self.agents_per_host == 1 and self.max_uses == 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """The durable row. Times are aware UTC; `version` counts every change and is what a compare-and-set compares.

    `token` names the call that makes it, saved before that is made; hosts that one call makes share it. `ref` is what
    the cloud calls it. `address`, `host_key` and `facts` are what its preparation found out.
    """

    id: HostId
    pool: PoolName
    phase: HostPhase
    version: int
    requested_at: datetime
    phase_since: datetime
    deadline: datetime | None = None
    zone: str = ""
    type: str = ""
    capacity: str = ""
    size: Resources | None = None
    """All that it has; None: size does not matter."""
    slots: int | None = None
    """Agents that it takes when it is empty; None: no bound."""
    token: str | None = None
    ref: HostRef | None = None
    address: str = ""
    """Where the broker reaches it: a name or an address, without a port."""
    host_key: str = ""
    """Its public SSH keys as they are believed, one `TYPE BASE64` a line."""
    facts: Mapping[str, str] = field(default_factory=dict)
    """What its backend wants to know again: opaque to everybody else."""
    uses: int = 0
    """Agents that were placed on it, ever."""
    empty_since: datetime | None = None
    """Since when no agent is on it; None while there are any."""
    ready_at: datetime | None = None
    gone_at: datetime | None = None
    why: Reason | None = None
    message: str = ""
    asked_by: str = ""
    """The operator who asked for it; empty for one that placement or `min_hosts` wanted."""
    controller: ControllerName = ControllerName("")
    """Whose agent it was made for, with the next three: for tags. All empty where it was made for none."""
    policy: PolicyName = PolicyName("")
    job: str = ""
    build_url: str = ""

    @property
    def offering(self) -> Offering:
        """What it is a part of."""
        return Offering(self.pool, self.zone, self.type, self.capacity)

    def is_spent(self, rules: HostRules, now: datetime) -> bool:
        """Whether it takes no more agents for its age, counted from when it was asked for, or for its uses."""
        old = rules.max_age is not None and now - self.requested_at >= rules.max_age
        return old or (rules.max_uses is not None and self.uses >= rules.max_uses)


@dataclass(frozen=True, slots=True)
class HostInUse:
    """A host that is not gone, and the living agents that have a place on it, by size."""

    host: Host
    taken: Counter[Resources]


def new_host_id() -> HostId:
    """An id that no host has had."""
    return HostId(f"h-{secrets.token_hex(6)}")


def host_in(offer: Offer, now: datetime) -> Host:
    """A host that is still to be made, nobody on it."""
    return Host(
        id=new_host_id(),
        pool=offer.pool,
        phase=HostPhase.REQUESTED,
        version=1,
        requested_at=now,
        phase_since=now,
        zone=offer.zone,
        type=offer.type,
        capacity=offer.capacity,
        size=offer.shape,
        slots=offer.slots,
    )


class HostState(StrEnum):
    """`stopped` still exists and must be deleted; what does not exist is not reported at all."""

    PENDING = "pending"
    RUNNING = "running"
    STOPPING = "stopping"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenHost:
    """One observation of one host. `reason` and `message` say why it does not run, in the cloud's own words."""

    ref: HostRef
    state: HostState
    host: HostId | None = None
    """Whose it says to be, by marks that carry our signature."""
    address: str = ""
    """Where it can be reached now; empty while it has no address."""
    reason: Reason | None = None
    message: str = ""
    interruption: Interruption | None = None
    created: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HostListing:
    """All hosts that carry our exact ownership. Only a complete listing may lead to a deletion."""

    hosts: tuple[SeenHost, ...]
    complete: bool
