"""The life of an agent as data: phases, goals, outcomes, and which change is allowed."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class Phase(StrEnum):
    """Where an agent is between Jenkins' request and the moment when nothing of it is left."""

    REQUESTED = "requested"
    LAUNCHING = "launching"
    BOOTING = "booting"
    CONNECTING = "connecting"
    ONLINE = "online"
    RECONNECTING = "reconnecting"
    DRAINING = "draining"
    TERMINATING = "terminating"
    GONE = "gone"


class Goal(StrEnum):
    """What is wanted of an agent; it moves only forward, in this order."""

    ONLINE = "online"
    DRAINED = "drained"
    GONE = "gone"


class Outcome(StrEnum):
    """How an agent ended: it served, it never came online or was taken from its build, or nobody wanted it any more."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


TRANSITIONS: Final[Mapping[Phase, frozenset[Phase]]] = {
    Phase.REQUESTED: frozenset({Phase.LAUNCHING, Phase.GONE}),
    Phase.LAUNCHING: frozenset(
        {Phase.BOOTING, Phase.CONNECTING, Phase.ONLINE, Phase.REQUESTED, Phase.TERMINATING},
    ),
    Phase.BOOTING: frozenset({Phase.CONNECTING, Phase.ONLINE, Phase.TERMINATING}),
    Phase.CONNECTING: frozenset({Phase.ONLINE, Phase.TERMINATING}),
    Phase.ONLINE: frozenset({Phase.RECONNECTING, Phase.DRAINING, Phase.TERMINATING}),
    Phase.RECONNECTING: frozenset({Phase.ONLINE, Phase.DRAINING, Phase.TERMINATING}),
    Phase.DRAINING: frozenset({Phase.RECONNECTING, Phase.TERMINATING}),
    Phase.TERMINATING: frozenset({Phase.GONE, Phase.REQUESTED}),
    Phase.GONE: frozenset(),
}

LIVE: Final = frozenset(Phase) - {Phase.GONE}
STARTING: Final = frozenset({Phase.REQUESTED, Phase.LAUNCHING, Phase.BOOTING, Phase.CONNECTING})
PENDING: Final = frozenset({Phase.LAUNCHING, Phase.BOOTING, Phase.CONNECTING})
"""Phases that a limit called `pending` counts: launched, not yet online."""

_GOAL_ORDER: Final = (Goal.ONLINE, Goal.DRAINED, Goal.GONE)


def may_follow(now: Phase, after: Phase) -> bool:
    """Tells whether an agent in phase `now` may go to phase `after`; staying is no change and not allowed."""
    return after in TRANSITIONS[now]


def later_goal(now: Goal, asked: Goal) -> Goal:
    """The one of two goals that stands: goals never move back."""
    return max(now, asked, key=_GOAL_ORDER.index)
