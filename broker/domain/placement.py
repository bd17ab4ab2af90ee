"""The choice of an offer, with a reason for every one not chosen."""

from dataclasses import dataclass

from broker.domain.agent import Agent
from broker.domain.ids import PoolName
from broker.domain.limits import Claim
from broker.domain.offer import Offer
from broker.domain.policy import Policy
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """The agent goes to the placement's pool and takes the claims."""

    agent: Agent
    policy: Policy
    placement: Placement
    claims: tuple[Claim, ...]
    direct: bool = False
    """Whether the pool's agents connect to Jenkins itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waits:
    """No pool can take the agent now; `reason` and `message` sum up why, the rejections say it pool by pool."""

    agent: Agent
    policy: Policy | None
    reason: Reason
    message: str
    rejections: tuple[Rejection, ...] = ()


Decision = Placed | Waits
