"""From a launched instance to an agent that Jenkins calls online."""

from broker.domain.agent import Agent
from broker.domain.instance import NO_TIMES, InstanceState, Interruption, Times
from broker.domain.lengths import short
from broker.domain.lifecycle import Goal, Phase
from broker.domain.reason import Reason
from broker.reconcile.attempt import fail_attempt
from broker.reconcile.churn import CONNECTIONS, why_churned
from broker.reconcile.context import Again, Context
from broker.reconcile.died import why_died
from broker.reconcile.interrupted import LAST_MOMENTS, in_words
from broker.reconcile.watch import find_lost_instance

_LOOK_AGAIN_S = 5.0
_FIND_AGAIN_S = 1.0


async def boot(ctx: Context, agent: Agent) -> Again | None:
    """Waits for the instance to run; a handshake may come first."""
    if agent.goal != Goal.ONLINE:
        await ctx.move(agent, Phase.TERMINATING, "terminating")
    elif await greet_session(ctx, agent):
        return None
    elif (notice := ctx.interruption_of(agent)) is not None:
        await fail_attempt(ctx, agent, Reason.SPOT_INTERRUPTED, in_words(notice), nothing_made=False)
    elif (ended := why_died(ctx, agent)) is not None:
        await fail_attempt(ctx, agent, *ended, nothing_made=False)
    elif _running(ctx, agent):
        await ctx.move(agent, Phase.CONNECTING, "connecting", words=_times(ctx, agent).in_words())
    elif ctx.deadline_passed(agent):
        message = f"the instance did not run within {short(ctx.definitions.timeouts_of(agent.policy).boot)}"
        message += f": {so_far}" if (so_far := _times(ctx, agent).unfinished(ctx.clock.now())) else ""
        await fail_attempt(ctx, agent, Reason.BOOT_TIMEOUT, message, nothing_made=False)
    else:
        return Again(_LOOK_AGAIN_S)
    return None


async def connect(ctx: Context, agent: Agent) -> Again | None:
    """Waits for the agent's first handshake, and for Jenkins to say that it is online."""
    node = ctx.presence.node(agent.controller, agent.id)
    if agent.goal == Goal.GONE or (agent.goal == Goal.DRAINED and not (node and node.busy)):
        await ctx.move(agent, Phase.TERMINATING, "terminating")
    elif agent.instance is None and await find_lost_instance(ctx, agent):
        return Again(0.0)
    elif _is_served(ctx, agent):
        if agent.instance is None:
            return Again(_FIND_AGAIN_S)
        await _come_online(ctx, agent)
    elif (churned := why_churned(ctx, agent)) is not None:
        await fail_attempt(ctx, agent, *churned, nothing_made=False, connections=CONNECTIONS)
    elif (notice := ctx.interruption_of(agent)) is not None and not _may_have_a_build(ctx, agent, notice):
        await fail_attempt(ctx, agent, Reason.SPOT_INTERRUPTED, in_words(notice), nothing_made=False)
    elif (ended := why_died(ctx, agent)) is not None:
        await fail_attempt(ctx, agent, *ended, nothing_made=False)
    elif ctx.waited_enough(agent):
        await fail_attempt(ctx, agent, *_connect_timeout(ctx, agent), nothing_made=False)
    else:
        return Again(_LOOK_AGAIN_S if agent.instance else _FIND_AGAIN_S)
    return None


async def greet_session(ctx: Context, agent: Agent) -> bool:
    """An agent that is launching or booting and is connected already comes to connecting at once."""
    if not ctx.connected(agent) or agent.phase not in (Phase.LAUNCHING, Phase.BOOTING):
        return False
    await ctx.move(agent, Phase.CONNECTING, "connecting")
    return True


def _is_served(ctx: Context, agent: Agent) -> bool:
    """Whether the agent is connected and Jenkins calls it online."""
    return ctx.online_in_jenkins(agent) and ctx.connected(agent)


def _may_have_a_build(ctx: Context, agent: Agent, notice: Interruption) -> bool:
    """Whether Jenkins, which tells of an agent's first build after it has begun, may have given one to the agent."""
    return ctx.connected(agent) and ctx.clock.now() < notice.at - LAST_MOMENTS


async def _come_online(ctx: Context, agent: Agent) -> None:
    await ctx.move(agent, Phase.ONLINE, "online", online_at=ctx.clock.now())


def direct_url(ctx: Context, agent: Agent) -> str:
    """Where a direct agent is told that Jenkins is; empty if its controller is no longer configured."""
    pool, controller = ctx.pool_of(agent), ctx.definitions.controllers.get(agent.controller)
    own = pool.direct.url if pool is not None and pool.direct is not None else ""
    return own or (controller.url if controller is not None else "")


def _running(ctx: Context, agent: Agent) -> bool:
    seen = ctx.seen_of(agent)
    return seen is not None and seen.instance is not None and seen.instance.state == InstanceState.RUNNING


def _times(ctx: Context, agent: Agent) -> Times:
    seen = ctx.seen_of(agent)
    return seen.instance.times if seen is not None and seen.instance is not None else NO_TIMES


def _connect_timeout(ctx: Context, agent: Agent) -> tuple[Reason, str]:
    limit = short(ctx.definitions.timeouts_of(agent.policy).connect)
    if agent.direct:
        words = f"it runs, but Jenkins did not call it online within {limit}: {_can_it(direct_url(ctx, agent))}"
        return Reason.CONNECT_TIMEOUT, words
    if ctx.session_of(agent) is not None:
        return Reason.CONTROLLER_UNREACHABLE, f"connected, but Jenkins did not call it online within {limit}"
    if (turned_away := ctx.sessions.turned_away(agent.id, agent.attempt)) is not None:
        reason, words = turned_away
        return reason, f"it reached the gateway, and got no session within {limit}: {words}"
    words = f"it runs, but did not reach the gateway within {limit}: {_can_it(ctx.gateway_url(agent.controller))}"
    return Reason.CONNECT_TIMEOUT, words


def _can_it(url: str) -> str:
    return f"can it reach {url}{', and does it trust its certificate' if url.startswith('https:') else ''}?"
