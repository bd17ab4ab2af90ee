"""One poller a backend: what exists, in batches; and what an instance's state means for its agent."""

import asyncio
from typing import Final

from broker.domain.agent import Agent
from broker.domain.ids import BackendName
from broker.domain.instance import Instance, InstanceState
from broker.domain.lifecycle import PENDING, Phase
from broker.domain.reason import Reason
from broker.errors import BackendError, Conflict
from broker.reconcile.context import Context
from broker.reconcile.hosts.agents import why_host_ended
from broker.reconcile.seen import Seen
from broker.telemetry import events

_CALL_TIMEOUT_S: Final = 30.0
_BATCH: Final = 100
_WATCHED: Final = frozenset(Phase) - {Phase.REQUESTED, Phase.GONE}


async def poll(ctx: Context, name: BackendName) -> None:
    """Asks a backend for the instances of all its living agents, a hundred a call, and nudges agents with news."""
    watched = await ctx.agents.in_phases(_WATCHED)
    for agent_id in ctx.seen.keys() - {agent.id for agent in watched}:
        del ctx.seen[agent_id]
    agents = [a for a in watched if a.instance and _runs_on(ctx, a, name)]
    for start in range(0, len(agents), _BATCH):
        await _poll_some(ctx, name, agents[start : start + _BATCH])


async def _poll_some(ctx: Context, name: BackendName, agents: list[Agent]) -> None:
    asked_at, backend = ctx.clock.monotonic(), ctx.backends.get(name)
    if backend is None:  # a reload has let it go
        return
    try:
        async with asyncio.timeout(_CALL_TIMEOUT_S):
            found = await backend.describe([a.instance for a in agents if a.instance])
    except TimeoutError:
        events.POLL_FAILED.emit(backend=name, message=f"no answer within {_CALL_TIMEOUT_S} s")
        return
    except BackendError as error:
        events.POLL_FAILED.emit(backend=name, message=str(error))
        return
    for agent in agents:
        if agent.instance is None:
            continue
        instance, before = found.get(agent.instance), ctx.seen_of(agent)
        ctx.seen[agent.id] = Seen(agent.instance, instance, asked_at)
        _measure(ctx, agent, before, instance)
        if before is None or before.instance != instance or (instance is None and agent.phase == Phase.TERMINATING):
            ctx.nudge.agent(agent.id)


def _measure(ctx: Context, agent: Agent, before: Seen | None, now: Instance | None) -> None:
    """Counts the steps of a start once: when it is first seen that they are over, or after a restart of the broker."""
    if now is None or now.times.started is None or agent.pool is None:
        return
    known = before.instance if before is not None else None
    if agent.phase in PENDING if known is None else known.times.started is None:
        ctx.metrics.instance_started(agent.pool, now.times.steps())


async def find_lost_instance(ctx: Context, agent: Agent) -> bool | None:
    """Looks for the instance of an attempt whose launch was never answered.

    True: found and noted. None: there is none, for sure. False: the backend could not say.
    """
    pool, backend = ctx.pool_of(agent), ctx.backend_of(agent)
    if agent.token is None:
        return None
    if pool is None or backend is None:
        return False
    with ctx.ends.turn(agent.id, pool.backend) as may_call:
        if not may_call:
            return False
        try:
            async with asyncio.timeout(_CALL_TIMEOUT_S):
                found = await backend.locate(agent.launch_key)
        except (TimeoutError, BackendError) as error:
            events.POLL_FAILED.emit(agent=agent.name, pool=agent.pool, message=str(error) or "no answer")
            return False
    if found is None:
        return None
    try:
        await ctx.agents.record_instance(agent.id, agent.token, found)
    except Conflict:
        return False
    return True


def why_ended(ctx: Context, agent: Agent) -> tuple[Reason, str] | None:
    """Why the agent's instance no longer runs, in a code and in words; None if it runs, or nobody has looked yet."""
    seen = ctx.seen_of(agent)
    if seen is None:
        return None
    if seen.instance is None:
        if (ended := why_host_ended(ctx, agent)) is not None:
            return ended
        return Reason.INSTANCE_VANISHED, f"{agent.instance} no longer exists, and the broker did not end it"
    if seen.instance.state != InstanceState.STOPPED:
        return None
    exit_code = "" if seen.instance.exit_code is None else f"exit code {seen.instance.exit_code}"
    lines = "\n".join(seen.instance.last_lines)
    message = "; ".join(part for part in (exit_code, seen.instance.message) if part)
    return seen.instance.reason or Reason.CONTAINER_EXITED, f"{message}\n{lines}".strip()


def _runs_on(ctx: Context, agent: Agent, name: BackendName) -> bool:
    pool = ctx.pool_of(agent)
    return pool is not None and pool.backend == name
