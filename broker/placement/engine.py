"""One placement: the limits that hold everywhere, then the pools that can, then the policy's strategy."""

from dataclasses import replace
from itertools import chain, groupby

from broker.domain.agent import Agent
from broker.domain.definitions import Definitions
from broker.domain.limits import Usage
from broker.domain.offer import Offer
from broker.domain.placement import Decision, Placed, Placement, Rejection
from broker.domain.reason import Reason
from broker.placement import told
from broker.placement.chain import causes
from broker.placement.chosen import Chosen
from broker.placement.classes import Ask, sort
from broker.placement.fair import Turns
from broker.placement.feasible import Choice, Terms
from broker.placement.ground import Ground, Offers
from broker.placement.packing import Packed, repack
from broker.placement.strategies import STRATEGIES


class Counted:
    """How much was looked at since the program began, for those who measure."""

    comparisons = 0
    """Sizes compared with hosts or groups of equal hosts."""


def decide(agents: list[Agent], offers: Offers, usage: Usage, definitions: Definitions) -> list[Decision]:
    """Decides a whole batch: those placed in the order in which they were, then those that wait.

    The policy of the highest priority comes first; among those of one priority the controller and policy that hold the
    fewest agents; of one policy the oldest request. Takes from `usage` as it goes, and from the room of the offers, so
    that no place is given twice.
    """
    ground = Ground(offers, usage, definitions)
    asks, homeless = sort(agents, ground)
    decisions: list[Decision] = []
    for _, level in groupby(sorted(asks, key=_priority), key=_priority):
        _place_all(list(level), ground, decisions)
    Counted.comparisons += ground.write_back()
    return [*decisions, *homeless, *chain.from_iterable(ask.waits() for ask in asks)]


def _place_all(asks: list[Ask], ground: Ground, decisions: list[Decision]) -> None:
    """Places requests of one priority. What is packed is packed anew at the end; then those without room try again."""
    packed: list[Packed] = []
    for ask in Turns(asks, ground.usage):
        placed = _place(ask, ground)
        if placed is not None:
            if ask.packs and placed.placement.offer.host:
                packed.append(Packed(len(decisions), ask, *ask.last_taken))
            decisions.append(placed)
    wanting = [ask for ask in asks if ask.packs and not ask.is_done]
    if packed and repack(packed, decisions, wanted=bool(wanting)):
        for ask in Turns(wanting, ground.usage):
            placed = _place(ask, ground)
            if placed is not None:
                decisions.append(placed)


def _priority(ask: Ask) -> int:
    return -ask.policy.priority


def _place(ask: Ask, ground: Ground) -> Placed | None:
    """Places the oldest of a class; None, and the class says why, if it gets no place."""
    full = ask.shared.full()
    if full is not None or ask.forbidden is not None:
        ask.stuck = ask.forbidden if full is None else told.full(full, ground)
        return None
    able = [choice for choice in ask.own if not choice.against()]
    chosen = STRATEGIES[ask.policy.strategy](ask, able) if able else None
    fallback_for = None
    if chosen is None:
        before = told.own(ask)
        chosen, fallback_for = _fall_back(ask, before)
        if chosen is None:
            ask.stuck = told.nowhere(ask, before)
            return None
    terms = chosen.choice.terms(chosen.pick)
    if (full := terms.load.full()) is not None:
        ask.stuck = told.full(full, ground)
        return None
    return _take(ask, chosen, terms, fallback_for)


def _fall_back(ask: Ask, before: list[Rejection]) -> tuple[Chosen | None, Reason | None]:
    """The first fallback that can take the agent, and what it is the fallback for."""
    for step in ask.steps:
        why = causes(before)
        against = step.against(why)
        if not against and (chosen := Chosen.at(step.choice)) is not None:
            return chosen, step.turned_to_for(why)
        before = [*before, *against]
    return None, None


def _take(ask: Ask, chosen: Chosen, terms: Terms, fallback_for: Reason | None) -> Placed:
    choice, agent = chosen.choice, ask.head
    rejections = told.others(ask, chosen)
    terms.load.take()
    offer = choice.room.take(chosen.pick, choice.size)
    _count(ask, choice, offer)
    last = ask.last
    if last is None or last.offer is not offer or last.rejections is not rejections or last.why != chosen.why:
        last = ask.last = Placement(offer=offer, why=chosen.why, fallback_for=fallback_for, rejections=rejections)
    ask.done += 1
    ask.last_taken = (choice, chosen.pick.shelf)
    return Placed(
        agent=agent,
        policy=ask.policy,
        placement=last,
        claims=terms.load.claims,
        direct=choice.pool.direct is not None,
        rate=terms.rate,
    )


def _count(ask: Ask, choice: Choice, offer: Offer) -> None:
    usage, policy = ask.usage, ask.policy.name
    usage.held[ask.held_key] += 1
    usage.of_pool[choice.count_key] += 1
    if offer.zone:
        usage.of_zone[policy, offer.pool, offer.zone] += 1
    if offer.type:
        usage.of_type[policy, offer.pool, offer.type] += 1
    if offer.host:
        usage.of_host[policy, offer.pool, offer.host] += 1
    left = usage.window.get(choice.name)
    if left is not None:
        usage.window[choice.name] = left - 1
    rest = usage.rests.get(choice.name)
    if rest is not None and rest.opened:
        usage.rests[choice.name] = replace(rest, probe=ask.head.id)
