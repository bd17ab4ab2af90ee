"""What limits are of, what an agent takes of them, and which pools rest: what placements are decided against."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from broker.domain.host import HostInUse
from broker.domain.ids import AgentId, ControllerName, PolicyName, PoolName
from broker.domain.offer import Offering
from broker.domain.reason import Reason
from broker.domain.resources import Resources


class Scope(StrEnum):
    """What a limit is a limit of. The pending ones are given back when the agent is online, the others at its end."""

    BROKER_AGENTS = "broker_agents"
    BROKER_PENDING = "broker_pending"
    CONTROLLER_AGENTS = "controller_agents"
    CONTROLLER_PENDING = "controller_pending"
    POLICY_AGENTS = "policy_agents"
    POLICY_PENDING = "policy_pending"
    POLICY_BUDGET = "policy_budget"
    JOB_AGENTS = "job_agents"
    POOL_AGENTS = "pool_agents"
    POOL_PENDING = "pool_pending"
    POOL_CPU_MILLI = "pool_cpu_milli"
    POOL_MEMORY_MIB = "pool_memory_mib"


PENDING_SCOPES: Final = frozenset(
    {Scope.BROKER_PENDING, Scope.CONTROLLER_PENDING, Scope.POLICY_PENDING, Scope.POOL_PENDING},
)

_REASONS: Final[Mapping[str, Reason]] = {
    "broker": Reason.BROKER_AT_LIMIT,
    "controller": Reason.CONTROLLER_AT_LIMIT,
    "policy": Reason.POLICY_AT_LIMIT,
    "job": Reason.JOB_AT_LIMIT,
    "pool": Reason.POOL_AT_LIMIT,
    "budget": Reason.BUDGET_EXCEEDED,
}
_UNITS: Final[Mapping[str, str]] = {
    "agents": "agents",
    "pending": "starting agents",
    "budget": "millionths of money",
}


def budget_key(policy: PolicyName, period: str) -> str:
    """The key of a budget's limit: of one policy in one period."""
    return f"{policy}|{period}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What one agent would take of one limit."""

    scope: Scope
    key: str
    amount: int
    cap: int | None
    words: str = ""
    """What a refusal says, where numbers would not do."""

    @property
    def reason(self) -> Reason:
        """The reason to give when this limit is full."""
        return _REASONS["budget" if self.scope is Scope.POLICY_BUDGET else self.scope.split("_")[0]]

    def refusal(self, used: int) -> str:
        """Says that the limit is full, in words that stay the same while it is, whoever comes and goes."""
        if self.words:
            return self.words
        owner, _, unit = self.scope.partition("_")
        name = "the broker" if owner == "broker" else f"{owner} {self.key}"
        if unit == "cpu_milli" and self.cap is not None:
            return f"{name} is at its limit ({self.cap / 1000:g} vCPU; this agent takes {self.amount / 1000:g})"
        if unit == "memory_mib":
            return f"{name} is at its limit ({self.cap} MiB of memory; this agent takes {self.amount})"
        if self.cap is not None and used > self.cap:
            return f"{name} is over its limit ({self.cap} {_UNITS[unit]})"
        return f"{name} is at its limit ({used} of {self.cap} {_UNITS[unit]})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rest:
    """The state of a pool's breaker; a pool without failures has none.

    `opened` counts how often it opened since the last success: 0 is closed. After `until` one agent may try: `probe`.
    """

    opened: int
    until: datetime | None
    probe: AgentId | None
    why: Reason | None
    message: str
    since: datetime | None = None
    """When the first of the counted failures was, or when it opened last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cooled:
    """An offering that was out of stock: left alone until then. Without zone and type it stands for all that have one,
    without capacity for all of the pool."""

    until: datetime
    why: Reason
    message: str


class LeverKind(StrEnum):
    """What an operator does with a pool: no new agents, or none at all."""

    PAUSE = "pause"
    DRAIN = "drain"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lever:
    """What an operator did with a pool; `until` None is until somebody ends it."""

    pool: PoolName
    kind: LeverKind
    actor: str
    reason: str
    since: datetime
    until: datetime | None


@dataclass(slots=True, kw_only=True)
class Usage:
    """Mutable on purpose: a batch takes from it as it goes, so that two agents never take the same place."""

    now: datetime
    used: dict[tuple[Scope, str], int] = field(default_factory=dict)
    rests: dict[PoolName, Rest] = field(default_factory=dict)
    cooled: dict[Offering, Cooled] = field(default_factory=dict)
    levers: Mapping[PoolName, Lever] = field(default_factory=dict)
    held: Counter[tuple[ControllerName, PolicyName]] = field(default_factory=Counter)
    """How many agents with a place each has: what is shared fairly."""
    of_pool: Counter[tuple[PolicyName, PoolName]] = field(default_factory=Counter)
    """A policy's agents with a place, by pool."""
    of_zone: Counter[tuple[PolicyName, PoolName, str]] = field(default_factory=Counter)
    of_type: Counter[tuple[PolicyName, PoolName, str]] = field(default_factory=Counter)
    """By the type of the machine that they are on, where the backend names it."""
    of_host: Counter[tuple[PolicyName, PoolName, str]] = field(default_factory=Counter)
    unseen: Counter[tuple[Offering, str, Resources]] = field(default_factory=Counter)
    """Agents by offering, host and size that the offers cannot know of yet: placed after the backend was asked."""
    hosts: Mapping[PoolName, Sequence[HostInUse]] = field(default_factory=dict)
    """The hosts of ours that are not gone, the oldest first."""
    living_hosts: Counter[PoolName] = field(default_factory=Counter)
    """How many these are: what `limits.hosts` counts."""
    medians: Mapping[PoolName, timedelta] = field(default_factory=dict)
    """From place to online, of the last hour's agents of a pool."""
    lives: Mapping[PolicyName, timedelta] = field(default_factory=dict)
    """How long a policy's agents live: the median of those that ended."""
    window: dict[PoolName, int | None] = field(default_factory=dict)
    """How many more launches a pool that has not proved itself may have; None or not there: no bound."""

    def cooled_at(self, offering: Offering) -> Cooled | None:
        """What keeps agents out of an offering: its own lack, or that of all in its pool, or paid for alike there."""
        if not self.cooled:
            return None
        wider = (offering, Offering(offering.pool, capacity=offering.capacity), Offering(offering.pool))
        return next((found for of in wider if (found := self.cooled.get(of)) is not None), None)

    def first_full(self, claims: Iterable[Claim]) -> Claim | None:
        """The first claim for which there is no room; None if all fit."""
        return next((c for c in claims if c.cap is not None and self.taken(c) + c.amount > c.cap), None)

    def taken(self, claim: Claim) -> int:
        """How much of the claim's limit is taken."""
        return self.used.get((claim.scope, claim.key), 0)

    def take(self, claims: Iterable[Claim]) -> None:
        """Takes the claims."""
        for claim in claims:
            self.used[claim.scope, claim.key] = self.taken(claim) + claim.amount
