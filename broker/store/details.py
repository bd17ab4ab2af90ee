"""What placement said of an agent, as it stands in the history: JSON, of bounded length."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from broker.domain.ids import PoolName
from broker.domain.placement import Rejection
from broker.domain.reason import Reason

MOST: Final = 20
"""Rejections that are kept of one decision: the first ones, in the policy's order."""
_LONGEST: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Details:
    """Where, why there, instead of what, and what spoke against the others."""

    zone: str = ""
    why: str = ""
    fallback_for: Reason | None = None
    rejections: tuple[Rejection, ...] = ()


def to_text(details: Details) -> str | None:
    """The text of details; None where there is nothing to tell."""
    told: dict[str, Any] = {}
    if details.zone:
        told["zone"] = details.zone[:_LONGEST]
    if details.why:
        told["why"] = details.why[:_LONGEST]
    if details.fallback_for is not None:
        told["fallback_for"] = details.fallback_for
    if details.rejections:
        told["rejections"] = [_told(rejection) for rejection in details.rejections[:MOST]]
    return json.dumps(told, separators=(",", ":")) if told else None


def from_text(text: str | None) -> Details:
    """Back to details."""
    if not text:
        return Details()
    told = json.loads(text)
    why = told.get("fallback_for")
    return Details(
        zone=told.get("zone", ""),
        why=told.get("why", ""),
        fallback_for=Reason(why) if why else None,
        rejections=tuple(_rejection(one) for one in told.get("rejections", ())),
    )


def in_words(rejections: Sequence[Rejection], chosen: PoolName) -> str:
    """One line for people who read the row or the build's log: pool by pool, what spoke against it.

    Other places of the chosen pool that would have done as well are in the details alone.
    """
    told = (r for r in rejections[:MOST] if r.pool != chosen or r.reason is not Reason.SUPERSEDED)
    return "; ".join(f"{r.pool}: {r.reason}: {r.message[:_LONGEST]}" for r in told)


def _told(rejection: Rejection) -> dict[str, Any]:
    told: dict[str, Any] = {"pool": rejection.pool, "reason": rejection.reason, "message": rejection.message[:_LONGEST]}
    told |= {name: value for name in ("zone", "type", "cause") if (value := getattr(rejection, name))}
    if rejection.offers != 1:
        told["offers"] = rejection.offers
    if rejection.until is not None:
        told["until"] = rejection.until.isoformat()
    return told


def _rejection(told: dict[str, Any]) -> Rejection:
    cause, until = told.get("cause"), told.get("until")
    return Rejection(
        pool=PoolName(told["pool"]),
        reason=Reason(told["reason"]),
        message=told["message"],
        zone=told.get("zone", ""),
        type=told.get("type", ""),
        offers=told.get("offers", 1),
        cause=Reason(cause) if cause else None,
        until=datetime.fromisoformat(until) if until else None,
    )
