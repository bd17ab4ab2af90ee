"""The end of a host, believed only when its cloud, asked after the call, has told of all machines and not of this."""

from datetime import timedelta
from typing import Final

from broker.domain.host import Host, HostPhase
from broker.domain.ids import BackendName, HostId
from broker.domain.reason import Reason
from broker.errors import BackendError
from broker.ports import makes_hosts
from broker.reconcile.context import Again, Context
from broker.reconcile.hosts.calls import NotNow
from broker.reconcile.hosts.change import SOON_S, age, backend_of, move, words
from broker.reconcile.hosts.create import COLLECT_S, locate
from broker.reconcile.hosts.known import Key, Task
from broker.telemetry import events

_LOOK_AGAIN_S: Final = 5.0
_UNKNOWN_POOL_S: Final = 30.0
_BATCH: Final = 100
_COLLECT_IDLE_S: Final = 5.0
"""Idle hosts end one by one as their times are over, and nobody waits for that: so long they are collected."""
_CALL_AGAIN_S, _LONGEST_S = 10.0, 60.0
_LATE: Final = timedelta(minutes=5)
_ALERT_EVERY_S: Final = 300.0


async def delete(ctx: Context, host: Host) -> Again | None:
    """Asks for the end of the machine until it does not exist; there is no deadline."""
    backend, pool = backend_of(ctx, host), ctx.host_pool(host)
    if backend is None or pool is None:
        message = f"pool {host.pool} is no longer configured: put it back until its hosts are gone"
        events.HOST_DELETION_FAILED.emit(host=host.id, pool=host.pool, message=message)
        return Again(_UNKNOWN_POOL_S)
    if host.ref is None and host.id not in ctx.known.nothing_made:
        _alert_when_late(ctx, host)
        if (again := await locate(ctx, host, backend)) is not None:
            return again
        if host.id not in ctx.known.nothing_made:
            return Again(0.0)
    if host.ref is None or _is_gone(ctx, host):
        await move(ctx, host, HostPhase.GONE, why=host.why, message=host.message, gone_at=ctx.clock.now())
        return None
    _alert_when_late(ctx, host)
    called, now = ctx.known.delete_called.get(host.id), ctx.clock.monotonic()
    seen = ctx.known.seen_of(host)
    missing = seen is not None and seen.missing_since is not None
    if called is None or (now - called >= _pause_s(ctx, host) and not missing):
        ctx.known.to_delete.setdefault(pool.backend, set()).add(host.id)
        idle = called is None and host.why is Reason.IDLE_TIMEOUT
        ctx.host_work.add(Key(Task.DELETE, pool.backend), _COLLECT_IDLE_S if idle else COLLECT_S)
    return Again(_LOOK_AGAIN_S)


def _is_gone(ctx: Context, host: Host) -> bool:
    called, seen = ctx.known.delete_called.get(host.id), ctx.known.seen_of(host)
    if called is None or seen is None or not seen.is_missing or seen.asked_at <= called:
        return False
    return ctx.known.can_be_seen(host, seen.asked_at)


def _pause_s(ctx: Context, host: Host) -> float:
    return min(_LONGEST_S, _CALL_AGAIN_S * 2.0 ** min(10, max(0, ctx.known.delete_tries[host.id] - 1)))


def _alert_when_late(ctx: Context, host: Host) -> None:
    """It is tried without end, and told every while."""
    now = ctx.clock.monotonic()
    if age(ctx, host) < _LATE or now - ctx.known.alerted.get(host.id, float("-inf")) < _ALERT_EVERY_S:
        return
    ctx.known.alerted[host.id] = now
    message = f"{host.ref or 'its machine, if it has one,'} still exists after {age(ctx, host)}"
    events.HOST_DELETION_LATE.emit(host=host.id, pool=host.pool, message=message)


async def delete_some(ctx: Context, name: BackendName) -> Again | None:
    """Asks for the end of all that are to end now, a hundred a call; fewer where a call has come to nothing."""
    backend, asked = makes_hosts(ctx.backends.get(name)), sorted(ctx.known.to_delete.get(name, set()))
    rows = [ctx.known.rows[one] for one in asked if one in ctx.known.rows]
    rows = [host for host in rows if host.phase is HostPhase.DELETING and host.ref is not None]
    if backend is None or not rows:
        ctx.known.to_delete.pop(name, None)
        return None
    tries = min(ctx.known.delete_tries[host.id] for host in rows)
    some = [host for host in rows if ctx.known.delete_tries[host.id] == tries][: max(1, _BATCH >> (2 * min(tries, 10)))]
    refs = [host.ref for host in some if host.ref is not None]
    answer = await ctx.host_calls.make(name, "delete", lambda: backend.delete_hosts(refs))
    if isinstance(answer, NotNow):
        return Again(answer.after_s)
    for host in some:
        _note_call(ctx, name, host.id)
    if isinstance(answer, BackendError):
        events.HOST_DELETION_FAILED.emit(backend=name, hosts=[host.id for host in some], message=words(answer))
    ctx.host_work.add(Key(Task.POLL, name), SOON_S)
    return Again(0.0) if ctx.known.to_delete.get(name) else None


def _note_call(ctx: Context, name: BackendName, host_id: HostId) -> None:
    ctx.known.delete_called[host_id] = ctx.clock.monotonic()
    ctx.known.delete_tries[host_id] += 1
    ctx.known.to_delete[name].discard(host_id)
