"""What its host means for an agent: when it may be launched, for what it waits, and what ends with the host."""

from datetime import timedelta
from typing import Final

from broker.domain.agent import Agent
from broker.domain.host import HOSTS_TO_COME, Host, HostPhase
from broker.domain.ids import HostId
from broker.domain.lengths import short
from broker.domain.reason import Reason
from broker.errors import BackendError, NotFound
from broker.reconcile.attempt import fail_attempt
from broker.reconcile.context import Again, Context

_LOOK_AGAIN_S: Final = 5.0
_TOLD_AGAIN_S: Final = 30.0
"""How often an agent's log says again what its host does, where that is the same but for its length."""
_SILENT_S: Final = 30.0
"""So long a ready host may answer nobody: then it takes no more agents, and those that wait go elsewhere."""
_SHUT: Final = frozenset({"HostKeyMismatch", "PermissionDenied"})
"""What a host that was ready says to everybody who comes after (`backends/ssh/errors.py`)."""
_OVER: Final = frozenset({HostPhase.DELETING, HostPhase.GONE})
_DOES: Final = {
    HostPhase.REQUESTED: "is asked for",
    HostPhase.CREATING: "is being made",
    HostPhase.PREPARING: "is being prepared",
}


def has_host(ctx: Context, agent: Agent) -> bool:
    """Whether the agent's attempt is on a host of ours."""
    pool = ctx.pool_of(agent)
    return pool is not None and pool.hosts is not None and bool(agent.host)


async def host_of(ctx: Context, agent: Agent) -> Host | None:
    """The host of an agent's attempt, as far as is known; None if there is no such host."""
    host_id = HostId(agent.host)
    ctx.known.waiting.setdefault(host_id, set()).add(agent.id)  # before it is read: no change goes unheard
    if (host := ctx.known.rows.get(host_id)) is None:
        try:
            host = await ctx.hosts.get(host_id)
        except NotFound:
            host = None
        else:
            ctx.known.keep(host)
    if host is None or host.phase not in HOSTS_TO_COME:
        ctx.known.waiting.pop(host_id, None)
    return host


def is_up(host: Host | None) -> bool:
    """Whether agents may be started on it."""
    return host is not None and host.phase in (HostPhase.READY, HostPhase.DRAINING)


async def wait_for_host(ctx: Context, agent: Agent, host: Host | None, *, first: bool) -> Again | None:
    """An agent whose host is not up: waits for it, or is placed anew where that will not come."""
    if host is None or host.phase in _OVER:
        never_up = host is None or host.ready_at is None
        ctx.uncalled.discard(agent.launch_key.token)
        ctx.known.told.pop(agent.id, None)
        await fail_attempt(ctx, agent, *why_over(agent, host), nothing_made=never_up or first)
        return None
    boot = ctx.definitions.timeouts_of(agent.policy).boot
    until = max(agent.deadline or agent.phase_since, agent.phase_since + boot)
    step = ctx.known.steps.get(host.id, "")
    doing = f"host {host.id} {_DOES[host.phase]}"
    words = f"{doing}: {step}" if step else doing
    if until <= ctx.clock.now() and ctx.deadline_passed(agent):
        ctx.known.told.pop(agent.id, None)
        await fail_attempt(ctx, agent, Reason.BOOT_TIMEOUT, f"not within {short(boot)}: {words}", nothing_made=True)
        return None
    await _tell(ctx, agent, words, until if agent.deadline != until else None, first=first)
    return Again(_LOOK_AGAIN_S)


async def _tell(ctx: Context, agent: Agent, words: str, until: object, *, first: bool) -> None:
    """Writes down what its host does, where that is news: not each second of it."""
    now, told_at = ctx.clock.monotonic(), ctx.known.told.get(agent.id)
    same = _less_length(words) == _less_length(agent.message)
    if told_at is not None and until is None and (words == agent.message or (same and now - told_at < _TOLD_AGAIN_S)):
        return
    boot = ctx.definitions.timeouts_of(agent.policy).boot
    deadline = max(agent.deadline or agent.phase_since, agent.phase_since + boot)
    ctx.known.told[agent.id] = now
    changed = await ctx.wait(agent, words, deadline)
    if first:
        ctx.placed[agent.id] = changed  # as fresh as before: whatever changes it takes it out


def _less_length(words: str) -> str:
    return words.rpartition(", ")[0] or words


async def begin(ctx: Context, agent: Agent) -> Agent:
    """The host of an agent that has waited for it is up: the time for its launch counts from now."""
    if ctx.known.told.pop(agent.id, None) is None:
        return agent
    launch: timedelta = ctx.definitions.timeouts_of(agent.policy).launch
    return await ctx.wait(agent, f"host {agent.host} is ready", ctx.clock.now() + launch)


def why_over(agent: Agent, host: Host | None) -> tuple[Reason, str]:
    """What is said of an agent whose host ends."""
    if host is None:
        return Reason.HOST_VANISHED, f"host {agent.host} is not there any more"
    return _why(host.id, host.why, host.message)


def _why(host: str, why: Reason | None, message: str) -> tuple[Reason, str]:
    return why or Reason.HOST_VANISHED, f"host {host}: {message}" if message else f"host {host}"


def why_host_ended(ctx: Context, agent: Agent) -> tuple[Reason, str] | None:
    """Why an agent's instance is gone with its host; None if the host is there, or not one of ours."""
    if not has_host(ctx, agent):
        return None
    host = ctx.known.rows.get(HostId(agent.host))
    if host is None and (ended := ctx.known.ended.get(HostId(agent.host))) is not None:
        return _why(agent.host, *ended)
    return why_over(agent, host) if host is None or host.phase is HostPhase.DELETING else None


async def has_nothing(ctx: Context, agent: Agent) -> bool:
    """Whether it is sure that nothing of the attempt exists: its host was never up, or is gone."""
    if not has_host(ctx, agent):
        return False
    host = await host_of(ctx, agent)
    ctx.known.told.pop(agent.id, None)
    ctx.known.waiting.get(HostId(agent.host), set()).discard(agent.id)
    return host is None or host.phase is HostPhase.GONE or host.ready_at is None


def is_silent(ctx: Context, agent: Agent, answer: BackendError) -> bool:
    """Whether nothing was made of an agent because its host answers nobody: perhaps it does in a moment."""
    return answer.reason is Reason.SSH_UNREACHABLE and has_host(ctx, agent)


def note_launch(ctx: Context, agent: Agent, failed: BackendError | None) -> None:
    """Remembers since when nothing can be started on a host, and which host lets nobody in any more."""
    host_id, now = HostId(agent.host), ctx.clock.monotonic()
    if failed is None:
        ctx.known.unreachable.pop(host_id, None)
    elif failed.reason is Reason.SSH_UNREACHABLE:
        since = ctx.known.unreachable.setdefault(host_id, now)
        if now - since >= _SILENT_S:
            message = f"nothing could be started on it for {_SILENT_S:g} s: {failed.message}"
            ctx.known.shut.setdefault(host_id, (failed.reason, message))
        ctx.nudge.host(host_id)
    elif failed.code in _SHUT:
        ctx.known.shut.setdefault(host_id, (failed.reason, failed.message))
        ctx.nudge.host(host_id)
