"""Strategy `cheapest`: the place with the lowest price for this template."""

from collections.abc import Sequence

from broker.placement import words
from broker.placement.chosen import Chosen
from broker.placement.classes import Ask
from broker.placement.feasible import Choice


def cheapest(_ask: Ask, able: Sequence[Choice]) -> Chosen | None:
    """Of equal prices the first of the policy's order: a host that is there, else its emptiest zone.

    A price that nobody knows is the dearest.
    """
    best: Chosen | None = None
    lowest = (True, 0, 0, True, 0)
    for number, choice in enumerate(able):
        for shelf in choice.room.shelves:
            pick = choice.room.pick(choice.size, shelf=shelf)
            if pick is None:
                continue
            rate = choice.terms(pick).rate
            hourly = 0 if rate is None else rate.hourly
            price = (rate is None, hourly, number, pick.host is None, choice.room.crowd(pick))
            if best is None or price < lowest:
                lowest = price
                best = Chosen(choice, pick, words.price(None if rate is None else rate.hourly))
    return best
