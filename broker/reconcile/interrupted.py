"""An instance that its cloud takes back: its agent takes no new build, and is given up shortly before it goes."""

from datetime import datetime, timedelta
from typing import Final

from broker.domain.agent import Agent
from broker.domain.instance import Interruption
from broker.domain.lifecycle import Goal, Outcome
from broker.domain.reason import Reason
from broker.reconcile.context import Context
from broker.telemetry import events

LAST_MOMENTS: Final = timedelta(seconds=10)
"""So long before the instance goes its agent is given up: Jenkins hears of it in its next sync, while it is still there
to be told why its build ends."""


def when_given_up(ctx: Context, agent: Agent) -> datetime | None:
    """When an agent that has got a notice is given up if it still is busy; None without a notice."""
    notice = ctx.interruption_of(agent)
    return notice.at - LAST_MOMENTS if notice else None


async def heed_notice(ctx: Context, agent: Agent) -> bool:
    """Drains an agent that was online and has got a notice, gives it up in its last moments; tells whether it has.

    The cloud's time goes on while the controller or the gateway is away.
    """
    notice = ctx.interruption_of(agent)
    if notice is None or agent.goal == Goal.GONE:
        return False
    if agent.goal == Goal.ONLINE:
        events.AGENT_INTERRUPTED.emit(agent=agent.name, pool=agent.pool, at=notice.at, message=notice.message)
        await ctx.aim(agent, Goal.DRAINED, Outcome.SUCCEEDED, Reason.SPOT_INTERRUPTED, in_words(notice))
    elif agent.why != Reason.SPOT_INTERRUPTED:  # it drains already, for another reason
        events.AGENT_INTERRUPTED.emit(agent=agent.name, pool=agent.pool, at=notice.at, message=notice.message)
        await ctx.note(agent, Reason.SPOT_INTERRUPTED, in_words(notice), "interrupted")
        ctx.nudge.agent(agent.id)
    elif ctx.clock.now() >= notice.at - LAST_MOMENTS:
        await give_up(ctx, agent, "its build did not end before" if agent.busy else "")
    else:
        return False
    return True


async def give_up(ctx: Context, agent: Agent, how: str) -> None:
    """Ends an agent whose instance goes or has gone: failed, if that cuts a build; the notice's words come first."""
    noticed = agent.message if agent.why == Reason.SPOT_INTERRUPTED else ""
    message = "; ".join(part for part in (noticed, how) if part)
    await ctx.aim(agent, Goal.GONE, agent.outcome_now, Reason.SPOT_INTERRUPTED, message)


def in_words(notice: Interruption) -> str:
    """The cloud's own words, and when the instance goes."""
    words = notice.message.strip() or "the cloud takes the instance back"
    return f"{words} (it goes at {notice.at:%H:%M:%S} UTC)"
