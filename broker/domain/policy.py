"""Which labels run where, and how."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from broker.domain.ids import ControllerName, PolicyName, PoolName, TemplateName


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
    """Idle agents to keep, of all controllers together."""
