"""From the rows that placement has written to machines: orders, each with a token that is saved before its call."""

from collections.abc import Iterator, Sequence
from typing import Final
from uuid import uuid4

from broker.domain.host import Host, HostPhase
from broker.domain.host_order import HostOrder
from broker.domain.ids import ControllerName, HostRef, PolicyName, PoolName
from broker.domain.lengths import short
from broker.domain.reason import Reason
from broker.errors import BackendError, InsufficientCapacity, OutcomeUnknown, Throttled
from broker.ports import HostBackend, Made
from broker.reconcile.context import Again, Context
from broker.reconcile.hosts.calls import NotNow
from broker.reconcile.hosts.change import SOON_S, backend_of, fail, is_over, move, note, rules_of, words
from broker.reconcile.hosts.known import Key, Task
from broker.telemetry import events

COLLECT_S: Final = 0.05
"""So long hosts that are asked for at the same moment are collected into one order."""
_LOOK_AGAIN_S: Final = 5.0
_REPLAY_S, _LONGEST_REPLAY_S = 2.0, 10.0
_UNKNOWN_POOL_S: Final = 30.0


async def wait_for_order(ctx: Context, host: Host) -> Again:
    """A host that is requested becomes part of an order with the others of its pool."""
    ctx.host_work.add(Key(Task.ORDER, host.pool), COLLECT_S)
    return Again(_LOOK_AGAIN_S)


async def order(ctx: Context, pool: PoolName) -> Again | None:
    """Makes orders of the hosts of a pool that are requested; what nobody needs any more is gone without a call."""
    rows = [h for h in await ctx.hosts.living() if h.pool == pool and h.phase is HostPhase.REQUESTED]
    agents_on = await ctx.hosts.agents_on() if rows else {}
    wanted = list[Host]()
    for host in rows:
        if host.uses and not agents_on.get(host.id):
            await _drop(ctx, host, Reason.CANCELLED, "nobody needs it any more")
        elif pool not in ctx.definitions.pools:
            await _drop(ctx, host, Reason.SUPERSEDED, f"pool {pool} is no longer configured")
        elif backend_of(ctx, host) is None:
            await _drop(ctx, host, Reason.BACKEND_ERROR, f"the backend of pool {pool} makes no hosts")
        else:
            wanted.append(host)
    for chunk in _chunks(ctx, wanted):
        token, now = uuid4().hex, ctx.clock.now()
        for host in await ctx.hosts.order(chunk, token, now, now + rules_of(ctx, chunk[0]).boot_timeout):
            ctx.known.keep(host)
            told = {"phase": host.phase, "before": HostPhase.REQUESTED}
            events.HOST_CHANGED_PHASE.emit(host=host.id, pool=host.pool, **told)
        ctx.known.fresh.add(token)
        ctx.host_work.add(Key(Task.MAKE, token))
    return None


async def _drop(ctx: Context, host: Host, why: Reason, message: str) -> None:
    await move(ctx, host, HostPhase.GONE, why=why, message=message, gone_at=ctx.clock.now())


def _chunks(ctx: Context, hosts: Sequence[Host]) -> Iterator[list[Host]]:
    """Hosts that one call can make, as many as it may have, in the order of their ids."""
    alike: dict[tuple[object, ...], list[Host]] = {}
    for host in sorted(hosts, key=lambda one: one.id):
        build = (host.job, host.build_url) if rules_of(ctx, host).for_one_agent else ()
        alike.setdefault((host.offering, host.controller, host.policy, build), []).append(host)
    for group in alike.values():
        backend = backend_of(ctx, group[0])
        most = max(1, backend.most_hosts_at_once) if backend else 1
        for start in range(0, len(group), most):
            yield group[start : start + most]


def order_of(ctx: Context, rows: Sequence[Host]) -> HostOrder | None:
    """The order that these rows, all of one token, are: the same whenever it is asked for. None without its pool."""
    hosts = sorted(rows, key=lambda one: one.id)
    first = hosts[0]
    pool = ctx.host_pool(first)
    if pool is None or first.token is None:
        return None
    builds = {(host.job, host.build_url) for host in hosts}
    job, build_url = builds.pop() if len(builds) == 1 and rules_of(ctx, first).for_one_agent else ("", "")
    return HostOrder(
        token=first.token,
        pool=pool,
        offering=first.offering,
        hosts=tuple(host.id for host in hosts),
        controller=ControllerName(first.controller),
        policy=PolicyName(first.policy),
        job=job,
        build_url=build_url,
    )


async def wait_for_machine(ctx: Context, host: Host) -> Again:
    """A host whose order has not been answered; the order is looked at, by its token."""
    if host.token is not None:
        ctx.host_work.add(Key(Task.MAKE, host.token))
    return Again(_LOOK_AGAIN_S)


async def make(ctx: Context, token: str) -> Again | None:
    """Calls for an order, the same as often as it takes; a repeat of the call with the same token is the same hosts."""
    rows = await ctx.hosts.of_token(token)
    waiting = [host for host in rows if host.ref is None and host.phase is HostPhase.CREATING]
    if not waiting:
        ctx.known.fresh.discard(token)
        return None
    if (left := ctx.known.call_at.get(token, 0.0) - ctx.clock.monotonic()) > 0 and not is_over(ctx, waiting[0]):
        return Again(left)
    backend, what = backend_of(ctx, waiting[0]), order_of(ctx, rows)
    if backend is None or what is None:
        message = f"pool {waiting[0].pool} is no longer configured: put it back until its hosts are gone"
        events.HOST_STEP_FAILED.emit(pool=waiting[0].pool, message=message)
        return Again(_UNKNOWN_POOL_S)
    first = token in ctx.known.fresh
    answer = await ctx.host_calls.make(what.pool.backend, "create", lambda: backend.create_hosts(what))
    if isinstance(answer, NotNow):
        return await _wait_or_give_up(ctx, waiting, answer.after_s, Throttled("", "its cloud takes no more calls now"))
    ctx.known.fresh.discard(token)
    ctx.known.called.setdefault(token, ctx.clock.monotonic())
    if isinstance(answer, Throttled | OutcomeUnknown):
        ctx.known.call_at[token] = ctx.clock.monotonic() + _replay_s(ctx, token)
        return await _wait_or_give_up(ctx, waiting, _replay_s(ctx, token), answer)
    ctx.known.call_at.pop(token, None)
    if isinstance(answer, BackendError):
        if first:
            ctx.known.nothing_made |= {host.id for host in waiting}
        ctx.known.called.pop(token, None)
        ctx.known.called.pop(token, None)
        await _refused(ctx, waiting, answer)
        return None
    await settle(ctx, rows, answer)
    ctx.known.called.pop(token, None)
    return None


async def _wait_or_give_up(ctx: Context, waiting: Sequence[Host], after_s: float, answer: BackendError) -> Again | None:
    """Nobody knows what has come of an order: the same call again, until the time for it is over."""
    if not is_over(ctx, waiting[0]):
        for host in waiting:
            ctx.known.steps[host.id] = words(answer)
        return Again(after_s)
    limit = short(rules_of(ctx, waiting[0]).boot_timeout)
    for memory in (ctx.known.called, ctx.known.call_at):
        memory.pop(waiting[0].token or "", None)
    for host in waiting:
        why = Reason.LAUNCH_TIMEOUT if isinstance(answer, OutcomeUnknown) else answer.reason
        await fail(ctx, host, why, f"not made within {limit}: {words(answer)}")
    return None


def _replay_s(ctx: Context, token: str) -> float:
    waited = ctx.clock.monotonic() - ctx.known.called[token]
    return max(_REPLAY_S, min(_LONGEST_REPLAY_S, waited / 4))


async def _refused(ctx: Context, waiting: Sequence[Host], answer: BackendError) -> None:
    for host in waiting:
        await fail(ctx, host, answer.reason, words(answer))


async def settle(ctx: Context, rows: Sequence[Host], made: Made) -> None:
    """Writes down what has come of an order: first what was made, then what was not."""
    unsettled = [h for h in rows if h.ref is None and h.phase in (HostPhase.CREATING, HostPhase.DELETING)]
    lack = made.lack or InsufficientCapacity("", "its cloud has made fewer hosts than were asked for")
    for host in unsettled:
        if (ref := made.refs.get(host.id)) is not None:
            await _note_machine(ctx, host, ref)
    without = [host for host in unsettled if host.id not in made.refs]
    ctx.known.nothing_made |= {host.id for host in without}
    for host in without:
        if host.phase is HostPhase.CREATING:
            await fail(ctx, host, lack.reason, words(lack))
        else:
            ctx.nudge.host(host.id)


async def _note_machine(ctx: Context, host: Host, ref: HostRef) -> None:
    ctx.known.made_at[host.id] = ctx.clock.monotonic()
    ctx.known.steps.pop(host.id, None)
    await note(ctx, host, "host-made", ref=ref)
    ctx.nudge.host(host.id)
    if (pool := ctx.host_pool(host)) is not None:
        ctx.host_work.add(Key(Task.POLL, pool.backend), SOON_S)


async def locate(ctx: Context, host: Host, backend: HostBackend) -> Again | None:
    """What has come of an order whose hosts nobody wants any more; None when that is written down."""
    rows = await ctx.hosts.of_token(host.token) if host.token is not None else []
    if not rows or (what := order_of(ctx, rows)) is None:
        ctx.known.nothing_made.add(host.id)
        return None
    if any(one.phase is HostPhase.CREATING and one.ref is None for one in rows):
        return Again(_REPLAY_S)  # the order is still called for, by those who want theirs
    answer = await ctx.host_calls.make(what.pool.backend, "create", lambda: backend.locate_hosts(what))
    if isinstance(answer, NotNow):
        return Again(answer.after_s)
    if isinstance(answer, BackendError):
        events.HOST_STEP_FAILED.emit(host=host.id, pool=host.pool, message=words(answer))
        return Again(_LONGEST_REPLAY_S)
    await settle(ctx, rows, answer)
    return None
