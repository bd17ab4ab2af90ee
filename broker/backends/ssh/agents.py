"""Agents on hosts: gets hosts ready, starts agents there, watches and ends them. Shared by all that make hosts."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from broker.backends.ssh.ownership import Ownership
from broker.backends.ssh.transport import Transport
from broker.backends.ssh.trust import Trust
from broker.domain.host_order import HostPlace, Prepared, Preparing
from broker.domain.ids import HostId, InstanceRef
from broker.domain.instance import Instance, LaunchKey, Listing
from broker.ports import Clock, LaunchSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How often a host is asked for its agents, however often `describe` is called: seconds."""

    moving_s: float = 3.0
    """While one of them starts or ends."""
    steady_s: float = 20.0
    away_s: float = 5.0
    """While the host does not answer."""


class HostAgents:
    """The part of a `ports.HostBackend` that happens on its hosts. All methods may be repeated; `BackendError`s only.

    An agent's reference is `HOST/NAME-ATTEMPT`. A template with an image is a container, any other a process.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        ownership: Ownership,
        place_of: Callable[[str], HostPlace | None],
        transport: Transport,
        trust: Trust,
        pace: Pace | None = None,
    ) -> None:
        """Owns the transport. `place_of` answers None for a host that is gone, and with it all that ran there."""
        self._clock = clock
        self._ownership = ownership
        self._place_of = place_of
        self._transport = transport
        self._trust = trust
        self._pace = pace or Pace()

    async def prepare(self, place: HostPlace) -> Prepared | Preparing:
        """Gets a host ready beside the call. BackendRejected: it cannot become ready, with the reason."""
        raise NotImplementedError

    async def launch(self, spec: LaunchSpec) -> InstanceRef:
        """Starts the agent on `spec.place`. OutcomeUnknown if the way there broke."""
        raise NotImplementedError

    async def locate(self, key: LaunchKey) -> InstanceRef | None:
        """The agent of this key on `key.host`; OutcomeUnknown while the host cannot say."""
        raise NotImplementedError

    async def describe(self, refs: Sequence[InstanceRef]) -> Mapping[InstanceRef, Instance]:
        """One command a host, as often as the pace says. A host that does not answer leaves its agents as they were."""
        raise NotImplementedError

    async def terminate(self, ref: InstanceRef) -> None:
        """Kills the agent with all its processes and deletes what it left, a step each call."""
        raise NotImplementedError

    async def list_owned(self, places: Sequence[HostPlace]) -> Listing:
        """All agents of ours on these hosts; incomplete if one of the hosts does not answer."""
        raise NotImplementedError

    async def wipe(self, place: HostPlace) -> bool:
        """Ends all agents of ours on a host that stays, and deletes our files. True when nothing is left."""
        raise NotImplementedError

    async def forget(self, host: HostId) -> None:
        """Ends what goes on beside the calls for a host and lets go of its connection."""
        raise NotImplementedError

    async def close(self) -> None:
        """Ends all that goes on beside the calls. Agents stay."""
        raise NotImplementedError
