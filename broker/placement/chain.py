"""The fallbacks of a policy: when each may be turned to, and what is said of it until then."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from broker.domain.agent import Agent
from broker.domain.placement import Rejection
from broker.domain.policy import Fallback, Policy
from broker.domain.reason import Reason
from broker.domain.schedule import is_open
from broker.placement import words
from broker.placement.feasible import Choice

_NOT_TURNED_TO: Final = frozenset({Reason.SUPERSEDED, Reason.OUTSIDE_HOURS})
"""What is said of a fallback that nobody tried; it is no cause to turn to the next."""


def due(policy: Policy, requested_at: datetime, now: datetime) -> int:
    """The fallbacks of a policy whose `after` has passed, as bits: the first is 1."""
    return sum(1 << at for at, step in enumerate(policy.fallback) if requested_at + step.after <= now)


class Step:
    """A fallback as the requests of one class see it, the oldest of which is `first`."""

    __slots__ = ("choice", "fallback", "shut", "standby")

    def __init__(self, choice: Choice, fallback: Fallback, first: Agent, ripe: int) -> None:
        self.choice = choice
        self.fallback = fallback
        self.shut = self._hours(choice.now) if ripe else self._early(first.requested_at)
        """Why it may not be turned to, whatever the pools before it say; empty if it may."""
        self.standby = (self._said(Reason.SUPERSEDED, words.standby(fallback)),)
        """What is said of it where one before it is chosen."""

    def against(self, causes: Sequence[Reason]) -> tuple[Rejection, ...]:
        """Why it takes no agent now, the pools before it being out of the question for these reasons."""
        when = self.fallback.when
        if not self.shut and when and not any(cause in when for cause in causes):
            return (self._said(Reason.SUPERSEDED, words.standby(self.fallback)),)
        return self.shut or self.choice.against()

    def turned_to_for(self, causes: Sequence[Reason]) -> Reason | None:
        """Which of the reasons it is the fallback for."""
        when = self.fallback.when
        return next((cause for cause in causes if not when or cause in when), None)

    def _hours(self, now: datetime) -> tuple[Rejection, ...]:
        if self.fallback.only is None:
            return ()
        opened, until = is_open(self.fallback.only, now)
        message = words.closed(self.fallback)
        return () if opened else (self._said(Reason.OUTSIDE_HOURS, message, until),)

    def _early(self, requested_at: datetime) -> tuple[Rejection, ...]:
        return (self._said(Reason.SUPERSEDED, words.standby(self.fallback), requested_at + self.fallback.after),)

    def _said(self, reason: Reason, message: str, until: datetime | None = None) -> Rejection:
        return Rejection(pool=self.choice.name, reason=reason, message=message, until=until)


def causes(rejections: Iterable[Rejection]) -> list[Reason]:
    """What lies behind rejections: the failure that a pool rests after goes before the rest itself."""
    said = [r for r in rejections if r.reason not in _NOT_TURNED_TO]
    return list(dict.fromkeys(cause for r in said for cause in (r.cause, r.reason) if cause is not None))
