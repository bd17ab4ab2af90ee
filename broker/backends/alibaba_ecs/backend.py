"""Agents on virtual machines of Alibaba Cloud ECS: makes, watches and deletes hosts, and starts agents on them.

Nothing is kept in memory that matters: an order's client token makes it once, an instance's tags say whose it is. What
is kept saves calls. What happens on the hosts is that of `backends/ssh/`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from broker.backends.alibaba_ecs.calls import Calls
from broker.backends.alibaba_ecs.deleting import Deleter, Releases
from broker.backends.alibaba_ecs.disks import Disks
from broker.backends.alibaba_ecs.errors import of_pool
from broker.backends.alibaba_ecs.listing import Lister
from broker.backends.alibaba_ecs.making import Maker
from broker.backends.alibaba_ecs.notes import Notes
from broker.backends.alibaba_ecs.offers import Offers
from broker.backends.alibaba_ecs.options import PoolOptions
from broker.backends.alibaba_ecs.request import MOST_AT_ONCE
from broker.backends.alibaba_ecs.ticker import Ticker
from broker.backends.ssh.agents import HostAgents
from broker.domain.host import HostListing, SeenHost
from broker.domain.host_order import HostOrder, HostPlace, Prepared, Preparing
from broker.domain.ids import HostId, HostRef, InstanceRef
from broker.domain.instance import Instance, LaunchKey, Listing
from broker.domain.offer import Offer
from broker.domain.pool import Pool
from broker.ports import Clock, LaunchSpec, Made


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a backend is put together of."""

    calls: Calls
    notes: Notes
    maker: Maker
    ticker: Ticker
    deleter: Deleter
    releases: Releases
    lister: Lister
    offers: Offers
    disks: Disks
    agents: HostAgents
    clock: Clock


class AlibabaBackend:
    """A `ports.HostBackend` in one region of one account."""

    def __init__(self, parts: Parts, place_of: Callable[[str], HostPlace | None]) -> None:
        """Owns the calls' clients and what goes on on hosts; nothing is called yet."""
        self.calls = parts.calls
        """For who has to ask the same cloud beside it: `doctor`, and tests."""
        self._parts = parts
        self._place_of = place_of
        self._hosts: dict[HostId, HostRef] = {}

    @property
    def most_hosts_at_once(self) -> int:
        """Of one RunInstances."""
        return MOST_AT_ONCE

    async def offers(self, pool: Pool) -> Sequence[Offer]:
        """The hosts that could be made, the likeliest and cheapest first."""
        with of_pool(pool.name):
            return await self._parts.offers.of(pool)

    async def create_hosts(self, order: HostOrder) -> Made:
        """One RunInstances."""
        with of_pool(order.pool.name):
            return self._noted(order, await self._parts.maker.create(order))

    async def locate_hosts(self, order: HostOrder) -> Made:
        """By the order's tags."""
        return self._noted(order, await self._parts.maker.locate(order))

    async def describe_hosts(self, refs: Sequence[HostRef]) -> Mapping[HostRef, SeenHost]:
        """What exists of these, as it was some seconds ago: mostly without a call."""
        if not refs:
            return {}
        found = await self._parts.ticker.describe(refs)
        for one in found.values():
            if one.host is not None:
                self._hosts[one.host] = one.ref
        await self._parts.releases.put_off(self._parts.ticker.instances.by_ref.values())
        return found

    async def prepare_host(self, place: HostPlace) -> Prepared | Preparing:
        """Attaches the pool's disks first, then does what is to be done on the host."""
        attaching = await self._parts.disks.attach(place)
        return attaching if attaching is not None else await self._parts.agents.prepare(place)

    async def delete_hosts(self, refs: Sequence[HostRef]) -> None:
        """DeleteInstances, a hundred a call."""
        if not refs:
            return
        await self._parts.deleter.delete(refs)
        for host in [host for host, ref in self._hosts.items() if ref in set(refs)]:
            del self._hosts[host]
            await self._parts.agents.forget(host)

    async def list_hosts(self) -> HostListing:
        """All instances that carry our signature."""
        return await self._parts.lister.now()

    async def launch(self, spec: LaunchSpec) -> InstanceRef:
        """Starts an agent on its host."""
        return await self._parts.agents.launch(spec)

    async def locate(self, key: LaunchKey) -> InstanceRef | None:
        """The agent of this key on its host."""
        return await self._parts.agents.locate(key)

    async def describe(self, refs: Sequence[InstanceRef]) -> Mapping[InstanceRef, Instance]:
        """The agents that exist of these."""
        return await self._parts.agents.describe(refs)

    async def terminate(self, ref: InstanceRef) -> None:
        """Ends an agent; its host stays."""
        await self._parts.agents.terminate(ref)

    async def list_owned(self) -> Listing:
        """All agents on our hosts, as far as those are known."""
        await self._parts.notes.load()
        hosts = dict.fromkeys([*self._hosts, *self._parts.notes.hosts()])
        places = (self._place_of(host) for host in hosts)
        return await self._parts.agents.list_owned([place for place in places if place is not None])

    async def close(self) -> None:
        """Lets go of the connections. Hosts and agents stay."""
        await self._parts.agents.close()
        await self._parts.notes.save()
        await self._parts.calls.close()

    def _noted(self, order: HostOrder, made: Made) -> Made:
        """What was made here is watched from now on, and may be in no answer for a while."""
        now = self._parts.clock.monotonic()
        for host, ref in made.refs.items():
            known = self._parts.ticker.instances.of(ref, now)
            known.fresh, known.ours, known.host = True, True, host
            known.connect_by = PoolOptions.of(order.pool).connect_by
            self._hosts[host] = ref
        return made
