"""Which machines of a backend exist, a hundred a call: often while something moves, seldom while nothing does."""

from typing import Final

from broker.domain.host import Host, HostPhase, SeenHost
from broker.domain.ids import BackendName, HostRef
from broker.domain.lifecycle import Phase
from broker.domain.reason import Reason
from broker.errors import BackendError
from broker.ports import makes_hosts
from broker.reconcile.context import Again, Context
from broker.reconcile.hosts.calls import NotNow
from broker.reconcile.hosts.change import words
from broker.reconcile.hosts.known import Seen
from broker.telemetry import events

MOVING_S, IDLE_S = 3.0, 30.0
_BATCH: Final = 100
_MOVING: Final = frozenset({HostPhase.CREATING, HostPhase.PREPARING, HostPhase.DRAINING, HostPhase.DELETING})
_STARTING: Final = frozenset({Phase.LAUNCHING, Phase.BOOTING, Phase.CONNECTING})


async def poll_hosts(ctx: Context, name: BackendName) -> Again | None:
    """Asks for all machines of a backend, and has the hosts looked at of which there is news."""
    mine = [host for host in ctx.known.rows.values() if host.ref is not None and _is_of(ctx, host, name)]
    for start in range(0, len(mine), _BATCH):
        if (later := await _poll_some(ctx, name, mine[start : start + _BATCH])) is not None:
            return Again(max(later, MOVING_S))
    missing = any(seen.missing_since is not None for seen in map(ctx.known.seen_of, mine) if seen is not None)
    moves = missing or any(host.phase in _MOVING for host in mine) or await _starts(ctx, mine)
    return Again(MOVING_S if moves else IDLE_S)


async def _starts(ctx: Context, mine: list[Host]) -> bool:
    """Whether an agent on one of these hosts is on its way."""
    pools, ids = sorted({host.pool for host in mine}), {host.id for host in mine}
    return bool(pools) and any(agent.host in ids for agent in await ctx.agents.in_phases(_STARTING, pools))


async def _poll_some(ctx: Context, name: BackendName, hosts: list[Host]) -> float | None:
    """Seconds after which to ask again, where there was no answer."""
    asked_at, backend = ctx.clock.monotonic(), makes_hosts(ctx.backends.get(name))
    if backend is None:  # a reload has let it go
        return IDLE_S
    refs = [host.ref for host in hosts if host.ref is not None]
    found = await ctx.host_calls.make(name, "describe", lambda: backend.describe_hosts(refs))
    if isinstance(found, NotNow):
        return found.after_s
    if isinstance(found, BackendError):
        events.POLL_FAILED.emit(backend=name, message=words(found))
        return MOVING_S
    for host in hosts:
        if host.ref is not None:
            _note(ctx, host, found.get(host.ref), asked_at)
    return None


def _note(ctx: Context, host: Host, found: SeenHost | None, asked_at: float) -> None:
    before = ctx.known.seen_of(host)
    since = before.missing_since if before is not None else None
    missing_since = None if found is not None else asked_at if since is None else since
    seen = ctx.known.seen[host.id] = Seen(host.ref or HostRef(""), found, asked_at, missing_since)
    if seen.host is not None:
        ctx.known.was_seen.add(host.id)
        if seen.host.reason is Reason.SSH_UNREACHABLE:
            ctx.known.unreachable.setdefault(host.id, seen.asked_at)
        elif before is not None and before.host is not None and before.host.reason is Reason.SSH_UNREACHABLE:
            ctx.known.unreachable.pop(host.id, None)
    if before is None or before.host != seen.host or seen.host is None:
        ctx.nudge.host(host.id)


def _is_of(ctx: Context, host: Host, name: BackendName) -> bool:
    pool = ctx.host_pool(host)
    return pool is not None and pool.backend == name
