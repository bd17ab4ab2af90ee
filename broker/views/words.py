"""What is said of a reason, and to whom: a viewer is not shown the clouds' own words, which may hold account ids."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from broker.domain.limits import Lever, LeverKind
from broker.domain.placement import Rejection
from broker.domain.reason import REASONS, Reason

OURS: Final = frozenset(
    {
        Reason.NO_MATCHING_POLICY,
        Reason.INVALID_REQUEST,
        Reason.NAME_TAKEN,
        Reason.OVERRIDE_FORBIDDEN,
        Reason.POOL_AT_LIMIT,
        Reason.POLICY_AT_LIMIT,
        Reason.CONTROLLER_AT_LIMIT,
        Reason.BROKER_AT_LIMIT,
        Reason.JOB_AT_LIMIT,
        Reason.BUDGET_EXCEEDED,
        Reason.POOL_PAUSED,
        Reason.POOL_DRAINING,
        Reason.OUTSIDE_HOURS,
        Reason.MAX_SKEW,
        Reason.ONLINE,
        Reason.IDLE_TIMEOUT,
        Reason.MAX_LIFETIME,
        Reason.COMPLETED,
        Reason.CANCELLED,
        Reason.SUPERSEDED,
        Reason.RECONNECT_TIMEOUT,
        Reason.DRAIN_TIMEOUT,
    }
)
"""Reasons whose messages the broker, Jenkins or an operator has written: none quotes a cloud."""


@dataclass(frozen=True, slots=True)
class Words:
    """What one reader may read; `raw` for one who may see what clouds answered."""

    raw: bool

    def message(self, reason: Reason | None, message: str) -> str:
        """The message, or nothing if it may quote a cloud and the reader may not see that."""
        return message if self.raw or reason in OURS else ""

    def hint(self, reason: Reason | None, message: str) -> str:
        """What is the matter, where we said it ourselves, and what to do next."""
        if reason is None:
            return ""
        told = f"{message.rstrip('.')}. " if message and reason in OURS else ""
        return f"{told}{REASONS[reason].hint}"

    def rejection(self, rejection: Rejection) -> Rejection:
        """A why-not with the message that the reader may read."""
        message = self.message(rejection.reason, rejection.message) or REASONS[rejection.reason].meaning
        return Rejection(pool=rejection.pool, reason=rejection.reason, message=message)

    def line(self, reason: Reason | None, message: str) -> str:
        """Code and message in one line, as far as the reader may read them."""
        told = self.message(reason, message).partition("\n")[0]
        return ": ".join(part for part in (reason, told) if part)


def lever_words(lever: Lever) -> str:
    """Who did what with a pool and why, such as: paused by ana since 13:46 UTC until 14:46 UTC: "ECR migration"."""
    what = "paused" if lever.kind is LeverKind.PAUSE else "being emptied"
    until = f" until {moment(lever.until, lever.since)} UTC" if lever.until else ""
    why = f': "{lever.reason}"' if lever.reason else ""
    return f"{what} by {lever.actor} since {lever.since:%H:%M} UTC{until}{why}"


def moment(at: datetime, seen_from: datetime) -> str:
    """A time of day, with the date where it is another day's."""
    return f"{at:%H:%M}" if at.date() == seen_from.date() else f"{at:%Y-%m-%d %H:%M}"
