"""Levers of pools: what they make of agents, and their end by the wall clock."""

from typing import Final

from broker.domain.agent import Agent
from broker.domain.lifecycle import PENDING, Goal, Outcome
from broker.domain.limits import Lever, LeverKind
from broker.domain.reason import Reason
from broker.reconcile.context import Context
from broker.store.levers import Levers
from broker.telemetry import events

LOOK_S: Final = 1.0
"""How often it is looked whether a lever's time is over."""


def lever_of(ctx: Context, agent: Agent) -> Lever | None:
    """The lever that lets the agent's pool have no agents, as long as it lasts."""
    lever = ctx.levers.get(agent.pool) if agent.pool is not None else None
    if lever is None or lever.kind is not LeverKind.DRAIN:
        return None
    return lever if lever.until is None or lever.until > ctx.clock.now() else None


def words(lever: Lever) -> str:
    """What is said of an agent that such a pool gives up."""
    why = f": {lever.reason}" if lever.reason else ""
    return f"pool {lever.pool} is being emptied by {lever.actor}{why}"


async def heed_lever(ctx: Context, agent: Agent) -> bool:
    """Ends an agent that is on its way into a pool that is being emptied: Jenkins asks for another one."""
    if agent.phase not in PENDING or agent.goal is not Goal.ONLINE or agent.was_online:
        return False
    lever = lever_of(ctx, agent)
    if lever is None:
        return False
    await ctx.aim(agent, Goal.GONE, Outcome.CANCELLED, Reason.POOL_DRAINING, words(lever))
    return True


async def recall_levers(ctx: Context) -> None:
    """Knows the levers of a database that was just opened."""
    ctx.levers = await Levers(ctx.database).all()


async def end_levers(ctx: Context) -> None:
    """Takes away the levers whose time is over: the agents that waited for that are looked at. Safe to repeat."""
    now = ctx.clock.now()
    for lever in [one for one in ctx.levers.values() if one.until is not None and one.until <= now]:
        if await Levers(ctx.database).end(lever, f"pool {lever.pool}: its time is over", "", now):
            events.POOL_RESUMED.emit(pool=lever.pool, actor="")
        if ctx.levers.get(lever.pool) == lever:
            ctx.levers = {name: one for name, one in ctx.levers.items() if name != lever.pool}
        ctx.nudge.placement()
