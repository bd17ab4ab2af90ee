"""Hosts: how they stand, and what operators do with them: ask for some, drain one, delete it."""

from collections import defaultdict
from datetime import datetime
from typing import cast

from broker.domain.host import Host
from broker.domain.ids import HostId, PoolName
from broker.domain.lifecycle import Phase
from broker.errors import NotFound
from broker.host_operations import HostOperations
from broker.operations import Operations
from broker.reconcile.context import Context
from broker.views.words import Words
from broker.web.api import models_hosts as api
from broker.web.api.asks import Draining, HostsWanted, Termination
from broker.web.api.call import Call
from broker.web.api.errors import ApiError, unknown_name


class HostHandlers:
    """The operations on hosts."""

    def __init__(self, ctx: Context, operations: Operations) -> None:
        """Changes hosts only through operations."""
        self._ctx = ctx
        self._host_operations = HostOperations(ctx, operations)

    async def list_hosts(self, call: Call) -> api.Hosts:
        """All hosts that are not gone."""
        return await self._hosts_shown(await self._ctx.hosts.living(), call.caller.words)

    async def get_host(self, call: Call) -> api.Host:
        """One host."""
        return await self._host_shown(await self._ctx.hosts.get(await self._host_id(call.name)), call.caller.words)

    async def create_hosts(self, call: Call) -> api.Hosts:
        """Asks for hosts in a pool, although no agent waits for them."""
        asked, pools = cast(HostsWanted, call.body), self._ctx.definitions.pools
        if asked.pool not in pools:
            raise unknown_name("pool", asked.pool, list(pools))
        made = await self._host_operations.create(PoolName(asked.pool), asked.count, call.caller.actor)
        return await self._hosts_shown(made, call.caller.words)

    async def drain_host(self, call: Call) -> api.Host:
        """Lets a host take no new agent; it ends with its last one."""
        asked = cast(Draining, call.body)
        host = await self._host_operations.drain(
            await self._host_id(call.name), call.caller.actor, asked.reason.strip()
        )
        return await self._host_shown(host, call.caller.words)

    async def delete_host(self, call: Call) -> api.Host:
        """Ends a host with the agents on it."""
        asked, host_id = cast(Termination, call.body), await self._host_id(call.name)
        host = await self._host_operations.delete(host_id, call.caller.actor, asked.reason.strip(), force=asked.force)
        return await self._host_shown(host, call.caller.words)

    async def _host_id(self, name: str) -> HostId:
        try:
            return (await self._ctx.hosts.get(HostId(name))).id
        except NotFound:
            hint = "agentbroker get hosts lists those that are there"
            raise ApiError(404, "not_found", f"no host is called {name!r}", hint) from None

    async def _host_shown(self, host: Host, words: Words) -> api.Host:
        return (await self._hosts_shown([host], words)).items[0]

    async def _hosts_shown(self, hosts: list[Host], words: Words) -> api.Hosts:
        ctx, on_it = self._ctx, defaultdict[str, list[str]](list)
        for agent in await ctx.agents.live():
            if agent.host and agent.phase is not Phase.REQUESTED:
                on_it[agent.host].append(agent.name)
        now, steps = ctx.clock.now(), ctx.known.steps
        return api.Hosts(
            items=tuple(_to_host(h, tuple(sorted(on_it[h.id])), steps.get(h.id, ""), now, words) for h in hosts)
        )


def _to_host(host: Host, agents: tuple[str, ...], doing: str, now: datetime, words: Words) -> api.Host:
    return api.Host(
        id=host.id,
        pool=host.pool,
        phase=host.phase,
        reason=host.why,
        message=words.message(host.why, host.message),
        doing=doing if words.raw else "",
        ref=host.ref,
        address=host.address,
        zone=host.zone,
        type=host.type,
        capacity=host.capacity,
        cpu_milli=host.size.cpu_milli if host.size else None,
        memory_mib=host.size.memory_mib if host.size else None,
        slots=host.slots,
        agents=agents,
        uses=host.uses,
        asked_by=host.asked_by,
        created_at=host.requested_at,
        phase_since=host.phase_since,
        ready_at=host.ready_at,
        empty_since=host.empty_since,
        age_s=max(0.0, ((host.gone_at or now) - host.requested_at).total_seconds()),
    )
