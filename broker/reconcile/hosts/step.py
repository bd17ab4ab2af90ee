"""The table of the hosts' life: what a look at a host does in each phase."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from broker.domain.host import Host, HostPhase
from broker.domain.ids import HostId
from broker.errors import Conflict, NotFound
from broker.reconcile.context import Again, Context
from broker.reconcile.hosts.create import wait_for_order
from broker.reconcile.hosts.delete import delete
from broker.reconcile.hosts.prepare import create, prepare
from broker.reconcile.hosts.ready import drain, serve

Step = Callable[[Context, Host], Awaitable[Again | None]]


async def _rest(_ctx: Context, _host: Host) -> None:
    return None


STEPS: Final[Mapping[HostPhase, Step]] = {
    HostPhase.REQUESTED: wait_for_order,
    HostPhase.CREATING: create,
    HostPhase.PREPARING: prepare,
    HostPhase.READY: serve,
    HostPhase.DRAINING: drain,
    HostPhase.DELETING: delete,
    HostPhase.GONE: _rest,
}
_OWN: Final = frozenset({HostPhase.CREATING, HostPhase.PREPARING, HostPhase.DELETING})
"""Phases in which the row that is remembered will do: a write of another is found out by the compare-and-set."""


async def step(ctx: Context, host_id: HostId) -> Again | None:
    """One look at a host: at most one change of its phase. Safe to repeat at any time."""
    host = ctx.known.rows.get(host_id)
    try:
        if host is None or host.phase not in _OWN:
            host = await ctx.hosts.get(host_id)
            ctx.known.keep(host)
        return await STEPS[host.phase](ctx, host)
    except Conflict:
        ctx.known.rows[host_id] = await ctx.hosts.get(host_id)
        return Again(0.0)
    except NotFound:
        ctx.known.forget(host_id)
        return None
