"""What operators may do with hosts: ask for some, let one end, or delete it."""

from typing import Any, Final

from broker.domain.host import Host, HostPhase
from broker.domain.ids import AgentName, HostId, PoolName
from broker.domain.reason import Reason
from broker.errors import BrokerError, Conflict, LimitReached
from broker.operations import LONGEST_REASON, Actor, Operations
from broker.reconcile.context import Context
from broker.reconcile.hosts.change import move
from broker.reconcile.hosts.fewest import empty_host, first_offer, room_left
from broker.reconcile.hosts.ready import agents_of

_ENDS: Final = frozenset({HostPhase.DELETING, HostPhase.GONE})


class NoHostThere(BrokerError):
    """The pool has no hosts, or none can be made in it now; the message says why, `hint` what to do."""

    def __init__(self, message: str, hint: str) -> None:
        """Keeps both."""
        super().__init__(message)
        self.hint = hint


class HostBusy(BrokerError):
    """Agents of the host run builds, and nobody said that these may be cut."""


class HostOperations:
    """Each change is one transaction with its event, which says who did it, from where."""

    def __init__(self, ctx: Context, operations: Operations) -> None:
        """Ends agents through `operations`."""
        self._ctx = ctx
        self._operations = operations

    async def create(self, pool: PoolName, count: int, actor: Actor) -> list[Host]:
        """Asks for hosts in the pool's first offering that does not rest; they are there as rows when it returns.

        Raises `NoHostThere`, `LimitReached`. Hosts beyond `min_hosts` end when they are idle for long, as all do.
        """
        ctx, found = self._ctx, self._ctx.definitions.pools[pool]
        if found.hosts is None:
            raise NoHostThere(f"agents of pool {pool} are not on hosts of ours", "agentbroker get pools -o wide")
        living = [host for host in await ctx.hosts.living() if host.pool == pool]
        offer = await first_offer(ctx, pool, living)
        if offer is None:
            raise NoHostThere(f"no host can be made in pool {pool} now", f"agentbroker explain pool {pool}")
        if (room := room_left(offer, living)) < count:
            where = " ".join(part for part in (offer.zone, offer.type, offer.capacity) if part)
            raise LimitReached(Reason.POOL_AT_LIMIT, f"pool {pool} has room for {room} more of {where or 'its hosts'}")
        asked = [empty_host(ctx, offer, asked_by=str(actor)) for _ in range(count)]
        made = await ctx.hosts.add(asked, ctx.clock.now(), str(actor), most=found.hosts.most)
        ctx.nudge.hosts()
        return made

    async def drain(self, host_id: HostId, actor: Actor, reason: str) -> Host:
        """Lets a host take no new agent; it is deleted with its last one. A repeat changes nothing. Raises `NotFound`.

        A host that is not ready yet is given up: agents that wait for it are placed anew.
        """
        return await self._end(host_id, actor, f"drained by {actor.name}{_why(reason)}", at_once=False)

    async def delete(self, host_id: HostId, actor: Actor, reason: str, *, force: bool) -> Host:
        """Ends a host and the agents on it; returns it as it then is. Raises `NotFound`.

        Without `force` agents that are online end as Jenkins lets them, and the host after them; `HostBusy` if one runs
        a build. With it builds are cut, and the machine is deleted at once.
        """
        ctx = self._ctx
        host = await ctx.hosts.get(host_id)
        on_it = await agents_of(ctx, host)
        busy = [agent.name for agent in on_it if agent.busy]
        if busy and not force:
            raise HostBusy(f"on host {host_id} run builds: {', '.join(busy[:5])}{' …' if len(busy) > 5 else ''}")
        message = f"deleted by {actor.name}{_why(reason)}"
        if host.phase is HostPhase.READY:
            host = await self._end(host_id, actor, message, at_once=False)
        for agent in on_it:
            await self._operations.terminate(AgentName(agent.name), actor, f"host {host_id} is {message}", force=force)
        return await self._end(host_id, actor, message, at_once=force)

    async def _end(self, host_id: HostId, actor: Actor, message: str, *, at_once: bool) -> Host:
        ctx = self._ctx
        while True:
            host = await ctx.hosts.get(host_id)
            if host.phase in _ENDS or (host.phase is HostPhase.DRAINING and not at_once):
                return host
            after, more = HostPhase.DELETING, dict[str, Any]()
            if host.phase is HostPhase.REQUESTED:
                after, more = HostPhase.GONE, {"gone_at": ctx.clock.now()}
            elif host.phase is HostPhase.READY and not at_once:
                after = HostPhase.DRAINING
            try:
                return await move(ctx, host, after, actor=str(actor), why=Reason.CANCELLED, message=message, **more)
            except Conflict:
                continue  # it has changed meanwhile


def _why(reason: str) -> str:
    return f": {reason[:LONGEST_REASON]}" if reason else ""
