"""A host that takes agents: until it is too old, used up, idle, taken back, or gone; and one that takes none more."""

from datetime import datetime, timedelta
from typing import Final

from broker.domain.agent import Agent
from broker.domain.host import HOSTS_WITH_ROOM, Host, HostPhase
from broker.domain.lengths import short
from broker.domain.lifecycle import Phase
from broker.domain.reason import Reason
from broker.reconcile.context import Again, Context
from broker.reconcile.hosts.change import move, note, rules_of
from broker.reconcile.hosts.prepare import follow_address, found_of, why_gone
from broker.reconcile.interrupted import in_words

_LOOK_AGAIN_S: Final = 30.0
_DRAIN_AGAIN_S: Final = 5.0
_UNREACHABLE_S: Final = 300.0
_ENDS_FOR: Final = timedelta(seconds=60)
"""After so long agents that are being ended hold up the end of their host no more: it is their end, too."""


async def serve(ctx: Context, host: Host) -> Again | None:
    """A host that takes agents."""
    if (gone := await _why_gone(ctx, host)) is not None:
        await move(ctx, host, HostPhase.DELETING, why=gone[0], message=gone[1])
        return None
    host = await follow_address(ctx, host)
    on_it = await ctx.hosts.count_on(host.id)
    if (over := _why_drain(ctx, host, on_it)) is not None:
        await move(ctx, host, HostPhase.DRAINING, why=over[0], message=over[1])
        return None
    if on_it:
        return Again(_until(ctx, host, None))
    if host.empty_since is None:
        host = await note(ctx, host, "host-empty", empty_since=ctx.clock.now())
    return await _stay_idle(ctx, host)


async def _why_gone(ctx: Context, host: Host) -> tuple[Reason, str] | None:
    """As `why_gone`; of a host that is missing, and has an agent that is connected, that word is not believed."""
    gone = why_gone(ctx, host)
    return None if gone and found_of(ctx, host) is None and await _is_alive(ctx, host) else gone


def _why_drain(ctx: Context, host: Host, on_it: int) -> tuple[Reason, str] | None:
    found, rules = found_of(ctx, host), rules_of(ctx, host)
    if found is not None and found.interruption is not None:
        return Reason.SPOT_INTERRUPTED, in_words(found.interruption)
    if host.pool not in ctx.definitions.pools:
        return Reason.SUPERSEDED, f"pool {host.pool} is no longer configured"
    if rules.max_age is not None and _is_old(ctx, host, rules.max_age):
        return Reason.MAX_LIFETIME, f"it is older than {short(rules.max_age)}"
    if rules.max_uses is not None and host.uses >= rules.max_uses and not on_it:
        return Reason.COMPLETED, f"it has had {host.uses} of {rules.max_uses} agents"
    if host.id in ctx.known.shut:
        return ctx.known.shut[host.id]
    since = ctx.known.unreachable.get(host.id)
    if since is not None and ctx.clock.monotonic() - since >= _UNREACHABLE_S:  # agents that are connected go on
        return Reason.SSH_UNREACHABLE, f"nothing can be started on it since {_UNREACHABLE_S:g} s"
    return None


async def _stay_idle(ctx: Context, host: Host) -> Again | None:
    """Ends a host without agents when its time is over, unless the pool keeps it."""
    rules, now = rules_of(ctx, host), ctx.clock.now()
    idle = now - max(host.empty_since or now, host.ready_at or now)
    if idle < rules.idle_timeout or ctx.wall.set_by():
        return Again(_until(ctx, host, rules.idle_timeout - idle))
    others = [h for h in ctx.known.rows.values() if h.pool == host.pool and h.phase in HOSTS_WITH_ROOM]
    others = [h for h in others if h.id not in ctx.known.leaving | {host.id}]
    if len(others) < rules.fewest:
        return Again(_until(ctx, host, None))
    ctx.known.leaving.add(host.id)
    try:
        message = f"it has had no agent for {short(rules.idle_timeout)}"
        await move(ctx, host, HostPhase.DRAINING, why=Reason.IDLE_TIMEOUT, message=message)
    finally:
        ctx.known.leaving.discard(host.id)
    return None


def _until(ctx: Context, host: Host, left: timedelta | None) -> float:
    """When something may end by itself, in seconds."""
    ends = [_LOOK_AGAIN_S] if left is None else [_LOOK_AGAIN_S, left.total_seconds()]
    if (max_age := rules_of(ctx, host).max_age) is not None:
        ends.append((_born(host) + max_age - ctx.clock.now()).total_seconds())
    return max(0.5, min(ends))


def _is_old(ctx: Context, host: Host, limit: timedelta) -> bool:
    return ctx.clock.now() - _born(host) >= limit and not ctx.wall.set_by()


def _born(host: Host) -> datetime:
    return host.requested_at


async def agents_of(ctx: Context, host: Host) -> list[Agent]:
    """The living agents with a place on a host."""
    return await ctx.agents.on_host(host.id)


async def _is_alive(ctx: Context, host: Host) -> bool:
    """Whether an agent of it is connected: then the host is not dead, whatever its port says."""
    return any(ctx.connected(agent) for agent in await agents_of(ctx, host))


async def drain(ctx: Context, host: Host) -> Again | None:
    """A host that takes no agent any more: it is deleted with its last one, or when its machine is gone.

    No busy agent is cut by it; those that are being ended for long, and cannot be reached, end with it.
    """
    if (gone := await _why_gone(ctx, host)) is not None:
        why, message = (host.why, host.message) if host.why is Reason.SPOT_INTERRUPTED else gone  # as was told before
        await move(ctx, host, HostPhase.DELETING, why=why, message=message)
        return None
    host = await follow_address(ctx, host)
    left = await agents_of(ctx, host)
    if all(_ends_with_it(ctx, host, agent) for agent in left):
        await move(ctx, host, HostPhase.DELETING, why=host.why, message=host.message)
        return None
    return Again(_DRAIN_AGAIN_S)


def _ends_with_it(ctx: Context, host: Host, agent: Agent) -> bool:
    if agent.phase is not Phase.TERMINATING or ctx.connected(agent):
        return False
    return host.why is Reason.SSH_UNREACHABLE or ctx.clock.now() - agent.phase_since >= _ENDS_FOR
