"""The end of an attempt that did not bring its agent online: the breaker, the next attempt, or the end."""

from datetime import timedelta
from typing import Final

from broker.domain.agent import Agent
from broker.domain.lifecycle import Goal, Outcome, Phase
from broker.domain.policy import Retry
from broker.domain.reason import Reason
from broker.errors import BackendError
from broker.reconcile.context import Context
from broker.telemetry import events

_NOT_THE_POOLS_FAULT: Final = frozenset({Reason.CONTROLLER_UNREACHABLE, Reason.THROTTLED, Reason.HANDSHAKE_REJECTED})


async def fail_attempt(
    ctx: Context, agent: Agent, why: Reason, message: str, *, nothing_made: bool, connections: int = 0
) -> None:
    """Ends the attempt of an agent that was never online.

    With `connections`, so many of which were of no use, the agent ends: another attempt would start the same again, and
    so would another agent, so each is a failure of its pool.

    With attempts left it is placed again, at once if it is sure that nothing was made, else when the backend says that
    nothing is left; without, it is failed. A direct one has one attempt: what it was given is good for ever.
    """
    ctx.metrics.launch_finished(agent.pool or "", "failed", why)
    events.LAUNCH_FAILED.emit(agent=agent.name, pool=agent.pool, attempt=agent.attempt, why=why, message=message)
    if connections or why not in _NOT_THE_POOLS_FAULT:
        await _count_failure(ctx, agent, why, message, max(1, connections))
    retry = ctx.definitions.retry_of(agent.policy)
    last = connections > 0 or agent.attempt >= retry.attempts or agent.goal != Goal.ONLINE or agent.direct
    told = {"why": why, "message": message}
    if last:
        outcome = {"goal": Goal.GONE, "outcome": agent.outcome or Outcome.FAILED}
        await ctx.move(agent, Phase.TERMINATING, "failed", **outcome, **told)
    elif nothing_made:
        await ctx.move(agent, Phase.REQUESTED, "failed", not_before=ctx.clock.now() + pause(retry, agent), **told)
    else:
        await ctx.move(agent, Phase.TERMINATING, "failed", **told)


def pause(retry: Retry, agent: Agent) -> timedelta:
    """How long to wait before the next attempt: doubled at each, with a part that differs from agent to agent."""
    doubled: int = 2 ** max(0, agent.attempt - 1)
    full = min(retry.backoff_last, retry.backoff_first * doubled)
    share: float = 0.75 + int(agent.id[:4], 16) / 0xFFFF / 4
    return full * share


def words(error: BackendError) -> str:
    """The cloud's own words."""
    return f"{error.code}: {error.message}" if error.code else error.message


async def _count_failure(ctx: Context, agent: Agent, why: Reason, message: str, times: int) -> None:
    pool = ctx.pool_of(agent)
    if pool is None:
        return
    rest = await ctx.cooldowns.failed(agent, pool, why, message, ctx.clock.now(), times)
    if rest.until is not None and rest.until > ctx.clock.now():
        events.POOL_COOLED_DOWN.emit(pool=pool.name, until=rest.until.isoformat(), why=why, message=message)
