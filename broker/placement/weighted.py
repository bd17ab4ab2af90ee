"""Strategy `weighted`: shares by `weight`, exact within one agent, after every pool has its `base`."""

from collections.abc import Sequence

from broker.domain.placement import Rejection
from broker.domain.reason import Reason
from broker.placement import words
from broker.placement.chosen import Chosen
from broker.placement.classes import Ask
from broker.placement.feasible import Choice


def weighted(ask: Ask, able: Sequence[Choice]) -> Chosen | None:
    """The pool furthest behind its base; with all bases there, the one whose turn it is by the shares.

    Agents of a base do not count in the shares. Whose turn it is follows Tijdeman (The chairman assignment problem,
    1980): of the pools that are not ahead, the one that would fall behind first. No pool of k is then ever more than
    1 - 1/(2k - 2) agents off its share. Where ends of agents have left all ahead, it is the furthest behind. A pool
    that cannot take agents is left out, and catches up later.
    """
    live = {choice: ask.usage.of_pool[choice.count_key] for choice in ask.own}
    behind = max(able, key=lambda choice: choice.base - live[choice])
    if live[behind] < behind.base:
        return Chosen.at(behind, words.base(live[behind], behind.base))
    counts = {choice: max(0, live[choice] - choice.base) for choice in ask.own}
    total = sum(choice.weight for choice in ask.own)
    for choice in able:
        choice.barred = () if choice.weight else (_base_only(choice),)
    sharing = [choice for choice in able if choice.weight]
    if not sharing:
        return None
    chosen = _turn(sharing, counts, total, len(ask.own))
    return Chosen.at(chosen, words.share(counts[chosen], sum(counts.values()), chosen.weight, total))


def _turn(sharing: Sequence[Choice], counts: dict[Choice, int], total: int, pools: int) -> Choice:
    number = sum(counts.values()) + 1
    parts = max(1, 2 * pools - 2)
    lacks = {choice: choice.weight * number - counts[choice] * total for choice in sharing}
    eligible = [choice for choice in sharing if lacks[choice] * parts >= total]
    if not eligible:
        return max(sharing, key=lambda choice: lacks[choice])
    return min(eligible, key=lambda choice: ((parts - 1) * total - parts * lacks[choice]) / choice.weight)


def _base_only(choice: Choice) -> Rejection:
    fitting = choice.room.fitting(choice.size)
    return Rejection(pool=choice.name, reason=Reason.SUPERSEDED, message=words.BASE_ONLY, offers=fitting)
