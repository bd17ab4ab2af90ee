"""One RunInstances for one order, and what has come of orders whose answer nobody heard."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from broker.backends.alibaba_ecs.asking import items, pages
from broker.backends.alibaba_ecs.calls import Calls
from broker.backends.alibaba_ecs.codes import TokenInUse
from broker.backends.alibaba_ecs.notes import Notes
from broker.backends.alibaba_ecs.observe import Item
from broker.backends.alibaba_ecs.options import SPOT, PoolOptions
from broker.backends.alibaba_ecs.ownership import Owned, Ownership
from broker.backends.alibaba_ecs.request import Given, Texts, release_at, run_instances
from broker.domain.host_order import HostOrder
from broker.domain.ids import HostId, HostRef
from broker.domain.pool import Pool
from broker.domain.reason import Reason
from broker.errors import BackendError, BackendRejected, InsufficientCapacity, OutcomeUnknown, Throttled
from broker.ports import Clock, Made

_TURN_S: Final = 20.0
"""So long an order waits in line."""
UNSURE_S: Final = 60.0
"""So long after a call whose answer nobody heard, "there is none" may still become untrue."""
_MOST_ANSWERED: Final = 1000


class Surroundings(Protocol):
    """What an order needs beside its pool."""

    async def completed(self, pool: Pool) -> Pool:
        """With what `auto_network` makes of what it leaves out."""
        ...

    async def vswitch(self, pool: Pool, zone: str) -> str:
        """The vSwitch for hosts of a zone."""
        ...

    async def key_pair(self, pool: Pool) -> str:
        """The key pair for hosts of it; empty for none."""
        ...

    def doubt(self, vswitch: str, error: BackendError) -> None:
        """The cloud has refused an order: what was known of its network and stock may be wrong."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Begun:
    """An order as it is sent, each time the same; else the cloud refuses its token."""

    request: Mapping[str, Any]
    owned: Owned


class Maker:
    """Makes hosts. The same order again is the same hosts, as the cloud keeps client tokens."""

    def __init__(
        self,
        calls: Calls,
        ownership: Ownership,
        notes: Notes,
        around: Surroundings,
        clock: Clock,
        horizon_s: float,
    ) -> None:
        """Nothing is under way. `horizon_s` is for how long a host lives if its broker is dead; 0: for ever."""
        self._calls = calls
        self._ownership = ownership
        self._notes = notes
        self._around = around
        self._clock = clock
        self._horizon_s = horizon_s
        self._begun: dict[str, _Begun] = {}
        self._answered: dict[str, Made] = {}
        self._unsure: dict[str, float] = {}
        self._turns: dict[str, asyncio.Lock] = {}

    async def create(self, order: HostOrder) -> Made:
        """Errors as `ports.HostBackend.create_hosts`."""
        name = self._ownership.order_id(order.token)
        async with self._turns.setdefault(name, asyncio.Lock()):  # bounded: every call below is
            try:
                if name not in self._answered:
                    self._remember(name, await self._make(name, order))
            finally:
                if name in self._answered:
                    self._begun.pop(name, None)
                    self._unsure.pop(name, None)
        self._turns.pop(name, None)
        return self._answered[name]

    async def locate(self, order: HostOrder) -> Made:
        """What has come of an order; OutcomeUnknown while some of it may still come."""
        name = self._ownership.order_id(order.token)
        if (known := self._answered.get(name)) is not None:
            return known
        found = await self._listed(name, order)
        if found.refs:
            return found
        if self._clock.monotonic() - self._unsure.get(name, float("-inf")) < UNSURE_S:
            raise OutcomeUnknown("Unanswered", "ECS has not answered whether it makes these hosts")
        return Made(refs={})

    async def _make(self, name: str, order: HostOrder) -> Made:
        begun = self._begun.get(name)
        if begun is None:
            begun = self._begun[name] = await self._begin(order)

        def sent() -> None:
            self._unsure[name] = self._clock.monotonic()

        before = name in self._unsure
        try:
            told = await self._calls("ecs:RunInstances", begun.request, patience_s=_TURN_S, before=sent)
        except TokenInUse as error:
            return await self._of_used_token(name, order, error)
        except OutcomeUnknown:
            raise
        except BackendError as error:
            self._around.doubt(str(begun.request.get("VSwitchId")), error)
            failed = _on_spot(error, order)
            if not before:
                self._unsure.pop(name, None)
                if not isinstance(error, Throttled):
                    self._begun.pop(name, None)
                raise failed from error
            if isinstance(error, InsufficientCapacity):
                raise failed from error  # the cloud has looked at the token first
            raise OutcomeUnknown(error.code, f"{error.message}; an earlier call had no answer") from error
        ids = [str(one) for one in items(told, ("InstanceIdSets", "InstanceIdSet"))]
        return await self._made(order, begun.owned, ids)

    async def _begin(self, order: HostOrder) -> _Begun:
        pool = await self._around.completed(order.pool)
        options = PoolOptions.of(pool)
        texts = await asyncio.to_thread(Texts.of, options, pool.name)
        given = Given(
            client_token=self._ownership.client_token(order),
            tags=self._ownership.tags(order, options.tags, options.connect_by),
            vswitch=await self._around.vswitch(pool, order.offering.zone),
            key_pair=await self._around.key_pair(pool),
            release_at=release_at(self._clock.now(), self._horizon_s),
        )
        request = run_instances(order, options, given, texts)
        return _Begun(request=request, owned=self._ownership.owned(order, options.connect_by))

    async def _made(self, order: HostOrder, owned: Owned, ids: Sequence[str]) -> Made:
        if not ids:
            raise OutcomeUnknown("NoAnswer", "RunInstances names no instance")
        mapping = owned.mapping(ids)
        await self._notes.load()
        self._notes.learn(mapping)
        await self._notes.save()
        return _of(order, mapping)

    async def _of_used_token(self, name: str, order: HostOrder, error: TokenInUse) -> Made:
        """An earlier call with this token has other parameters, such as a release time: what it made is there."""
        found = await self._listed(name, order)
        if found.refs:
            return found
        since = self._unsure.get(name, float("-inf"))
        if self._clock.monotonic() - since < UNSURE_S or name not in self._answered:
            self._unsure.setdefault(name, self._clock.monotonic())
            if self._clock.monotonic() - self._unsure[name] < UNSURE_S:
                raise OutcomeUnknown(error.code, f"{error.message}; what it made cannot be seen yet")
        raise BackendRejected(error.code, f"{error.message}; none of its instances exists", Reason.BACKEND_ERROR)

    async def _listed(self, name: str, order: HostOrder) -> Made:
        """By the order's tags, over all pages."""
        tags = [*self._ownership.searched, {"Key": "agentbroker:order", "Value": name}]
        found = await pages(self._calls, "ecs:DescribeInstances", {"Tag": tags})
        ours: list[tuple[Item, Owned]] = []
        for item in found:
            owned = self._ownership.of(item)
            if owned is not None and owned.order == name:
                ours.append((item, owned))
        if not ours:
            return Made(refs={})
        await self._notes.load()
        ids = [str(item.get("InstanceId")) for item, _ in ours]
        mapping = share_out(ours[0][1], ids, self._notes)
        self._notes.learn(mapping)
        await self._notes.save()
        return _of(order, mapping)

    def _remember(self, name: str, made: Made) -> None:
        self._answered[name] = made
        if len(self._answered) > _MOST_ANSWERED:
            del self._answered[next(iter(self._answered))]


def share_out(owned: Owned, refs: Sequence[str], notes: Notes) -> dict[str, HostId]:
    """Which instance of one order is which host: as is known, the others in the order of their ids.

    With more instances than hosts, those that nobody knows have copied tags: they are in no mapping.
    """
    known = {ref: host for ref in refs if (host := notes.host(ref)) is not None}
    free = [host for host in owned.hosts if host not in known.values()]
    unknown = sorted(ref for ref in refs if ref not in known)
    return {**known, **(dict(zip(unknown, free, strict=False)) if len(unknown) <= len(free) else {})}


def _of(order: HostOrder, mapping: Mapping[str, HostId]) -> Made:
    refs = {host: HostRef(ref) for ref, host in mapping.items() if host in order.hosts}
    lack = None
    if len(refs) < len(order.hosts):
        words = f"RunInstances made {len(refs)} of {len(order.hosts)}: no more {order.offering.type} in stock"
        lack = _on_spot(InsufficientCapacity("OperationDenied.NoStock", words), order)
    return Made(refs=refs, lack=lack)


def _on_spot(error: BackendError, order: HostOrder) -> BackendError:
    """No capacity on spot is no spot capacity; and each lack says where."""
    if not isinstance(error, InsufficientCapacity):
        return error
    where = " ".join(part for part in (order.offering.type, order.offering.zone, order.offering.capacity) if part)
    message = f"{error.message} ({where})" if where and where not in error.message else error.message
    of_spot = error.reason is Reason.INSUFFICIENT_CAPACITY and order.offering.capacity == SPOT
    return InsufficientCapacity(error.code, message, Reason.SPOT_UNAVAILABLE if of_spot else error.reason)
