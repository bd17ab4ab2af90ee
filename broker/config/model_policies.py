"""The noun `policies`: which label runs where, and how."""

from datetime import timedelta
from typing import Annotated, ClassVar, Final, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from broker.config.base import MOST, AtLeastOne, Cap, Count, Cpu, Label, Model, OrText, Text
from broker.config.cron import check_cron
from broker.config.hours import HOURS, check_hours, check_zone
from broker.config.suggest import nearest
from broker.config.units import Backoff, Duration, Size, SomeTime, pattern_schema, problem
from broker.domain.policy import Strategy
from broker.domain.reason import Reason

_LONGEST_WORD: Final = 60


def _pool_by_name(value: object) -> object:
    return {"pool": value} if isinstance(value, str) else value


OF_NO_POOL: Final = frozenset(
    {
        Reason.NO_MATCHING_POLICY,
        Reason.INVALID_REQUEST,
        Reason.NAME_TAKEN,
        Reason.OVERRIDE_FORBIDDEN,
        Reason.POLICY_AT_LIMIT,
        Reason.CONTROLLER_AT_LIMIT,
        Reason.BROKER_AT_LIMIT,
        Reason.JOB_AT_LIMIT,
        Reason.OUTSIDE_HOURS,
        Reason.QUEUE_TIMEOUT,
        Reason.DRAIN_TIMEOUT,
        Reason.ONLINE,
        Reason.IDLE_TIMEOUT,
        Reason.MAX_LIFETIME,
        Reason.COMPLETED,
        Reason.CANCELLED,
        Reason.SUPERSEDED,
    }
)
"""Never the cause of a fallback: of the request, of a cap that holds in every pool, of other fallbacks, of ends."""
_OF_A_POOL: Final = tuple(str(reason) for reason in Reason if reason not in OF_NO_POOL)


def _reason(value: object) -> object:
    if isinstance(value, str) and value in OF_NO_POOL:
        raise problem("never-said", f"'{value}' is never said of a pool", f"these are: {', '.join(_OF_A_POOL)}")
    if isinstance(value, str) and value not in _OF_A_POOL:
        meant = nearest(value, _OF_A_POOL) if len(value) <= _LONGEST_WORD else None
        help_ = f"did you mean '{meant}'?" if meant else f"the reasons are: {', '.join(_OF_A_POOL)}"
        raise problem("unknown-reason", f"'{value}' is not a reason", help_)
    return value


def _strategy(value: object) -> object:
    if value == "random":
        raise problem(
            "unknown-value",
            "the text 'random' is not a value of 'strategy'",
            f"it is a placement strategy of Amazon ECS, not of policies; one of: {', '.join(Strategy)}",
        )
    return value


ReasonCode = Annotated[str, BeforeValidator(_reason), WithJsonSchema({"type": "string", "enum": list(_OF_A_POOL)})]
StrategyName = Annotated[
    Literal["ordered", "weighted", "spread", "binpack", "cheapest", "fastest"], BeforeValidator(_strategy)
]
Hour = Annotated[str, BeforeValidator(check_hours), pattern_schema(HOURS.pattern, "20:00-08:00")]
Zone = Annotated[Text, BeforeValidator(check_zone)]


class PoolUse(Model):
    """A pool as a policy uses it."""

    pool: Text = Field(description="Name of the pool.", examples=["fargate-spot"])
    weight: Count = Field(
        default=1, description="Share of the agents; 0: none but its base; strategy weighted.", examples=[4]
    )
    base: Count = Field(
        default=0, description="How many agents it gets before weights count; strategy weighted.", examples=[2]
    )


class Hours(Model):
    """A part of the day."""

    hours: Hour = Field(description="Such as 20:00-08:00.", examples=["20:00-08:00"])
    timezone: Zone = Field(default="UTC", description="Name of the time zone.", examples=["Asia/Shanghai"])


class Fallback(Model):
    """A pool to turn to when the first ones cannot."""

    pool: Text = Field(description="Name of the pool.", examples=["hangzhou"])
    after: Duration = Field(default=timedelta(0), description="How long an agent must have waited.", examples=["45s"])
    when: Annotated[list[ReasonCode], Field(min_length=1)] | None = Field(
        default=None,
        description="Why a pool before it cannot; default: whatever the reason.",
        examples=[["InsufficientCapacity", "PoolAtLimit"]],
    )
    only: Hours | None = Field(default=None, description="When it may be used.")


class PolicyLimits(Model):
    """Caps of a policy."""

    agents: Cap | None = Field(default=None, description="Most agents at once, in whatever phase.")
    pending: Cap | None = Field(default=None, description="Most agents at once that are launched and not yet online.")
    per_job: Cap | None = Field(default=None, description="Most agents at once for one job, by its full name.")


class TimeoutsModel(Model):
    """One deadline a phase."""

    queue: SomeTime = Field(default=timedelta(minutes=15), description="From the request to a place; see on_timeout.")
    launch: SomeTime = Field(default=timedelta(minutes=2), description="The launch call.")
    boot: SomeTime = Field(default=timedelta(minutes=6), description="Until the instance runs.")
    connect: SomeTime = Field(default=timedelta(minutes=3), description="Until Jenkins says that the agent is online.")
    reconnect: SomeTime = Field(default=timedelta(minutes=5), description="After a lost session.")
    drain: SomeTime = Field(
        default=timedelta(hours=2),
        description="For the end of the build on an agent that an operator drains; then it is cut.",
    )
    on_timeout: Literal["wait", "fail"] = Field(
        default="wait", description="What the end of queue does: nothing, or Jenkins cancels the build with the reason."
    )


class RetryModel(Model):
    """Attempts to launch an agent."""

    attempts: AtLeastOne = Field(default=3, description="How often an agent is launched before it fails.")
    backoff: Backoff = Field(
        default=(timedelta(seconds=2), timedelta(seconds=30)),
        description="Pause between attempts: the first and the longest.",
    )


class WarmSchedule(Model):
    """Another number of idle agents from a point in time on."""

    cron: Annotated[Text, BeforeValidator(check_cron)] = Field(description="Five fields.", examples=["0 8 * * MON-FRI"])
    timezone: Zone = Field(default="UTC", description="Name of the time zone.")
    min_idle: Count = Field(description="Idle agents from then on.")


class Warm(Model):
    """Agents that are started before a build asks."""

    min_idle: Count = Field(
        default=0,
        description="Idle agents, not executors, to keep of all controllers together; those that start count.",
        examples=[2],
    )
    schedule: list[WarmSchedule] = Field(
        default=[], description="Changes of min_idle by time; the one that came last holds."
    )


class Budget(Model):
    """A cap on money."""

    amount: Annotated[float, Field(gt=0)] = Field(description="How much.", examples=[80])
    currency: Text | None = Field(default=None, description="Default: the base currency.", examples=["USD"])
    per: Literal["day", "week", "month"] = Field(default="day", description="In what time.")
    on_exceeded: Literal["pause", "warn"] = Field(default="pause", description="What happens then.")


class Overrides(Model):
    """What a job may ask for itself."""

    allow: list[Literal["image", "cpu", "memory"]] = Field(
        default=[], description="Which keys of the template.", examples=[["image", "cpu"]]
    )
    images: list[Text] = Field(
        default=[],
        description="Patterns of allowed images, whole references; without any none is.",
        examples=[["registry.example.com/acme/*"]],
    )
    max_cpu: Cpu | None = Field(default=None, description="Most vCPU.")
    max_memory: Size | None = Field(default=None, description="Most memory.")


class Spread(Model):
    """How strategy spread counts."""

    by: Literal["zone", "type", "pool", "host"] = Field(
        default="zone", description="What is kept even; type: of the machines, such as ecs.c7.xlarge."
    )
    max_skew: AtLeastOne = Field(default=1, description="Largest difference between two of them.")


class Binpack(Model):
    """How strategy binpack measures fullness."""

    by: Literal["memory", "cpu", "agents"] = Field(default="memory", description="What is filled.")


class PolicyModel(Model):
    """For a set of labels: template, strategy, pools and bounds."""

    noun: ClassVar[str] = "a policy"
    labels: list[Label] = Field(
        default=[], description="What a job must ask for; a job may ask for fewer.", examples=[["linux", "docker"]]
    )
    accept_unlabelled: bool = Field(default=False, description="Whether jobs without a label run here.")
    template: Text | None = Field(
        default=None, description="What its agents are; default: template default.", examples=["java"]
    )
    pools: Annotated[list[Annotated[PoolUse, BeforeValidator(_pool_by_name), OrText()]], Field(min_length=1)] = Field(
        description="Where its agents may run, in order."
    )
    strategy: StrategyName = Field(default="ordered", description="How one of the pools is chosen.")
    fallback: list[Fallback] = Field(default=[], description="Pools to turn to when the first ones cannot.")
    limits: PolicyLimits = Field(default=PolicyLimits(), description="Caps.")
    timeouts: TimeoutsModel = Field(default=TimeoutsModel(), description="One deadline a phase.")
    retry: RetryModel = Field(default=RetryModel(), description="Attempts to launch an agent.")
    warm: Warm = Field(default=Warm(), description="Agents that are started before a build asks.")
    budget: Budget | None = Field(default=None, description="A cap on money.")
    overrides: Overrides | None = Field(
        default=None, description="What a build may ask for itself by its label, such as linux && cpu=4."
    )
    spread: Spread | None = Field(default=None, description="How strategy spread counts.")
    binpack: Binpack | None = Field(default=None, description="How strategy binpack measures fullness.")
    name_prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9](-?[A-Za-z0-9])*$", max_length=24)] | None = Field(
        default=None, description="What agents' names begin with; default: the policy's name.", examples=["ci"]
    )
    priority: Annotated[int, Field(ge=-MOST, le=MOST)] = Field(
        default=0, description="Which policy gets a job that several could take: the highest.", examples=[10]
    )
    controllers: list[Text] | None = Field(
        default=None, description="Which controllers may use it; default: all.", examples=[["main"]]
    )
