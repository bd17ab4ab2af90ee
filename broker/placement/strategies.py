"""How a policy chooses among the offers that can hold one more agent: one function a strategy."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from broker.domain.limits import Usage
from broker.domain.offer import Offer
from broker.domain.policy import Policy, Strategy
from broker.domain.reason import Reason

Chooser = Callable[[Policy, Sequence[Offer], Usage], Offer]
"""Chooses one of at least one offers, which come in the policy's order."""


def ordered(_policy: Policy, offers: Sequence[Offer], _usage: Usage) -> Offer:
    """The first pool that can."""
    return offers[0]


STRATEGIES: Final[Mapping[Strategy, Chooser]] = {Strategy.ORDERED: ordered}

NOT_CHOSEN: Final[Mapping[Strategy, tuple[Reason, str]]] = {
    Strategy.ORDERED: (Reason.SUPERSEDED, "a pool before it could take the agent"),
}
"""What is said of a pool that could have taken the agent and was not chosen."""
