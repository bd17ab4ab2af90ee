"""One placement: the limits that hold everywhere, then the pools that can, then the policy's strategy."""

from dataclasses import replace

from broker.domain.agent import Agent
from broker.domain.definitions import Definitions
from broker.domain.ids import PoolName
from broker.domain.limits import Usage
from broker.domain.offer import Offer
from broker.domain.placement import Decision, Placed, Placement, Rejection, Waits
from broker.domain.policy import Policy
from broker.domain.reason import Reason
from broker.errors import BackendError
from broker.placement.feasible import Offers, sieve
from broker.placement.strategies import NOT_CHOSEN, STRATEGIES
from broker.placement.usage import pool_claims, shared_claims


def decide(agents: list[Agent], offers: Offers, usage: Usage, definitions: Definitions) -> list[Decision]:
    """Decides a whole batch: the policy of the highest priority first, then the oldest request.

    Takes from `usage` as it goes, and from the room of the offers, so that no place is given twice.
    """
    room = {pool: list(answer) if not isinstance(answer, BackendError) else answer for pool, answer in offers.items()}
    decisions = []
    for agent in sorted(agents, key=lambda a: (-_priority(a, definitions), a.requested_at, a.name)):
        decision = _decide_one(agent, room, usage, definitions)
        if isinstance(decision, Placed):
            _use(decision, room, usage)
        decisions.append(decision)
    return decisions


def _decide_one(agent: Agent, offers: Offers, usage: Usage, definitions: Definitions) -> Decision:
    policy = definitions.policies.get(agent.policy)
    if policy is None:
        message = f"policy {agent.policy} is no longer configured"
        return Waits(agent=agent, policy=None, reason=Reason.NO_MATCHING_POLICY, message=message)
    shared = shared_claims(agent, policy, definitions)
    full = usage.first_full(shared)
    if full is not None:
        message = full.refusal(usage.taken(full))
        return Waits(agent=agent, policy=policy, reason=full.reason, message=message)
    possible, rejections = sieve(policy, offers, usage, definitions)
    if not possible:
        first = rejections[0]
        message = "; ".join(r.message for r in rejections)
        return Waits(agent=agent, policy=policy, reason=first.reason, message=message, rejections=tuple(rejections))
    chosen = STRATEGIES[policy.strategy](policy, possible, usage)
    placement = Placement(offer=chosen, rejections=(*rejections, *_passed_over(policy, possible, chosen)))
    pool = definitions.pools[chosen.pool]
    claims = (*shared, *pool_claims(policy, pool, definitions))
    return Placed(agent=agent, policy=policy, placement=placement, claims=claims, direct=pool.direct is not None)


def _passed_over(policy: Policy, possible: list[Offer], chosen: Offer) -> list[Rejection]:
    reason, message = NOT_CHOSEN[policy.strategy]
    others = dict.fromkeys(offer.pool for offer in possible if offer.pool != chosen.pool)
    return [Rejection(pool=pool, reason=reason, message=message) for pool in others]


def _use(decision: Placed, room: dict[PoolName, list[Offer] | BackendError], usage: Usage) -> None:
    usage.take(decision.claims)
    chosen = decision.placement.offer
    offers = room[chosen.pool]
    if isinstance(offers, list) and chosen.room is not None:
        offers[offers.index(chosen)] = replace(chosen, room=chosen.room - 1)
    rest = usage.rests.get(chosen.pool)
    if rest is not None and rest.opened:
        usage.rests[chosen.pool] = replace(rest, probe=decision.agent.id)


def _priority(agent: Agent, definitions: Definitions) -> int:
    policy = definitions.policies.get(agent.policy)
    return policy.priority if policy else 0
