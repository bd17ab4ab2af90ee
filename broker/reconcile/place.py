"""Places the agents that wait: one look at all of them, one transaction."""

from datetime import datetime, timedelta
from functools import partial

from broker.domain.agent import Agent
from broker.domain.definitions import Definitions
from broker.domain.host import HostPhase
from broker.domain.ids import PolicyName
from broker.domain.lengths import short
from broker.domain.lifecycle import Goal, Outcome, Phase
from broker.domain.limits import Rest, Usage
from broker.domain.overrides import Override, applied
from broker.domain.placement import Decision, Placed, Waits
from broker.domain.reason import Reason
from broker.domain.resources import Resources
from broker.placement.engine import decide
from broker.reconcile.context import Again, Context
from broker.store.lines import Waiting
from broker.store.placements import Look, place_waiting
from broker.store.standing import Standing, read_usage
from broker.telemetry import events

_LOOK_AGAIN_S = 5.0
_LOOK_AGAIN_SURE_S = 30.0
_FIRST_OFFERS_S = 0.05
_SOON_S = 0.01
_APART = timedelta(seconds=1)
"""Between looks for the sake of those whose time is over, however many they are."""


async def place(ctx: Context) -> Again | None:
    """Decides the agents that wait and are due; asks for a look at those placed, and for another while any waits."""
    if (too_soon := ctx.look_not_before - ctx.clock.monotonic()) > 0:
        return Again(too_soon)
    now, later = ctx.clock.now(), list[datetime]()
    waiting = await ctx.agents.waiting(now)
    await _end_some(ctx, waiting, now)
    if waiting.next_due is not None:
        later.append(waiting.next_due)
    if waiting.next_over is not None:
        later.append(max(waiting.next_over, now + _APART))
    if waiting.kinds:
        if ctx.board.starts(ctx.definitions):
            return Again(_FIRST_OFFERS_S)
        look = await _look(ctx, now)
        for decision, agent in look.decided:
            _tell(ctx, decision, agent)
        for host_id in look.new_hosts:
            ctx.nudge.host(host_id)
        if look.more:
            return Again(0.0)
        later += _look_again(ctx, [d for d, _ in look.decided if isinstance(d, Waits)], now)
    return Again(max(_SOON_S, (min(later) - now).total_seconds())) if later else None


async def _end_some(ctx: Context, waiting: Waiting, now: datetime) -> None:
    """Has those looked at that are to end: they are not wanted, too late, or nobody serves them any more."""
    for agent_id in waiting.over:
        ctx.nudge.agent(agent_id)
    for kind in waiting.kinds:
        if ctx.unserved(kind) or ctx.definitions.forbids(kind):
            for agent_id in await ctx.agents.waiting_like(kind, now):
                ctx.nudge.agent(agent_id)


def _look_again(ctx: Context, waits: list[Waits], now: datetime) -> list[datetime]:
    """When: what ends by itself says so, an agent that ends or a pool's new offers nudge, and the rest is uncertain."""
    if not waits:
        return []
    ctx.board.someone_waits()
    sure = all(d.stalled or d.look_at is not None for d in waits)
    until = now + timedelta(seconds=_LOOK_AGAIN_SURE_S if sure else _LOOK_AGAIN_S)
    return [until, *(d.look_at for d in waits if d.look_at is not None)]


async def _look(ctx: Context, now: datetime) -> Look:
    definitions = ctx.definitions  # a reload may replace them meanwhile
    offers, standing, began = ctx.board.offers(definitions), ctx.standing, ctx.clock.monotonic()
    ready = set[str]()
    _measure(ctx, standing, now)
    standing.by_job = frozenset(name for name, policy in definitions.policies.items() if policy.per_job is not None)

    def decider(agents: list[Agent], usage: Usage) -> list[Decision]:
        counted = ctx.standing.budgeted is definitions and not ctx.wall.set_by()
        served = [a for a in agents if not ctx.unserved(a) and (counted or not _pays(definitions, a))]
        _heed_doubts(ctx, usage, definitions)
        ready.clear()
        ready.update(of.host.id for hosts in usage.hosts.values() for of in hosts if of.host.phase is HostPhase.READY)
        decides = ctx.clock.monotonic()
        decisions = decide(served, offers, usage, definitions)
        ctx.metrics.placement_took(ctx.clock.monotonic() - decides)
        return decisions

    def deadline_of(placed: Placed) -> timedelta:
        """The time of a launch begins when the host is ready."""
        offer, timeouts = placed.placement.offer, placed.policy.timeouts
        return timeouts.launch if offer.pool not in standing.hosted or offer.host in ready else timeouts.boot

    look = await place_waiting(ctx.database, decider, now, deadline_of, standing)
    ended = ctx.clock.monotonic()
    if not any(isinstance(decision, Placed) for decision, _ in look.decided):
        ctx.look_not_before = ended + (ended - began)
    return look


async def usage_now(ctx: Context) -> Usage:
    """What a look would decide against now, for those who only ask. Raises `StoreUnavailable`."""
    definitions, now, standing = ctx.definitions, ctx.clock.now(), Standing()
    _measure(ctx, standing, now)
    usage = await ctx.database.read(lambda connection: read_usage(connection, now, standing))
    _heed_doubts(ctx, usage, definitions)
    return usage


def _measure(ctx: Context, standing: Standing, now: datetime) -> None:
    standing.lives, standing.medians = ctx.lives.medians(now), ctx.starts.medians(now)
    standing.asked = ctx.board.asked()
    pools = ctx.definitions.pools.values()
    standing.hosted = {pool.name: pool.hosts for pool in pools if pool.hosts is not None}
    standing.size_of = partial(_size_of, ctx.definitions)


def _pays(definitions: Definitions, agent: Agent) -> bool:
    """Whether it takes of a budget; nobody is placed on one before it is known what is spent of it."""
    policy = definitions.policies.get(agent.policy)
    return policy is not None and policy.budget is not None


def _size_of(definitions: Definitions, policy: PolicyName, overrides: Override) -> Resources:
    found = definitions.policies.get(policy)
    return applied(definitions.templates[found.template], overrides).resources if found else Resources()


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
