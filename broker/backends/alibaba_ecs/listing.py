"""All instances of this backend in its region, by their tags: every page, each signature checked."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

from broker.backends.alibaba_ecs.asking import pages
from broker.backends.alibaba_ecs.calls import Calls
from broker.backends.alibaba_ecs.known import NEVER, Instances
from broker.backends.alibaba_ecs.making import share_out
from broker.backends.alibaba_ecs.notes import Notes
from broker.backends.alibaba_ecs.observe import Item, seen_of
from broker.backends.alibaba_ecs.ownership import Owned, Ownership
from broker.domain.host import HostListing, SeenHost
from broker.domain.ids import HostId
from broker.errors import BackendError
from broker.ports import Clock
from broker.telemetry import events

_TRUSTED_S: Final = 60.0


class Lister:
    """Lists; one listing at a time."""

    def __init__(self, calls: Calls, ownership: Ownership, notes: Notes, clock: Clock, instances: Instances) -> None:
        """`instances` are those that are watched: a listing that misses one of them is not complete."""
        self._calls = calls
        self._ownership = ownership
        self._notes = notes
        self._clock = clock
        self._instances = instances
        self._lock = asyncio.Lock()
        self._warned: set[str] = set()

    async def now(self) -> HostListing:
        """A new one; incomplete if a page is missing, or one that is known to exist."""
        async with self._lock:  # bounded: every call below is
            began = self._clock.monotonic()
            try:
                request = {"Tag": self._ownership.searched}
                found = await pages(self._calls, "ecs:DescribeInstances", request)
            except BackendError:
                return HostListing(hosts=(), complete=False)
            await self._notes.load()
            hosts = self._ours(found)
            await self._notes.save()
            return HostListing(
                hosts=hosts, complete=self._has_all({str(one.get("InstanceId")) for one in found}, began)
            )

    def _has_all(self, found: set[str], began: float) -> bool:
        """An answer that misses what has just been seen, and was not told to end, is not the whole truth."""
        return all(
            known.ref in found
            for known in self._instances.by_ref.values()
            if known.ours and began - _TRUSTED_S < known.seen <= began and known.ended_at == NEVER and not known.misses
        )

    def _ours(self, found: Sequence[Item]) -> tuple[SeenHost, ...]:
        """Less those with copied tags: an order has so many hosts, and no more."""
        orders: dict[str, list[tuple[Item, Owned]]] = defaultdict(list)
        foreign: set[str] = set()
        for item in found:
            owned = self._ownership.of(item)
            if owned is not None:
                orders[owned.order].append((item, owned))
            elif self._ownership.is_marked(item):
                foreign.add(str(item.get("InstanceId")))
        seen: list[SeenHost] = []
        for members in orders.values():
            refs = [str(item.get("InstanceId")) for item, _ in members]
            mapping = share_out(members[0][1], refs, self._notes)
            self._notes.learn(mapping)
            foreign |= set(refs) - set(mapping)
            seen += self._seen(members, mapping)
        self._warn(foreign)
        return tuple(seen)

    def _seen(self, members: Sequence[tuple[Item, Owned]], mapping: Mapping[str, HostId]) -> list[SeenHost]:
        found = []
        for item, owned in members:
            ref = str(item.get("InstanceId"))
            if ref in mapping:
                found.append(seen_of(item, mapping[ref], owned.connect_by, None))
        return found

    def _warn(self, foreign: set[str]) -> None:
        for ref in sorted(foreign - self._warned):
            events.INSTANCE_NOT_OURS.emit(instance=ref, started_by="tags of this broker")
        self._warned = foreign
