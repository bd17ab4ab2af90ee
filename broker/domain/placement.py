"""The choice of an offer, with a reason for every one not chosen."""

from dataclasses import dataclass

from broker.domain.ids import PoolName
from broker.domain.offer import Offer
from broker.domain.reason import Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """Why a pool was not chosen, in a code and in words for people."""

    pool: PoolName
    reason: Reason
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """A chosen offer and what spoke against the others."""

    offer: Offer
    rejections: tuple[Rejection, ...] = ()
