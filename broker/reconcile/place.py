"""Places the agents that wait: one look at all of them, one transaction."""

import asyncio
from datetime import timedelta

from broker.domain.agent import Agent
from broker.domain.definitions import Definitions
from broker.domain.lengths import short
from broker.domain.lifecycle import Goal, Outcome, Phase
from broker.domain.limits import Rest, Usage
from broker.domain.offer import Offer
from broker.domain.placement import Decision, Placed
from broker.domain.pool import Pool
from broker.domain.reason import Reason
from broker.errors import BackendError, OutcomeUnknown
from broker.placement.engine import decide
from broker.placement.ground import Offers
from broker.reconcile.context import Again, Context
from broker.store.placements import place_waiting
from broker.telemetry import events

_OFFER_TIMEOUT_S = 5.0
_LOOK_AGAIN_S = 5.0


async def place(ctx: Context) -> Again | None:
    """Decides every agent that waits and is due; asks for a look at those placed, and for another while any waits."""
    waiting = [a for a in await ctx.agents.live() if a.phase == Phase.REQUESTED]
    if not waiting:
        return None
    now = ctx.clock.now()
    ended = {a.id for a in waiting if ctx.unserved(a) or ctx.definitions.forbids(a)}
    due = [a for a in waiting if a.not_before <= now and a.id not in ended]
    for agent in waiting:
        if agent.goal != Goal.ONLINE or agent.id in ended or (agent.deadline is not None and agent.deadline <= now):
            ctx.nudge.agent(agent.id)
    if due:
        definitions = ctx.definitions  # a reload may replace them meanwhile
        offers = await _gather_offers(ctx, due, definitions)

        def decider(agents: list[Agent], usage: Usage) -> list[Decision]:
            usage.lives = ctx.lives
            _heed_doubts(ctx, usage, definitions)
            began = ctx.clock.monotonic()
            decisions = decide(agents, offers, usage, definitions)
            ctx.metrics.placement_took(ctx.clock.monotonic() - began)
            return decisions

        look = await place_waiting(
            ctx.database,
            decider,
            now,
            lambda placed: placed.policy.timeouts.launch,
        )
        for decision, agent in look.decided:
            _tell(ctx, decision, agent)
    later = [a.not_before - now for a in waiting if a.not_before > now]
    return Again(max(0.0, min([timedelta(seconds=_LOOK_AGAIN_S), *later]).total_seconds()))


async def wait_for_place(ctx: Context, agent: Agent) -> Again | None:
    """Ends a request that nobody wants any more, or whose time in the queue is over."""
    if agent.goal != Goal.ONLINE:
        outcome = agent.outcome or Outcome.CANCELLED
        await ctx.move(agent, Phase.GONE, "gone", goal=Goal.GONE, outcome=outcome, gone_at=ctx.clock.now())
        return None
    if message := ctx.unserved(agent):
        await ctx.aim(agent, Goal.GONE, Outcome.FAILED, Reason.NO_MATCHING_POLICY, message)
        return None
    if message := ctx.definitions.forbids(agent):
        await ctx.aim(agent, Goal.GONE, Outcome.FAILED, Reason.OVERRIDE_FORBIDDEN, message)
        return None
    if agent.deadline is None:
        return None
    left = (agent.deadline - ctx.clock.now()).total_seconds()
    if not ctx.deadline_passed(agent):
        return Again(left if left > 0 else _LOOK_AGAIN_S)
    limit = ctx.definitions.timeouts_of(agent.policy).queue
    message = f"no place in {short(limit)}: {agent.why or ''} {agent.message}".strip()
    await ctx.aim(agent, Goal.GONE, Outcome.FAILED, Reason.QUEUE_TIMEOUT, message)
    return None


def _tell(ctx: Context, decision: Decision, agent: Agent) -> None:
    if isinstance(decision, Placed):
        ctx.metrics.placement_decided(agent.policy, decision.placement)
        ctx.metrics.agent_changed_phase(decision.agent, agent, ctx.clock.now())
        told: dict[str, object] = {
            "phase": agent.phase,
            "before": decision.agent.phase,
            "pool": agent.pool,
            "attempt": agent.attempt,
        }
        events.AGENT_CHANGED_PHASE.emit(agent=agent.name, controller=agent.controller, **told)
        ctx.uncalled.add(agent.launch_key.token)
        ctx.placed[agent.id] = agent
        ctx.nudge.agent(agent.id)
    elif agent.version != decision.agent.version:
        ctx.metrics.placement_decided(agent.policy, decision.rejections)
        waits = {"why": decision.reason, "message": decision.message}
        events.AGENT_WAITS.emit(agent=agent.name, controller=agent.controller, **waits)


def _heed_doubts(ctx: Context, usage: Usage, definitions: Definitions) -> None:
    """Pools that do badly just now get few agents more, or none: the others go elsewhere."""
    usage.window |= ctx.bulkhead.windows(definitions.pools, ctx.clock.monotonic())
    silent = Rest(opened=0, until=None, probe=None, why=Reason.BACKEND_ERROR, message="they get no answer")
    for pool in usage.window:
        usage.rests.setdefault(pool, silent)


async def _gather_offers(ctx: Context, agents: list[Agent], definitions: Definitions) -> Offers:
    policies = {agent.policy for agent in agents} & definitions.policies.keys()
    wanted = dict.fromkeys(pool for name in sorted(policies) for pool in definitions.policies[name].chain)
    async with asyncio.TaskGroup() as group:
        tasks = {
            name: group.create_task(_offers(ctx, definitions.pools[name]), name=f"offers:{name}") for name in wanted
        }
    return {pool: task.result() for pool, task in tasks.items()}


async def _offers(ctx: Context, pool: Pool) -> list[Offer] | BackendError:
    try:
        async with asyncio.timeout(_OFFER_TIMEOUT_S):
            return list(await ctx.backends[pool.backend].offers(pool))
    except TimeoutError:
        return OutcomeUnknown("timeout", f"no offers of pool {pool.name} within {_OFFER_TIMEOUT_S} s")
    except BackendError as error:
        return error
