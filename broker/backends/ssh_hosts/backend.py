"""Agents on machines that are there already: a list in the config, reached over SSH.

A host is a machine that is taken for a while: making it notes whose it is, deleting it ends what is ours there and
wipes our files. The machine itself is never touched.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from broker.backends.ssh.agents import HostAgents
from broker.backends.ssh_hosts.machines import Machine, machines_of
from broker.backends.ssh_hosts.taken import Ledger, Taken
from broker.domain.host import HostListing, HostState, SeenHost
from broker.domain.host_order import HostOrder, HostPlace, Prepared, Preparing
from broker.domain.ids import HostId, HostRef, InstanceRef, PoolName
from broker.domain.instance import Instance, LaunchKey, Listing
from broker.domain.offer import Offer
from broker.domain.pool import Pool
from broker.errors import BackendError, InsufficientCapacity
from broker.ports import LaunchSpec, Made

_MOST: Final = 100


class SshHostsBackend:
    """A `ports.HostBackend` over machines of a list."""

    def __init__(self, agents: HostAgents, ledger: Ledger, place_of: Callable[[str], HostPlace | None]) -> None:
        """Owns `agents`."""
        self._agents = agents
        self._ledger = ledger
        self._place_of = place_of
        self._pools: dict[PoolName, Pool] = {}
        self._wipes: dict[HostRef, asyncio.Task[None]] = {}
        self._words: dict[HostRef, str] = {}

    @property
    def most_hosts_at_once(self) -> int:
        """Any number is one note in the store."""
        return _MOST

    async def offers(self, pool: Pool) -> Sequence[Offer]:
        """Each machine of the list, once."""
        self._pools[pool.name] = pool
        return [machine.offer() for machine in machines_of(pool)]

    async def create_hosts(self, order: HostOrder) -> Made:
        """Takes machines of the order's offering that nobody has; those that its hosts have already stay theirs."""
        self._pools[order.pool.name] = order.pool
        async with self._ledger.lock:
            taken = await self._ledger.all()
            free = [machine for machine in _asked(order) if machine.ref not in taken]
            made = _hosts_of(order, taken)
            for host in order.hosts:
                if host not in made and free:
                    made[host] = free.pop(0).ref
                    taken[made[host]] = Taken(host)
            await self._ledger.keep(taken)
        lack = None
        if len(made) < len(order.hosts):
            which = order.offering.type or f"machine of pool {order.pool.name}"
            lack = InsufficientCapacity("AllTaken", f"no {which} is free: all of the list are hosts already")
        if lack is not None and not made:
            raise lack
        return Made(refs=made, lack=lack)

    async def locate_hosts(self, order: HostOrder) -> Made:
        """What is noted of its hosts."""
        return Made(refs=_hosts_of(order, await self._ledger.all()))

    async def describe_hosts(self, refs: Sequence[HostRef]) -> Mapping[HostRef, SeenHost]:
        """Those that are taken. Whether one can be reached, its preparation and its agents tell."""
        taken = await self._ledger.all() if refs else {}
        return {ref: self._seen(ref, taken[ref]) for ref in refs if ref in taken}

    async def prepare_host(self, place: HostPlace) -> Prepared | Preparing:
        """See `HostAgents.prepare`."""
        return await self._agents.prepare(place)

    async def delete_hosts(self, refs: Sequence[HostRef]) -> None:
        """Ends what is ours on the machines, beside the call; each is free once nothing is left."""
        async with self._ledger.lock:
            taken = await self._ledger.all()
            ending = [ref for ref in refs if ref in taken]
            await self._ledger.keep(taken | {ref: replace(taken[ref], ending=True) for ref in ending})
        for ref in ending:
            task = self._wipes.get(ref)
            if task is not None and task.done():
                task.result()  # a bug is not kept for oneself
            if task is None or task.done():
                # In no group: an end takes longer than a call, and is asked for again; `close` ends it.
                wipe = self._wipe(ref, taken[ref].host)
                self._wipes[ref] = asyncio.get_running_loop().create_task(wipe, name=f"wipe:{ref}")

    async def list_hosts(self) -> HostListing:
        """All that are taken."""
        taken = await self._ledger.all()
        return HostListing(hosts=tuple(self._seen(ref, one) for ref, one in taken.items()), complete=True)

    async def launch(self, spec: LaunchSpec) -> InstanceRef:
        """See `HostAgents.launch`."""
        return await self._agents.launch(spec)

    async def locate(self, key: LaunchKey) -> InstanceRef | None:
        """See `HostAgents.locate`."""
        return await self._agents.locate(key)

    async def describe(self, refs: Sequence[InstanceRef]) -> Mapping[InstanceRef, Instance]:
        """See `HostAgents.describe`."""
        return await self._agents.describe(refs)

    async def terminate(self, ref: InstanceRef) -> None:
        """See `HostAgents.terminate`."""
        await self._agents.terminate(ref)

    async def list_owned(self) -> Listing:
        """All agents on machines that are taken."""
        taken = (await self._ledger.all()).values()
        return await self._agents.list_owned([place for one in taken if (place := self._place_of(one.host))])

    async def close(self) -> None:
        """Ends what goes on beside the calls; machines that are being wiped are wiped by the next broker."""
        tasks = list(self._wipes.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        await self._agents.close()

    async def _wipe(self, ref: HostRef, host: HostId) -> None:
        """One try. A machine that does not answer stays taken, since agents may still run there."""
        place = self._place_of(host) or self._place(ref, host)
        if place is None and ref.partition("/")[0] not in self._pools:
            return
        try:
            if place is not None and not await self._agents.wipe(place):
                return
            await self._agents.forget(host)
            async with self._ledger.lock:
                taken = await self._ledger.all()
                if taken.get(ref) == Taken(host, ending=True):
                    del taken[ref]
                    await self._ledger.keep(taken)
            self._words.pop(ref, None)
        except BackendError as error:
            self._words[ref] = error.message

    def _place(self, ref: HostRef, host: HostId) -> HostPlace | None:
        """Of a host without a row; None if its machine is not in the list any more: then it is let go as it is."""
        pool = self._pools.get(PoolName(ref.partition("/")[0]))
        machine = self._machine(ref)
        return HostPlace(id=host, pool=pool, ref=ref, address=machine.address) if pool and machine else None

    def _seen(self, ref: HostRef, taken: Taken) -> SeenHost:
        machine = self._machine(ref)
        place = self._place_of(taken.host)
        address = machine.address if machine is not None else place.address if place is not None else ""
        state = HostState.STOPPING if taken.ending else HostState.RUNNING
        return SeenHost(ref=ref, state=state, host=taken.host, address=address, message=self._words.get(ref, ""))

    def _machine(self, ref: HostRef) -> Machine | None:
        pool = self._pools.get(PoolName(ref.partition("/")[0]))
        return next((one for one in machines_of(pool) if one.ref == ref), None) if pool is not None else None


def _asked(order: HostOrder) -> list[Machine]:
    """The machines that an order may have: the one that its offering names, or those of its zone."""
    machines = machines_of(order.pool)
    if order.offering.type:
        return [machine for machine in machines if machine.name == order.offering.type]
    return [machine for machine in machines if order.offering.zone in {"", machine.zone}]


def _hosts_of(order: HostOrder, taken: Mapping[HostRef, Taken]) -> dict[HostId, HostRef]:
    return {one.host: ref for ref, one in taken.items() if one.host in order.hosts}
