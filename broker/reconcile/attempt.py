"""An attempt that did not bring its agent online: what it says of the pool, and the next attempt, or the end."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Final

from broker.domain.agent import Agent
from broker.domain.lifecycle import Goal, Outcome, Phase
from broker.domain.offer import Offering
from broker.domain.policy import Retry
from broker.domain.reason import LACKS, Reason
from broker.errors import BackendError
from broker.reconcile.context import Context
from broker.reconcile.deadlines import queue_deadline
from broker.store.cooldowns import Failure
from broker.telemetry import events

_NOT_THE_POOLS_FAULT: Final = frozenset(
    {Reason.CONTROLLER_UNREACHABLE, Reason.THROTTLED, Reason.HANDSHAKE_REJECTED, Reason.CANCELLED}
)
_FOR_EVER: Final = frozenset({Reason.NOT_AN_INBOUND_AGENT, Reason.IMAGE_PULL_FAILED, Reason.INVALID_TEMPLATE})
"""Another attempt would come to the same, wherever it is made."""
_REFUSALS_IN_A_ROW: Final = 16
"""After so many there is a pause: what refuses should have been left alone before."""
_STILL_TRIED: Final = timedelta(minutes=1)
"""What is left of `timeouts.queue` at the least for an agent that was refused: time for another place."""


async def fail_attempt(
    ctx: Context, agent: Agent, why: Reason, message: str, *, nothing_made: bool, connections: int = 0
) -> None:
    """Ends the attempt of an agent that was never online.

    With `connections`, so many of which were of no use, the agent ends: another attempt would start the same again, and
    so would another agent, so each is a failure of its pool.

    With attempts left it is placed again, at once if it is sure that nothing was made, else when the backend says that
    nothing is left; without, it is failed. A direct one has one attempt: what it was given is good for ever. A lack of
    capacity uses up none: what is out of stock is left alone, and the agent goes elsewhere at once.
    """
    ctx.metrics.launch_finished(agent.pool or "", "failed", why)
    events.LAUNCH_FAILED.emit(agent=agent.name, pool=agent.pool, attempt=agent.attempt, why=why, message=message)
    failure = failure_of(ctx, agent, why, message, max(1, connections))
    refusals = agent.refusals + _is_lack(agent, why)
    told: dict[str, Any] = {"why": why, "message": message, "refusals": refusals}
    retry = ctx.definitions.retry_of(agent.policy)
    last = connections > 0 or why in _FOR_EVER or agent.attempt - refusals >= retry.attempts
    last = last or agent.goal != Goal.ONLINE or agent.direct
    if last:
        outcome = {"goal": Goal.GONE, "outcome": agent.outcome or Outcome.FAILED}
        await ctx.move(agent, Phase.TERMINATING, "failed", failure=failure, **outcome, **told)
    elif nothing_made:
        again = next_attempt(ctx, agent, why, refusals)
        await ctx.move(agent, Phase.REQUESTED, "failed", failure=failure, **again, **told)
    else:
        await ctx.move(agent, Phase.TERMINATING, "failed", failure=failure, **told)


async def let_others_try(ctx: Context, live: Iterable[Agent]) -> None:
    """Lets another agent try each pool whose trial has taken longer than a start may: it waits for its controller."""
    now = ctx.clock.now()
    tries = {rest.probe: pool for pool, rest in (await ctx.cooldowns.read(now)).items() if rest.probe is not None}
    for agent in live:
        times = ctx.definitions.timeouts_of(agent.policy)
        if agent.id in tries and now - agent.phase_since < times.launch + times.boot + times.connect:
            del tries[agent.id]
    for agent_id in tries:
        await ctx.cooldowns.release(agent_id)
        ctx.nudge.placement()


def failure_of(ctx: Context, agent: Agent, why: Reason, message: str, times: int = 1) -> Failure | None:
    """What the end of an attempt says of its pool, to be written with it; None if it says nothing.

    Of a lack where there are zones or types the pool's others are not suspected; a quota is the account's.
    """
    pool = ctx.pool_of(agent)
    if pool is None or (why in _NOT_THE_POOLS_FAULT and times == 1):
        return None
    lacks: tuple[Offering, ...] = ()
    if _is_lack(agent, why):
        lacks = (offering_of(agent),)
        times = 0 if agent.zone or agent.type else times
    if why is Reason.QUOTA_EXCEEDED:
        of_account = [p.name for p in ctx.definitions.pools.values() if p.backend == pool.backend]
        lacks += tuple(Offering(name, capacity=agent.capacity) for name in of_account)
    at = ctx.clock.now()
    return Failure(agent=agent.id, pool=pool, why=why, message=message, at=at, times=times, lacks=lacks)


def _is_lack(agent: Agent, why: Reason | None) -> bool:
    """Whether there may be room elsewhere at once: a zone without free addresses is full, too."""
    return why in LACKS or (why is Reason.NETWORK_UNAVAILABLE and bool(agent.zone))


def offering_of(agent: Agent) -> Offering:
    """Where the attempt of an agent that has one runs."""
    if agent.pool is None:
        raise ValueError(f"agent {agent.name} has no attempt")
    return Offering(agent.pool, agent.zone, agent.type, agent.capacity)


def next_attempt(ctx: Context, agent: Agent, why: Reason | None, refusals: int) -> dict[str, Any]:
    """When an agent whose attempt is over is placed again, and until when it then waits for a place."""
    now, retry = ctx.clock.now(), ctx.definitions.retry_of(agent.policy)
    if not _is_lack(agent, why) and why is not Reason.POOL_COOLING_DOWN:
        return {"not_before": now + pause(retry, agent)}
    due = now if refusals % _REFUSALS_IN_A_ROW else now + retry.backoff_last
    return {"not_before": due, "deadline": _deadline(ctx, agent, now)}


def pause(retry: Retry, agent: Agent) -> timedelta:
    """How long to wait before the next attempt: doubled at each, with a part that differs from agent to agent."""
    first, last = retry.backoff_first, retry.backoff_last
    times = min(max(0, agent.attempt - agent.refusals - 1), (last // first).bit_length() if first else 0)
    full: timedelta = min(last, first * 2**times)
    share: float = 0.75 + int(agent.id[:4], 16) / 0xFFFF / 4
    return full * share


def words(error: BackendError) -> str:
    """The cloud's own words."""
    return f"{error.code}: {error.message}" if error.code else error.message


def _deadline(ctx: Context, agent: Agent, now: datetime) -> datetime | None:
    """Refusals do not make the time in the queue longer, or one that is refused everywhere would wait for ever."""
    since_request = queue_deadline(agent.requested_at, ctx.definitions.timeouts_of(agent.policy))
    return None if since_request is None else max(since_request, now + _STILL_TRIED)
