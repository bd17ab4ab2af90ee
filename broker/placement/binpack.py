"""Strategy `binpack`: the fullest host or pool that still fits."""

from collections.abc import Sequence

from broker.placement import words
from broker.placement.chosen import Chosen
from broker.placement.classes import Ask
from broker.placement.feasible import Choice
from broker.placement.room import fuller


def binpack(ask: Ask, able: Sequence[Choice]) -> Chosen | None:
    """Of all pools' hosts the one with the least left; where none fits, the pool with the least left, then the first.

    What is left of a pool is what its limits leave; one without limits comes after those with, the one with the most
    agents first.
    """
    by = ask.policy.pack_by
    best: Chosen | None = None
    for choice in able:
        pick = choice.room.pick(choice.size, by)
        if pick is None or pick.host is None:
            continue
        if best is None or best.pick.host is None or fuller(pick.host, best.pick.host, by):
            best = Chosen(choice, pick, words.FULLEST)
    if best is not None:
        return best
    return Chosen.at(min(able, key=lambda choice: choice.left(by)), words.FULLEST, by)
