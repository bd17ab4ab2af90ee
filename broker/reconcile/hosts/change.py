"""The one way in which a host changes, and what its end says of its pool."""

from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

from broker.domain.host import Host, HostPhase, HostRules
from broker.domain.ids import AgentId
from broker.domain.pool import Pool
from broker.domain.reason import LACKS, Reason
from broker.errors import BackendError
from broker.ports import HostBackend, makes_hosts
from broker.reconcile.context import Context
from broker.reconcile.hosts.known import Key, Task
from broker.store.cooldowns import Failure
from broker.telemetry import events

SOON_S: Final = 1.0
_FIRST_AGAIN_S: Final = 30.0
_LONGEST_AGAIN_S: Final = 900.0


def rules_of(ctx: Context, host: Host) -> HostRules:
    """The rules of its pool, also of one that a reload has removed."""
    pool = ctx.host_pool(host)
    return pool.hosts if pool is not None and pool.hosts is not None else HostRules()


def backend_of(ctx: Context, host: Host) -> HostBackend | None:
    """The backend that makes hosts of its pool; None while there is none."""
    pool = ctx.host_pool(host)
    return makes_hosts(ctx.backends.get(pool.backend)) if pool is not None else None


async def move(
    ctx: Context, host: Host, phase: HostPhase, *, failure: Failure | None = None, actor: str = "", **changes: Any
) -> Host:
    """Brings a host to `phase`, tells everybody, and asks for another look at it and those who wait for it.

    `actor` is the operator who asked for it, empty for the broker itself.
    """
    now = ctx.clock.now()
    changes = {"deadline": None, "why": None, "message": "", **changes}
    after = replace(host, phase=phase, phase_since=now, **changes)
    changed = await ctx.hosts.change(host, after, f"host-{phase}", now, actor, failure.write if failure else None)
    if failure is not None:
        ctx.heed(failure)
    waiting = ctx.known.waiting.get(host.id, set())
    ctx.known.keep(changed)
    ctx.known.steps.pop(host.id, None)
    told: dict[str, object] = {"why": changed.why, "message": changed.message} if changed.why else {}
    events.HOST_CHANGED_PHASE.emit(host=host.id, pool=host.pool, phase=phase, before=host.phase, **told)
    ctx.nudge.host(host.id)
    for agent_id in list(waiting):
        ctx.nudge.agent(agent_id)
    if phase in (HostPhase.READY, HostPhase.GONE):
        ctx.nudge.placement()
    if phase in (HostPhase.DRAINING, HostPhase.DELETING):
        ctx.host_work.add(Key(Task.FEWEST, host.pool))
    return changed


async def note(ctx: Context, host: Host, event: str, **changes: Any) -> Host:
    """Writes something down of a host that stays in its phase."""
    changed = await ctx.hosts.change(host, replace(host, **changes), event, ctx.clock.now())
    ctx.known.keep(changed)
    return changed


async def fail(ctx: Context, host: Host, why: Reason, message: str) -> Host:
    """A host that never became ready: it is deleted, and its agents are placed anew.

    What that says of the pool its agents write; of a host that has none it is written here.
    """
    pool = ctx.host_pool(host)
    events.HOST_FAILED.emit(host=host.id, pool=host.pool, why=why, message=message)
    failure = None
    if not host.uses and pool is not None:
        failures = ctx.known.failures[host.pool] = ctx.known.failures[host.pool] + 1
        pause = min(_LONGEST_AGAIN_S, _FIRST_AGAIN_S * 2 ** min(failures - 1, 10))
        ctx.known.not_before[host.pool] = ctx.clock.monotonic() + pause
        failure = _failure(ctx, host, pool, why, message)
    after = HostPhase.GONE if host.phase is HostPhase.REQUESTED else HostPhase.DELETING
    gone: dict[str, Any] = {"gone_at": ctx.clock.now()} if after is HostPhase.GONE else {}
    return await move(ctx, host, after, failure=failure, why=why, message=message, **gone)


def _failure(ctx: Context, host: Host, pool: Pool, why: Reason, message: str) -> Failure:
    lacks = (host.offering,) if why in LACKS else ()
    return Failure(
        agent=AgentId(host.id), pool=pool, why=why, message=message, at=ctx.clock.now(), times=not lacks, lacks=lacks
    )


def words(error: BackendError) -> str:
    """The cloud's own words."""
    return f"{error.code}: {error.message}" if error.code else error.message


def is_over(ctx: Context, host: Host) -> bool:
    """Whether its phase's time is over: never while nothing can be written, nor just after the clock was set."""
    if ctx.store_silent_since is not None or ctx.wall.set_by():
        return False
    return host.deadline is not None and host.deadline <= ctx.clock.now()


def age(ctx: Context, host: Host) -> timedelta:
    """How long it has been in its phase."""
    return ctx.clock.now() - host.phase_since
