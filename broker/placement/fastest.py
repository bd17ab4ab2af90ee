"""Strategy `fastest`: the pool whose agents come online soonest, by the median of the last hour."""

from collections.abc import Sequence
from datetime import timedelta

from broker.placement import words
from broker.placement.chosen import Chosen
from broker.placement.classes import Ask
from broker.placement.feasible import Choice


def fastest(ask: Ask, able: Sequence[Choice]) -> Chosen | None:
    """A pool that is not measured comes first, so that it is; then by the median; then those that one tries already."""
    chosen = min(able, key=lambda choice: _rank(ask, choice))
    return Chosen.at(chosen, words.median(ask.usage.medians.get(chosen.name)))


def _rank(ask: Ask, choice: Choice) -> tuple[int, timedelta]:
    median = ask.usage.medians.get(choice.name)
    if median is not None:
        return (1, median)
    return (2 if ask.usage.of_pool[choice.count_key] else 0, timedelta())
