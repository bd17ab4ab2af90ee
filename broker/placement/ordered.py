"""Strategy `ordered`: the first pool that can."""

from collections.abc import Sequence

from broker.placement.chosen import Chosen
from broker.placement.classes import Ask
from broker.placement.feasible import Choice


def ordered(_ask: Ask, able: Sequence[Choice]) -> Chosen | None:
    """The first of the policy's order."""
    return Chosen.at(able[0])
