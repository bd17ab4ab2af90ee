"""A backend whose calls are counted and timed, whatever it is."""

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from typing import Final, TypeVar

from broker.domain.host import HostListing, SeenHost
from broker.domain.host_order import HostOrder, HostPlace, Prepared, Preparing
from broker.domain.ids import BackendName, HostRef, InstanceRef
from broker.domain.instance import Instance, LaunchKey, Listing
from broker.domain.offer import Offer
from broker.domain.pool import Pool
from broker.domain.reason import Reason
from broker.errors import BackendError, BackendRejected, InsufficientCapacity, OutcomeUnknown, Throttled
from broker.ports import Backend, HostBackend, LaunchSpec, Made, makes_hosts
from broker.telemetry.metrics import Metrics

T = TypeVar("T")

_BY_REASON: Final[Mapping[Reason, str]] = {
    Reason.ACCESS_DENIED: "denied",
    Reason.CREDENTIALS_INVALID: "unauthenticated",
}
_BY_TYPE: Final[tuple[tuple[type[BackendError], str], ...]] = (
    (Throttled, "throttled"),
    (InsufficientCapacity, "capacity"),
    (OutcomeUnknown, "timeout"),
    (BackendRejected, "invalid"),
)


class MeteredBackend:
    """Passes everything on and tells the metrics: `ports.Backend`."""

    def __init__(self, name: BackendName, backend: Backend, metrics: Metrics, *, tells: bool = False) -> None:
        """Wraps `backend`; one that `tells` the calls of its cloud itself is left to do so: none counts twice."""
        self._name = name
        self._backend = backend
        self._metrics = metrics
        self._tells = tells

    async def offers(self, pool: Pool) -> Sequence[Offer]:
        """Not counted: it calls nothing."""
        return await self._backend.offers(pool)

    async def launch(self, spec: LaunchSpec) -> InstanceRef:
        """Counted as `launch`."""
        return await self.count("launch", self._backend.launch(spec))

    async def locate(self, key: LaunchKey) -> InstanceRef | None:
        """Counted as `locate`."""
        return await self.count("locate", self._backend.locate(key))

    async def describe(self, refs: Sequence[InstanceRef]) -> Mapping[InstanceRef, Instance]:
        """Counted as `describe`."""
        return await self.count("describe", self._backend.describe(refs))

    async def terminate(self, ref: InstanceRef) -> None:
        """Counted as `terminate`."""
        await self.count("terminate", self._backend.terminate(ref))

    async def list_owned(self) -> Listing:
        """Counted as `list_owned`."""
        return await self.count("list_owned", self._backend.list_owned())

    async def close(self) -> None:
        """Not counted."""
        await self._backend.close()

    async def count(self, operation: str, call: Awaitable[T]) -> T:
        """Counts a call and passes its answer on."""
        loop, code = asyncio.get_running_loop(), "ok"
        started = loop.time()
        try:
            return await call
        except BackendError as error:
            code = code_of(error)
            raise
        except asyncio.CancelledError:
            code = "timeout"
            raise
        finally:
            if not self._tells:
                self._metrics.backend_called(self._name, operation, code, loop.time() - started)


class MeteredHostBackend(MeteredBackend):
    """The same of a backend whose agents are on hosts: `ports.HostBackend`."""

    def __init__(self, name: BackendName, backend: HostBackend, metrics: Metrics, *, tells: bool = False) -> None:
        """Wraps `backend`."""
        super().__init__(name, backend, metrics, tells=tells)
        self._hosts = backend

    @property
    def most_hosts_at_once(self) -> int:
        """As the backend says."""
        return self._hosts.most_hosts_at_once

    async def create_hosts(self, order: HostOrder) -> Made:
        """Counted as `create_hosts`."""
        return await self.count("create_hosts", self._hosts.create_hosts(order))

    async def locate_hosts(self, order: HostOrder) -> Made:
        """Counted as `locate_hosts`."""
        return await self.count("locate_hosts", self._hosts.locate_hosts(order))

    async def describe_hosts(self, refs: Sequence[HostRef]) -> Mapping[HostRef, SeenHost]:
        """Counted as `describe_hosts`."""
        return await self.count("describe_hosts", self._hosts.describe_hosts(refs))

    async def prepare_host(self, place: HostPlace) -> Prepared | Preparing:
        """Not counted: it is asked again and again how far it is."""
        return await self._hosts.prepare_host(place)

    async def delete_hosts(self, refs: Sequence[HostRef]) -> None:
        """Counted as `delete_hosts`."""
        await self.count("delete_hosts", self._hosts.delete_hosts(refs))

    async def list_hosts(self) -> HostListing:
        """Counted as `list_hosts`."""
        return await self.count("list_hosts", self._hosts.list_hosts())


def metered(name: BackendName, backend: Backend, metrics: Metrics, *, tells: bool = False) -> MeteredBackend:
    """The backend with its calls counted; one that makes hosts still does."""
    hosts = makes_hosts(backend)
    if hosts is not None:
        return MeteredHostBackend(name, hosts, metrics, tells=tells)
    return MeteredBackend(name, backend, metrics, tells=tells)


def code_of(error: BackendError) -> str:
    """The metric's value for an error: one of the closed list of `backend_requests_total`."""
    by_type = next((code for kind, code in _BY_TYPE if isinstance(error, kind)), "error")
    return _BY_REASON.get(error.reason, by_type)
