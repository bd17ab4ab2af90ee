"""The end of an instance, believed only when the backend says "not found"."""

import asyncio
from datetime import timedelta

from broker.domain.agent import Agent
from broker.domain.lifecycle import Goal, Outcome, Phase
from broker.errors import BackendError
from broker.reconcile.attempt import next_attempt, words
from broker.reconcile.context import Again, Context
from broker.reconcile.hosts.agents import has_nothing
from broker.reconcile.watch import find_lost_instance
from broker.telemetry import events

_CALL_TIMEOUT_S = 30.0
_CALL_AGAIN_S = 2.0
_IN_LINE_S = 30.0
"""Who stands in line is nudged when there is a place; this is for whoever ends meanwhile without a call."""
_LOOK_AGAIN_S = 0.5
_UNKNOWN_POOL_S = 30.0
_LATE = timedelta(minutes=1)
_ALERT_EVERY_S = 300.0


async def terminate(ctx: Context, agent: Agent) -> Again | None:
    """Ends the agent's session and instance; then the agent is gone, or placed again if its goal still is online."""
    await ctx.sessions.end(agent.id, agent.message or "the agent is being ended")
    if await has_nothing(ctx, agent):
        await _finish(ctx, agent)
        return None
    if agent.pool is not None and ctx.backend_of(agent) is None:
        message = f"pool {agent.pool} is no longer configured: put it back until its agents are gone"
        events.AGENT_TERMINATION_FAILED.emit(agent=agent.name, message=message)
        return Again(_UNKNOWN_POOL_S)
    if agent.instance is None:
        found = await find_lost_instance(ctx, agent)
        if found is None:
            await _finish(ctx, agent)
            return None
        return Again(0.0 if found else _CALL_AGAIN_S)
    called, seen = ctx.terminate_called.get(agent.id), ctx.seen_of(agent)
    if called is not None and seen is not None and seen.asked_at > called and seen.instance is None:
        await _finish(ctx, agent)
        return None
    _alert_when_late(ctx, agent)
    if called is None or ctx.clock.monotonic() - called >= _CALL_AGAIN_S:
        return await _call(ctx, agent)
    return Again(_LOOK_AGAIN_S)


def _alert_when_late(ctx: Context, agent: Agent) -> None:
    """Terminating has no deadline: it is tried without end, and told every while."""
    now, late = ctx.clock.monotonic(), ctx.clock.now() - agent.phase_since
    if late < _LATE or now - ctx.alerted.get(agent.id, float("-inf")) < _ALERT_EVERY_S:
        return
    ctx.alerted[agent.id] = now
    seen = ctx.seen_of(agent)
    told = seen.instance.message if seen is not None and seen.instance is not None else ""
    message = f"{agent.instance} still exists after {late}" + (f": {told}" if told else "")
    events.AGENT_TERMINATION_FAILED.emit(agent=agent.name, pool=agent.pool, message=message)


async def _call(ctx: Context, agent: Agent) -> Again:
    pool, backend = ctx.pool_of(agent), ctx.backend_of(agent)
    if pool is None or backend is None or agent.instance is None:
        return Again(_LOOK_AGAIN_S)
    with ctx.ends.turn(agent.id, pool.backend) as may_call:
        if not may_call:
            return Again(_IN_LINE_S)
        try:
            async with asyncio.timeout(_CALL_TIMEOUT_S):
                await backend.terminate(agent.instance)
        except TimeoutError:
            events.AGENT_TERMINATION_FAILED.emit(agent=agent.name, message=f"no answer within {_CALL_TIMEOUT_S} s")
        except BackendError as error:
            events.AGENT_TERMINATION_FAILED.emit(agent=agent.name, message=words(error))
        ctx.terminate_called[agent.id] = ctx.clock.monotonic()
    return Again(_LOOK_AGAIN_S)


async def _finish(ctx: Context, agent: Agent) -> None:
    """Nothing of the attempt is left."""
    ctx.terminate_called.pop(agent.id, None)
    ctx.seen.pop(agent.id, None)
    ctx.alerted.pop(agent.id, None)
    now = ctx.clock.now()
    if agent.goal == Goal.ONLINE and not agent.was_online:
        again = next_attempt(ctx, agent, agent.why, agent.refusals)
        await ctx.move(agent, Phase.REQUESTED, "requested", **again)
        return
    outcome = Outcome.SUCCEEDED if agent.was_online else Outcome.CANCELLED
    await ctx.move(agent, Phase.GONE, "gone", goal=Goal.GONE, outcome=agent.outcome or outcome, gone_at=now)
