"""The choice of an offer, with a reason for every one not chosen."""

from dataclasses import dataclass
from datetime import datetime

from broker.domain.agent import Agent
from broker.domain.ids import PoolName
from broker.domain.limits import Claim
from broker.domain.money import Rate
from broker.domain.offer import Offer
from broker.domain.policy import Policy
from broker.domain.reason import Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """Why offers of a pool were not chosen, in a code and in words for people: one for all that it is the same of."""

    pool: PoolName
    reason: Reason
    message: str
    zone: str = ""
    type: str = ""
    offers: int = 1
    """Of how many offers it is said; 1 too where the whole pool is out of the question."""
    cause: Reason | None = None
    """What lies behind it, such as the failure that a pool rests after; a fallback's `when` looks at it first."""
    until: datetime | None = None
    """When time alone ends it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """A chosen offer and what spoke against the others."""

    offer: Offer
    why: str = ""
    """Why this one, in words, such as "share 71 % of 80 %"; empty: the first of the policy's order."""
    fallback_for: Reason | None = None
    """Why the pools before it could not, if it is a fallback."""
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
    rate: Rate | None = None
    """What it costs; None: its pool has no price."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waits:
    """No pool can take the agent now; `reason` and `message` sum up why, the rejections say it pool by pool."""

    agent: Agent
    policy: Policy | None
    reason: Reason
    message: str
    rejections: tuple[Rejection, ...] = ()
    stalled: bool = False
    """Whether it waits for the end of an agent: of a cap that only that makes room under."""
    look_at: datetime | None = None
    """When time alone may change it; None: time does not."""


Decision = Placed | Waits
