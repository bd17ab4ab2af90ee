"""Where agents would go: the answer of `plan`, by the same decisions as placement's; nothing is launched or kept."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from broker.domain.agent import Agent
from broker.domain.definitions import Definitions
from broker.domain.ids import BackendName, ControllerName, PolicyName, PoolName
from broker.domain.lengths import short
from broker.domain.limits import Scope, Usage
from broker.domain.money import Micros, shown
from broker.domain.overrides import NO_OVERRIDE, Override
from broker.domain.placement import Decision, Placed, Rejection, Waits
from broker.domain.policy import Policy, Strategy
from broker.domain.pool import Pool
from broker.domain.reason import Reason
from broker.placement.engine import decide
from broker.placement.ground import Offers
from broker.placement.imagined import imagined
from broker.reconcile.context import Context
from broker.views.ask import BadQuestion, by_priority, no_such, read_label, serving
from broker.views.words import Words

_FURTHEST: Final = timedelta(days=366)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanAsk:
    """So many agents of a policy, asked for now, in one go, behind those that wait already."""

    policy: PolicyName
    controller: ControllerName
    count: int = 1
    job: str = ""
    overrides: Override = NO_OVERRIDE


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedPool:
    """A pool of the policy: how many agents it would get, or why it gets none; `text` is for people."""

    pool: PoolName
    state: str
    count: int = 0
    reason: Reason | None = None
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """`placed` of `count` agents would get a place, as `where` says in a line; the others wait for `reason`."""

    policy: Policy
    count: int
    placed: int
    where: str
    pools: tuple[PlannedPool, ...]
    reason: Reason | None = None
    message: str = ""

    def summary(self, words: Words) -> str:
        """All of it in a line, in the words that the reader may read."""
        left = self.count - self.placed
        rest = f"; {left} {'waits' if left == 1 else 'wait'}: {words.line(self.reason, self.message)}" if left else ""
        return f"{self.where}{rest}"


def plan(
    ask: PlanAsk, waiting: Sequence[Agent], offers: Offers, usage: Usage, definitions: Definitions, at: datetime
) -> Planned:
    """Decides as placement would then, or at the moment of `usage` if that is later. Takes from `usage`.

    The policy must be one of the definitions.
    """
    now, usage = usage.now, replace(usage, now=max(at, usage.now))
    if at > now:
        usage.window = {}  # nobody knows how the pools will do by then
    before = dict(usage.used)
    asked = [
        imagined(f"imagined-{number:05}", ask.policy, ask.controller, now, job=ask.job, overrides=ask.overrides)
        for number in range(ask.count)
    ]
    known = [agent for agent in waiting if agent.policy in definitions.policies]
    ids = {agent.id for agent in asked}
    decided = [d for d in decide([*known, *asked], offers, usage, definitions) if d.agent.id in ids]
    policy = definitions.policies[ask.policy]
    placed = [d for d in decided if isinstance(d, Placed)]
    waits = next((d for d in decided if isinstance(d, Waits)), None)
    return Planned(
        policy=policy,
        count=ask.count,
        placed=len(placed),
        where=_where(policy, placed),
        pools=tuple(_pools(policy, decided, before, definitions)),
        reason=waits.reason if waits else None,
        message=waits.message if waits else "",
    )


def moment_of(at: datetime | None, now: datetime) -> datetime:
    """When a plan is for: now at the earliest, as by default. Raises `BadQuestion` for a time in another year."""
    if at is None or at <= now:
        return now
    if at > now + _FURTHEST:
        raise BadQuestion(f"{at:%Y-%m-%d} is too far away", f"plan for {now + _FURTHEST:%Y-%m-%d} at the latest")
    return at.astimezone(UTC)


def policy_for(
    definitions: Definitions, label: str | None, named: str | None, controller: str | None
) -> tuple[PolicyName, ControllerName, Override]:
    """Whose agents a label gets, at which controller, and what it asks for itself. Raises `NoSuchThing`,
    `NothingServes` and `BadQuestion`."""
    if controller is not None and controller not in definitions.controllers:
        raise no_such("controller", controller, definitions.controllers)
    whose = ControllerName(controller) if controller is not None else None
    policies = definitions.policies_of(whose) if whose else by_priority(definitions)
    if named is not None and named not in {policy.name for policy in policies}:
        raise no_such("policy", named, [policy.name for policy in policies])
    expression, override = read_label(label or "")
    if named is not None:
        policy = definitions.policies[PolicyName(named)]
    else:
        policy = serving(label or "", expression, policies)
    return policy.name, whose or _any_controller(definitions, policy), override


def _any_controller(definitions: Definitions, policy: Policy) -> ControllerName:
    """The first that may use a policy: whose agents are meant where nobody says."""
    able = (name for name, known in definitions.controllers.items() if known.may_use(policy))
    return next(able, ControllerName(""))


def agents_of(planned: Planned) -> dict[PoolName, int]:
    """How many agents each pool would get, of those that get any."""
    return {pool.pool: pool.count for pool in planned.pools if pool.count}


def _where(policy: Policy, placed: Sequence[Placed]) -> str:
    counts = Counter(d.placement.offer.pool for d in placed)
    parts = [f"{pool} ×{counts[pool]}" for pool in dict.fromkeys(policy.chain) if counts[pool]]
    shares = f" ({_shares(policy)})" if placed and policy.strategy is Strategy.WEIGHTED else ""
    return f"policy {policy.name} ({policy.strategy}) -> {', '.join(parts) or 'nowhere now'}{shares}"


def _shares(policy: Policy) -> str:
    """Such as: base 2, then 4:1."""
    base = sum(choice.base for choice in policy.pools)
    weights = ":".join(str(choice.weight) for choice in policy.pools)
    return f"base {base}, then {weights}" if base else weights


def _pools(
    policy: Policy, decided: Sequence[Decision], used: dict[tuple[Scope, str], int], definitions: Definitions
) -> Iterable[PlannedPool]:
    placed = [d for d in decided if isinstance(d, Placed)]
    counts = Counter(d.placement.offer.pool for d in placed)
    against = _against(decided)
    for name in dict.fromkeys(policy.chain):
        if counts[name]:
            costs = [d.rate.hourly for d in placed if d.placement.offer.pool == name and d.rate is not None]
            text = _chosen(policy, name, used, definitions, costs)
            yield PlannedPool(pool=name, state="chosen", count=counts[name], text=text)
        elif (said := against.get(name)) is not None:
            state = "standby" if said.reason is Reason.SUPERSEDED else said.reason.value
            yield PlannedPool(pool=name, state=state, reason=said.reason, text=said.message)
        else:
            yield PlannedPool(pool=name, state="not asked")


def _against(decided: Sequence[Decision]) -> dict[PoolName, Rejection]:
    """What spoke against each pool, the last word of those that got a place before that of those that wait."""
    found: dict[PoolName, Rejection] = {}
    for decision in decided:
        said = decision.rejections if isinstance(decision, Waits) else decision.placement.rejections
        for rejection in said:
            if not (isinstance(decision, Placed) and rejection.pool in found):
                found[rejection.pool] = rejection
    return found


def _chosen(
    policy: Policy,
    name: PoolName,
    used: dict[tuple[Scope, str], int],
    definitions: Definitions,
    costs: Sequence[Micros],
) -> str:
    choice = next((c for c in policy.pools if c.pool == name), None)
    if choice is None:
        step = next(f for f in policy.fallback if f.pool == name)
        parts = [f"fallback after {short(step.after)}" if step.after else "fallback"]
    elif policy.strategy is Strategy.WEIGHTED and choice.base:
        parts = [f"base {choice.base}, then weight {choice.weight}"]
    else:
        parts = [_free(name, used, definitions)]
    if costs:
        low, high = (shown(cost, definitions.currency) for cost in (min(costs), max(costs)))
        parts.append(f"{low}/h each" if low == high else f"{low} to {high}/h each")
    return "; ".join(parts)


def _free(name: PoolName, used: dict[tuple[Scope, str], int], definitions: Definitions) -> str:
    """Of the limit that bites first, such as: 40 of 40 pending free."""
    limits = definitions.pools[name].limits
    caps = {"pending": (Scope.POOL_PENDING, limits.pending), "agents": (Scope.POOL_AGENTS, limits.agents)}
    free = [
        (max(0, cap - used.get((scope, name), 0)), f" of {cap} {word} free")
        for word, (scope, cap) in caps.items()
        if cap is not None
    ]
    return "{}{}".format(*min(free)) if free else "without a limit on agents"


async def known_offers(ctx: Context) -> Offers:
    """What placement knows that each pool could hold; of a pool of which nothing is known yet the backend is asked."""
    definitions, backends = ctx.definitions, ctx.backends
    new = defaultdict[BackendName, list[Pool]](list)
    for name in definitions.pools.keys() - ctx.board.asked().keys():
        new[definitions.pools[name].backend].append(definitions.pools[name])
    async with asyncio.TaskGroup() as group:
        for backend in new.keys() & backends.keys():
            group.create_task(ctx.board.ask(backends[backend], new[backend]), name=f"plan:{backend}")
    return ctx.board.offers(definitions)
