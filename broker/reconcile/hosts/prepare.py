"""From a machine that was made to a host that is ready for agents."""

from typing import Final

from broker.domain.host import Host, HostPhase, HostState, SeenHost
from broker.domain.host_order import Preparing
from broker.domain.lengths import short
from broker.domain.reason import Reason
from broker.errors import BackendError, OutcomeUnknown, Throttled
from broker.reconcile.context import Again, Context
from broker.reconcile.hosts.calls import NotNow
from broker.reconcile.hosts.change import age, backend_of, fail, is_over, move, note, rules_of, words
from broker.reconcile.hosts.create import wait_for_machine
from broker.reconcile.interrupted import in_words

_LOOK_AGAIN_S: Final = 5.0
_PREPARE_AGAIN_S: Final = 1.0
_AFTER_ERROR_S: Final = 3.0


async def create(ctx: Context, host: Host) -> Again | None:
    """Waits for the order to be answered, then for the machine to run and to have an address."""
    if host.ref is None:
        return await wait_for_machine(ctx, host)
    if await _lost(ctx, host):
        return None
    seen = ctx.known.seen_of(host)
    found = seen.host if seen is not None else None
    if found is not None and found.state is HostState.RUNNING and found.address:
        deadline = ctx.clock.now() + rules_of(ctx, host).prepare_timeout
        await move(ctx, host, HostPhase.PREPARING, address=found.address, deadline=deadline)
    elif is_over(ctx, host):
        told = f": its cloud calls it {found.state}" if found is not None else ""
        limit = short(rules_of(ctx, host).boot_timeout)
        await fail(ctx, host, Reason.BOOT_TIMEOUT, f"{host.ref} could not be reached within {limit}{told}")
    else:
        ctx.known.steps[host.id] = f"it boots, {short(age(ctx, host))}"
        return Again(_LOOK_AGAIN_S)
    return None


async def prepare(ctx: Context, host: Host) -> Again | None:
    """Has the host prepared, which is asked again and again until it is done."""
    backend = backend_of(ctx, host)
    if await _lost(ctx, host):
        return None
    host = await follow_address(ctx, host)
    place = ctx.place_of(host.id)
    if backend is None or place is None:
        return Again(_LOOK_AGAIN_S)
    answer = await ctx.host_calls.make(place.pool.backend, f"prepare {host.id}", lambda: backend.prepare_host(place))
    if isinstance(answer, NotNow):
        return Again(answer.after_s)
    if isinstance(answer, BackendError) and not isinstance(answer, OutcomeUnknown | Throttled):
        await fail(ctx, host, answer.reason, words(answer))
        return None
    if isinstance(answer, BackendError | Preparing):
        step = words(answer) if isinstance(answer, BackendError) else answer.step
        ctx.known.steps[host.id] = step
        if is_over(ctx, host):
            why = answer.reason if isinstance(answer, BackendError) else Reason.SETUP_FAILED
            limit = short(rules_of(ctx, host).prepare_timeout)
            await fail(ctx, host, why, f"it was not ready within {limit}: {step}")
            return None
        return Again(_AFTER_ERROR_S if isinstance(answer, BackendError) else _PREPARE_AGAIN_S)
    now = ctx.clock.now()
    await move(ctx, host, HostPhase.READY, ready_at=now, host_key=answer.host_key, facts=dict(answer.facts))
    ctx.metrics.hosts.ready(host.pool, (now - host.requested_at).total_seconds())
    ctx.known.failures.pop(host.pool, None)
    return None


async def _lost(ctx: Context, host: Host) -> bool:
    """Gives a host up whose machine is gone, or goes, before it was ready, or whose last agent is gone."""
    over = why_gone(ctx, host)
    rules = rules_of(ctx, host)
    used_up = rules.max_uses is not None and host.uses >= rules.max_uses
    if over is None and used_up and not await ctx.hosts.count_on(host.id):
        await move(ctx, host, HostPhase.DELETING, why=Reason.CANCELLED, message="nobody needs it any more")
        return True
    if over is None and (found := found_of(ctx, host)) is not None and found.interruption is not None:
        over = (Reason.SPOT_INTERRUPTED, in_words(found.interruption))
    if over is None:
        return False
    await fail(ctx, host, *over)
    return True


def found_of(ctx: Context, host: Host) -> SeenHost | None:
    """The host's machine as it was seen last; None if it was not."""
    seen = ctx.known.seen_of(host)
    return seen.host if seen is not None else None


def why_gone(ctx: Context, host: Host) -> tuple[Reason, str] | None:
    """Why the host's machine no longer runs, in a code and in words; None if it does, or nobody has looked."""
    seen = ctx.known.seen_of(host)
    if seen is None:
        return None
    if seen.host is None:
        if not seen.is_missing or not ctx.known.can_be_seen(host, seen.asked_at):
            return None
        return Reason.HOST_VANISHED, f"{host.ref} no longer exists, and the broker did not delete it"
    found = seen.host
    if found.state in (HostState.PENDING, HostState.RUNNING):
        return None
    return found.reason or Reason.HOST_VANISHED, found.message or f"{host.ref} is {found.state}"


async def follow_address(ctx: Context, host: Host) -> Host:
    """A machine that has got another address is reached there from now on."""
    found = found_of(ctx, host)
    if found is None or not found.address or found.address == host.address:
        return host
    return await note(ctx, host, "host-moved", address=found.address)
