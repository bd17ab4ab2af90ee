"""How a policy chooses among the pools that can hold one more agent: one function a strategy."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from broker.domain.policy import Strategy
from broker.placement.binpack import binpack
from broker.placement.cheapest import cheapest
from broker.placement.chosen import Chosen
from broker.placement.classes import Ask
from broker.placement.fastest import fastest
from broker.placement.feasible import Choice
from broker.placement.ordered import ordered
from broker.placement.spread import spread
from broker.placement.weighted import weighted

Chooser = Callable[[Ask, Sequence[Choice]], Chosen | None]
"""Chooses for one more agent of a class, of at least one pool that can, in the policy's order.

None: it may go to none of them. A chooser takes nothing itself.
"""

STRATEGIES: Final[Mapping[Strategy, Chooser]] = {
    Strategy.ORDERED: ordered,
    Strategy.WEIGHTED: weighted,
    Strategy.SPREAD: spread,
    Strategy.BINPACK: binpack,
    Strategy.CHEAPEST: cheapest,
    Strategy.FASTEST: fastest,
}
