"""What the core needs of the world: protocols at the seams, and the values that cross them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, cast

from broker.domain.host import HostListing, SeenHost
from broker.domain.host_order import HostOrder, HostPlace, Prepared, Preparing
from broker.domain.ids import AgentId, AgentName, ControllerName, HostId, HostRef, InstanceRef, PolicyName
from broker.domain.instance import Instance, LaunchKey, Listing
from broker.domain.offer import Offer, Offering
from broker.domain.pool import Pool
from broker.domain.reason import Reason
from broker.domain.resources import Resources
from broker.domain.template import Template
from broker.errors import BackendError


class Clock(Protocol):
    """Time, injected everywhere."""

    def now(self) -> datetime:
        """The wall clock: aware UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back, for intervals."""
        ...

    async def sleep_until(self, when: float) -> None:
        """Returns once `monotonic()` is at least `when`."""
        ...


class Nudge(Protocol):
    """Asks for a look at an agent soon. Merges; never blocks; never fails."""

    def agent(self, agent_id: AgentId) -> None:
        """Something about this agent may have changed."""
        ...

    def placement(self) -> None:
        """There may be agents to place, or room for them."""
        ...

    def host(self, host_id: HostId) -> None:
        """Something about this host may have changed."""
        ...

    def hosts(self) -> None:
        """There may be hosts to make, or to end."""
        ...


class Memory(Protocol):
    """One text that outlives the process. Raises `StoreUnavailable`."""

    async def recall(self) -> str | None:
        """The text; None if there never was one."""
        ...

    async def remember(self, text: str) -> None:
        """Takes the place of the former one."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchSpec:
    """All that a backend needs to start one agent.

    `url` is what the agent dials (the gateway's base URL for its controller, ending in a slash), `secret` what it shows
    there: minted for this attempt. In direct mode they are Jenkins' own; `tunnel` then is where the agent port is,
    and with `identity` (the controller's key, base64) it is dialled without asking the URL, which is only good for the
    jar then. The secret may appear neither in a log nor in a process's arguments.
    """

    key: LaunchKey
    name: AgentName
    controller: ControllerName
    pool: Pool
    template: Template
    """What the agent is: after what its build asked for itself."""
    url: str
    secret: str = field(repr=False)
    websocket: bool = True
    tunnel: str = ""
    identity: str = ""
    authorities: tuple[str, ...] = ()
    """Certificates in PEM, one a text, that the agent is to trust beside its own when it asks the URL."""
    offering: Offering | None = None
    """Zone, type and capacity that were chosen, the same whenever an attempt is repeated; None: the pool as such."""
    host: str = ""
    """The host that was chosen, if any."""
    place: HostPlace | None = None
    """Where that is, of a host of ours; it is ready."""
    policy: PolicyName = PolicyName("")
    """Whose agent it is. With the next two it is for tags, and the same whenever an attempt is repeated."""
    job: str = ""
    """The job that it was asked for, as Jenkins writes it; empty where there is none. At most 2,000 characters."""
    build_url: str = ""
    """The URL of the build that it was asked for, at most 2,000 characters; empty where that is not known yet."""
    configured: Resources | None = None
    """The size that the template has for everybody, before its build asked; None: `template` is as configured."""


class Backend(Protocol):
    """Makes and unmakes instances in one account and region. Every method may be repeated safely.

    Raises `BackendError`s only: `InsufficientCapacity`, `Throttled`, `BackendRejected` are sure that nothing was made;
    `OutcomeUnknown` is not.
    """

    async def offers(self, pool: Pool) -> Sequence[Offer]:
        """What `pool` could hold now, for agents of any size. Cheap: from what is known, which may be seconds old."""
        ...

    async def launch(self, spec: LaunchSpec) -> InstanceRef:
        """Starts an instance. The same key again is the same instance, whatever happened in between."""
        ...

    async def locate(self, key: LaunchKey) -> InstanceRef | None:
        """The instance of an attempt whose launch was never answered; None if the backend is sure there is none."""
        ...

    async def describe(self, refs: Sequence[InstanceRef]) -> Mapping[InstanceRef, Instance]:
        """The instances that exist; one that is missing from the answer does not exist.

        One that its cloud will take back says so in each answer, from the notice on, with the same time.
        """
        ...

    async def terminate(self, ref: InstanceRef) -> None:
        """Begins the end of an instance. Success says nothing of when it is gone; one that is gone is a success."""
        ...

    async def list_owned(self) -> Listing:
        """All instances that carry this broker's ownership, for the search for orphans."""
        ...

    async def close(self) -> None:
        """Lets go of connections and files. Instances stay."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What has come of an order. A host that is not in `refs` was not made, for sure, and `lack` says why."""

    refs: Mapping[HostId, HostRef]
    lack: BackendError | None = None


class HostBackend(Backend, Protocol):
    """A backend whose agents are on hosts that it makes, or knows.

    `offers` of its pools are hosts that could be made, each with a `shape`; `room` there is how many of that offering
    there can be in all, with those that exist. Which exist, and what is free on them, the core knows.
    `launch` gets a `LaunchSpec.place`, and a `LaunchKey.host` says on which host an attempt is. Every method may be
    repeated safely, and raises `BackendError`s only.
    """

    @property
    def most_hosts_at_once(self) -> int:
        """How many hosts one order may have."""
        ...

    async def create_hosts(self, order: HostOrder) -> Made:
        """Makes hosts, as many of the order as can be had; the same token again gives the same hosts.

        `InsufficientCapacity`, `Throttled`, `BackendRejected`: none was made, for sure. `OutcomeUnknown`: some may.
        """
        ...

    async def locate_hosts(self, order: HostOrder) -> Made:
        """What has come of an order that was never answered; `OutcomeUnknown` while that is not sure."""
        ...

    async def describe_hosts(self, refs: Sequence[HostRef]) -> Mapping[HostRef, SeenHost]:
        """The hosts that exist; one that is missing from the answer does not exist. An error says nothing of any."""
        ...

    async def prepare_host(self, place: HostPlace) -> Prepared | Preparing:
        """Gets a running host ready, beside the call, and answers how far it is: it is called again until it is done.

        Raises `BackendRejected` if it cannot become ready, with the reason; what must be known of that is the message.
        """
        ...

    async def delete_hosts(self, refs: Sequence[HostRef]) -> None:
        """Begins the end of hosts. Success says nothing of when they are gone; one that is gone is a success."""
        ...

    async def list_hosts(self) -> HostListing:
        """All hosts that carry this broker's ownership, for the search for orphans."""
        ...


def makes_hosts(backend: Backend | None) -> HostBackend | None:
    """The same backend, if its agents are on hosts."""
    return cast(HostBackend, backend) if hasattr(backend, "create_hosts") else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A live gateway connection of an agent. `cookie` tells a reconnect of the same agent from somebody else."""

    id: str
    agent_id: AgentId
    controller: ControllerName
    name: AgentName
    attempt: int
    protocol: str
    peer: str
    since: datetime
    cookie: str = field(repr=False)


class Sessions(Protocol):
    """Who is connected, as the gateways told over the control link."""

    def known(self) -> bool:
        """Whether all gateways have told their live sessions since their links were last up.

        If not, absence means nothing. A gateway that has died, has left or was away for too long is not waited for.
        """
        ...

    def live(self, agent_id: AgentId) -> Session | None:
        """The live session of an agent."""
        ...

    def of_name(self, controller: ControllerName, name: AgentName) -> Session | None:
        """The live session that an agent of that name has, be the agent known or not."""
        ...

    def turned_away(self, agent_id: AgentId, attempt: int) -> tuple[Reason, str] | None:
        """Why the last knock of this attempt got no session, although its secret was right; None if it has got one."""
        ...

    def churned(self, agent_id: AgentId) -> str:
        """Why no connection of the agent can be expected to last, in words; empty while one can."""
        ...

    async def end(self, agent_id: AgentId, message: str) -> None:
        """Closes the agent's session, if it has one; returns when the gateway has been told. Never raises."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Knock:
    """An agent at the gateway's door. `cookie` is the one it shows, empty on a first connection.

    Over TCP an agent does not say whose it is: `controller` is None, and only name and secret tell.
    """

    controller: ControllerName | None
    name: str
    secret: str = field(repr=False)
    cookie: str = field(default="", repr=False)
    protocol: str = "websocket"
    peer: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """It may come in, as this agent of this controller; `secret` is the real one, for the controller only."""

    agent_id: AgentId
    attempt: int
    secret: str = field(repr=False)
    controller: ControllerName = ControllerName("")
    """Empty for the one that the knock has named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """It may not. `retry` tells an agent that should ask again later from one that never gets in.

    `over` says that the agent is who it says, and that its attempt is over for good: it is told to leave.
    """

    reason: Reason
    message: str
    retry: bool = False
    over: bool = False


class Doorkeeper(Protocol):
    """Decides who may come in. Fails closed: any error is a refusal to be retried."""

    async def admit(self, knock: Knock, until: float = 0.0) -> Admitted | Refused:
        """Checks name, minted secret, attempt and phase; takes the same time for unknown names. Changes nothing.

        One that would get in, were its controller there, may be held until a monotonic time.
        """
        ...
