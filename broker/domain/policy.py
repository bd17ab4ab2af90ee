"""Which labels run where, and how."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from broker.domain.ids import ControllerName, PolicyName, PoolName, TemplateName
from broker.domain.money import Budget
from broker.domain.overrides import OverrideRules
from broker.domain.reason import Reason
from broker.domain.schedule import Hours, WarmChange


class Strategy(StrEnum):
    """How a policy chooses among its pools."""

    ORDERED = "ordered"
    WEIGHTED = "weighted"
    SPREAD = "spread"
    BINPACK = "binpack"
    CHEAPEST = "cheapest"
    FASTEST = "fastest"


class OnTimeout(StrEnum):
    """What the end of `timeouts.queue` does: nothing, or fail the request."""

    WAIT = "wait"
    FAIL = "fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """One deadline a phase. `queue` counts only with `on_timeout: fail`."""

    queue: timedelta = timedelta(minutes=15)
    launch: timedelta = timedelta(minutes=2)
    boot: timedelta = timedelta(minutes=6)
    connect: timedelta = timedelta(minutes=3)
    reconnect: timedelta = timedelta(minutes=5)
    drain: timedelta = timedelta(hours=2)
    on_timeout: OnTimeout = OnTimeout.WAIT


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """How often an agent is launched before it fails, and the pause between: doubling from first to last."""

    attempts: int = 3
    backoff_first: timedelta = timedelta(seconds=2)
    backoff_last: timedelta = timedelta(seconds=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentLimits:
    """Caps of a policy, a controller or the whole broker; None is without limit."""

    agents: int | None = None
    pending: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolChoice:
    """A pool as one policy uses it."""

    pool: PoolName
    weight: int = 1
    base: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fallback:
    """A pool to turn to when those before it cannot: after a wait, for these reasons (empty: any), at these hours."""

    pool: PoolName
    after: timedelta = timedelta()
    when: tuple[Reason, ...] = ()
    only: Hours | None = None


class SpreadBy(StrEnum):
    """What strategy spread keeps even."""

    ZONE = "zone"
    TYPE = "type"
    POOL = "pool"
    HOST = "host"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """How strategy spread counts: no two differ by more than `max_skew` agents."""

    by: SpreadBy = SpreadBy.ZONE
    max_skew: int = 1


class PackBy(StrEnum):
    """What strategy binpack fills."""

    MEMORY = "memory"
    CPU = "cpu"
    AGENTS = "agents"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """For a set of labels: template, strategy, pools, limits, timeouts, retry."""

    name: PolicyName
    labels: tuple[str, ...]
    template: TemplateName
    pools: tuple[PoolChoice, ...]
    strategy: Strategy = Strategy.ORDERED
    accept_unlabelled: bool = False
    priority: int = 0
    name_prefix: str = ""
    """What agents' names begin with; empty means the policy's name."""
    limits: AgentLimits = AgentLimits()
    timeouts: Timeouts = Timeouts()
    retry: Retry = Retry()
    controllers: tuple[ControllerName, ...] = ()
    """Which controllers may use it; empty means all."""
    min_idle: int = 0
    """Idle agents to keep, of all controllers together; `warm_changes` say another number by the time."""
    warm_changes: tuple[WarmChange, ...] = ()
    fallback: tuple[Fallback, ...] = ()
    per_job: int | None = None
    """Most agents at once for one job."""
    budget: Budget | None = None
    overrides: OverrideRules = OverrideRules()
    spread: Spread = Spread()
    pack_by: PackBy = PackBy.MEMORY

    @property
    def chain(self) -> tuple[PoolName, ...]:
        """Every pool that its agents may run in: its own in order, then the fallbacks."""
        return (*(choice.pool for choice in self.pools), *(step.pool for step in self.fallback))
