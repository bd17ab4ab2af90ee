"""The life of an agent that was online: sessions lost and found, its last build, its end."""

from datetime import datetime, timedelta
from typing import Any, Final

from broker.domain.agent import Agent
from broker.domain.lengths import short
from broker.domain.lifecycle import Goal, Outcome, Phase
from broker.domain.reason import Reason
from broker.reconcile.attempt import failure_of
from broker.reconcile.churn import why_churned
from broker.reconcile.context import Again, Context
from broker.reconcile.interrupted import give_up, heed_notice, when_given_up
from broker.reconcile.levers import lever_of, words
from broker.reconcile.watch import why_ended
from broker.store.cooldowns import Failure
from broker.telemetry import events

_LOOK_AGAIN_S = 10.0
_OLD: Final = 0.9
"""The part of `retention.max_lifetime` after which an agent takes no new build: shorter builds are never cut by it."""
_FAREWELL_S: Final = 5.0
"""For so long a busy agent that is given up waits for Jenkins to hear of it: two syncs, half of `LAST_MOMENTS`."""
_FAREWELL_AGAIN_S: Final = 0.25
_OF_JENKINS: Final = frozenset({Reason.COMPLETED, Reason.IDLE_TIMEOUT, Reason.CANCELLED})
"""Ends that Jenkins decides: it has no build on such an agent any more."""
_ENDS_BY_ITSELF: Final = frozenset({Reason.MAX_LIFETIME, Reason.SPOT_INTERRUPTED, Reason.POOL_DRAINING})
"""What drains an agent and has an end of its own, or waits for its build: `timeouts.drain` does not count then."""
_JENKINS_KNOWS_S = 10.0
"""Some syncs: what Jenkins was told of an agent, it has taken in."""
_PROBATION: Final = timedelta(minutes=1)
"""An agent that is online for so long has proved its pool, as one has that begins a build. One whose instance ends
before is a failed launch: somebody, or something, ends agents as they come up."""
_ENDED_BY_OTHERS: Final = frozenset({Reason.AGENT_LOST, Reason.INSTANCE_VANISHED, Reason.HOST_VANISHED})


async def stay_online(ctx: Context, agent: Agent) -> Again | None:
    """An agent that Jenkins calls online: serves until it is used up, too old, lost, or not wanted."""
    await _prove(ctx, agent)
    if agent.goal == Goal.GONE:
        return await _part(ctx, agent)
    elif agent.goal == Goal.DRAINED:
        await ctx.move(agent, Phase.DRAINING, "draining")
    elif await heed_notice(ctx, agent):
        return None
    elif message := ctx.superseded(agent):
        await ctx.aim(agent, Goal.DRAINED, Outcome.SUCCEEDED, Reason.SUPERSEDED, message)
    elif (lever := lever_of(ctx, agent)) is not None:
        await ctx.aim(agent, Goal.DRAINED, Outcome.SUCCEEDED, Reason.POOL_DRAINING, words(lever))
    elif await _is_over(ctx, agent):
        return None
    elif ctx.lost(agent):
        await ctx.move(agent, Phase.RECONNECTING, "reconnecting")
    elif _is_old(ctx, agent, _OLD) and not ctx.definitions.used_up(agent):
        lifetime = ctx.definitions.retention_of(agent.policy).max_lifetime
        message = f"it takes no build in the last tenth of its {lifetime}"
        await ctx.aim(agent, Goal.DRAINED, Outcome.SUCCEEDED, Reason.MAX_LIFETIME, message)
    else:
        return Again(_until(ctx, agent, None if ctx.definitions.used_up(agent) else _age_limit(ctx, agent, _OLD)))
    return None


async def _prove(ctx: Context, agent: Agent) -> None:
    """Tells of an agent that serves: what failed in its pool before it came online is over."""
    pool, now = ctx.pool_of(agent), ctx.clock.now()
    if pool is None or agent.online_at is None or _on_probation(ctx, agent):
        return
    ctx.bulkhead.proven(pool, ctx.clock.monotonic() - (now - agent.online_at).total_seconds())
    if await ctx.cooldowns.succeeded(agent, now):
        ctx.bulkhead.opened(pool.name)
        events.POOL_WARMED_UP.emit(pool=agent.pool)
        ctx.nudge.placement()


def _on_probation(ctx: Context, agent: Agent) -> bool:
    """Whether it has served nobody yet, and may not for long enough to say that it could."""
    young = agent.online_at is None or ctx.clock.now() - agent.online_at < _PROBATION
    return young and not agent.busy and not agent.uses


def _runaway(ctx: Context, agent: Agent, why: Reason, message: str) -> Failure | None:
    """The failure of a pool whose agent has ended before it served."""
    if why not in _ENDED_BY_OTHERS or not _on_probation(ctx, agent):
        return None
    return failure_of(ctx, agent, why, f"it was online for a moment: {message}")


async def reconnect(ctx: Context, agent: Agent) -> Again | None:
    """An agent that lost its session: comes back, or is given up when its time is over.

    A busy one that Jenkins still calls online is not: what it lost is a gateway that cannot tell, not its controller.
    """
    back = agent.direct or ctx.sessions.live(agent.id) is not None
    if agent.goal == Goal.GONE or (agent.goal == Goal.DRAINED and not agent.busy and _gets_no_build(ctx, agent)):
        await ctx.move(agent, Phase.TERMINATING, "terminating")
    elif await heed_notice(ctx, agent):
        return None
    elif back and ctx.online_in_jenkins(agent):
        phase = Phase.ONLINE if agent.goal == Goal.ONLINE else Phase.DRAINING
        await ctx.move(agent, phase, phase.value)
    elif await _is_over(ctx, agent):
        return None
    elif ctx.waited_enough(agent) and not (agent.busy and ctx.online_in_jenkins(agent)):
        limit = ctx.definitions.timeouts_of(agent.policy).reconnect
        message = f"it lost its connection and did not come back within {limit}"
        await ctx.aim(agent, Goal.GONE, agent.outcome_now, Reason.RECONNECT_TIMEOUT, message)
    else:
        return Again(_until(ctx, agent))
    return None


async def drain(ctx: Context, agent: Agent) -> Again | None:
    """An agent that takes no new build: ends when its running build has, and Jenkins knows that it takes none.

    One that a reload has superseded is given all the time that its build takes, an old one the rest of its life.
    """
    if agent.goal == Goal.GONE or (not agent.busy and _gets_no_build(ctx, agent)):
        return await _part(ctx, agent)
    elif await heed_notice(ctx, agent) or await _is_over(ctx, agent):
        return None
    elif ctx.lost(agent):
        await ctx.move(agent, Phase.RECONNECTING, "reconnecting")
    elif ctx.waited_enough(agent) and not ctx.superseded(agent) and agent.why not in _ENDS_BY_ITSELF:
        message = f"its build did not end within {short(ctx.definitions.timeouts_of(agent.policy).drain)}"
        await ctx.aim(agent, Goal.GONE, agent.outcome_now, Reason.DRAIN_TIMEOUT, message)
    else:
        return Again(_until(ctx, agent))
    return None


async def _is_over(ctx: Context, agent: Agent) -> bool:
    """Gives an agent up whose instance is gone, whose life is over, or that has done all the builds it may."""
    retention = ctx.definitions.retention_of(agent.policy)
    over: tuple[Reason, str]
    if (ended := why_ended(ctx, agent)) is not None and not _may_speak(ctx, agent, ended[0]):
        if Reason.SPOT_INTERRUPTED in (agent.why, ended[0]):
            await give_up(ctx, agent, ended[1])
            return True
        why = Reason.AGENT_LOST if ended[0] == Reason.CONTAINER_EXITED else ended[0]
        over = (why, ended[1])
    elif (churned := why_churned(ctx, agent)) is not None:
        over = churned
    elif _is_old(ctx, agent):
        over = (Reason.MAX_LIFETIME, f"older than {retention.max_lifetime}")
    elif ctx.definitions.used_up(agent) and not agent.busy and ctx.presence.synced(agent.controller):
        over = (Reason.COMPLETED, f"it has run {agent.uses} of {retention.max_uses} builds")
    else:
        return False
    failure = _runaway(ctx, agent, *over)
    await ctx.aim(agent, Goal.GONE, agent.outcome_now, *over, failure=failure)
    if failure is not None and failure.rests_until is not None:
        told = {"why": failure.why, "message": failure.message}
        events.POOL_RUNAWAY.emit(pool=agent.pool, until=failure.rests_until.isoformat(), **told)
    return True


async def _part(ctx: Context, agent: Agent) -> Again | None:
    """Ends an agent; a build on it that Jenkins knows to run is first told why, which is the end of its node."""
    node = ctx.presence.node(agent.controller, agent.id)
    told = agent.busy and agent.why not in _OF_JENKINS and node is not None and node.online
    if told and not ctx.time_stands_still(agent):
        given_up = ctx.given_up.setdefault(agent.id, ctx.clock.monotonic())
        if ctx.clock.monotonic() - given_up < _FAREWELL_S:
            return Again(_FAREWELL_AGAIN_S)
    ctx.given_up.pop(agent.id, None)
    await ctx.move(agent, Phase.TERMINATING, "terminating", **_ending(agent))
    return None


def _is_old(ctx: Context, agent: Agent, part: float = 1.0) -> bool:
    return ctx.clock.now() >= _age_limit(ctx, agent, part) and not ctx.wall.set_by()


def _age_limit(ctx: Context, agent: Agent, part: float = 1.0) -> datetime:
    """When an agent has lived for this part of the time that it may live."""
    return (agent.online_at or agent.phase_since) + part * ctx.definitions.retention_of(agent.policy).max_lifetime


def _may_speak(ctx: Context, agent: Agent, ended: Reason) -> bool:
    """Whether an agent whose instance is not found is connected, for all that is known: its backend is wrong then."""
    return ended in (Reason.INSTANCE_VANISHED, Reason.HOST_VANISHED) and (ctx.connected(agent) or not ctx.lost(agent))


def _gets_no_build(ctx: Context, agent: Agent) -> bool:
    """Whether Jenkins would give it none any more: it has said so, has no such node, or was told to long ago.

    Of a controller that a reload has removed, or that has told nothing since we started, nobody knows.
    """
    if agent.controller not in ctx.definitions.controllers:
        return False
    node = ctx.presence.node(agent.controller, agent.id)
    if node is not None and not node.accepting:
        return True
    told_long_ago = (ctx.clock.now() - agent.phase_since).total_seconds() >= _JENKINS_KNOWS_S
    return ctx.presence.synced(agent.controller) and (node is None or told_long_ago)


def _ending(agent: Agent) -> dict[str, Any]:
    return {"goal": Goal.GONE, "outcome": agent.outcome or Outcome.SUCCEEDED}


def _until(ctx: Context, agent: Agent, or_at: datetime | None = None) -> float:
    now = ctx.clock.now()
    ends = [end for end in (agent.deadline, when_given_up(ctx, agent), or_at) if end is not None]
    return min([_LOOK_AGAIN_S, *(max(0.5, (end - now).total_seconds()) for end in ends)])
