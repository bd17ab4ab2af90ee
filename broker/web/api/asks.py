"""What a call may say: in its URL, and in its body. Keys that are not known are refused."""

from typing import Annotated, Final

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from broker.domain.labels import LONGEST
from broker.domain.lifecycle import Phase
from broker.domain.reason import Reason


class Query(BaseModel):
    """What a call says in its URL."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class NoQuery(Query):
    """Nothing."""


MOST_NUMBER: Final = 2**63 - 1
"""What databases number by."""
Name = Annotated[str, Field(min_length=1, max_length=128)]


class AgentsQuery(Query):
    """Which agents."""

    phase: Phase | None = Field(default=None, description="Only those in this phase.")
    policy: Name | None = Field(default=None, description="Only those of this policy.")
    pool: Name | None = Field(default=None, description="Only those placed in this pool.")
    controller: Name | None = Field(default=None, description="Only those of this controller.")
    all: bool = Field(default=False, description="Those that are gone, too.")
    limit: int = Field(default=500, ge=1, le=1000, description="Most agents in the answer.")
    after: str | None = Field(default=None, max_length=160, description="The `next` of the answer before.")


class EventsQuery(Query):
    """Which events. Without `after` and `since`: a list begins with the last ones, a stream with the next one."""

    after: int | None = Field(default=None, ge=0, le=MOST_NUMBER, description="Only those behind this number.")
    since: str | None = Field(default=None, max_length=40, description="Only those of this last time: 90s, 15m, 1h.")
    agent: Name | None = Field(default=None, description="Only those of the agent of this name.")
    pool: Name | None = Field(default=None, description="Only those in this pool.")
    controller: Name | None = Field(default=None, description="Only those of this controller.")
    reason: Reason | None = Field(default=None, description="Only those with this reason.")
    audit: bool = Field(default=False, description="Only what operators did; for operators.")
    limit: int = Field(default=256, ge=1, le=1000, description="Most events in a list.")


class ExplainQuery(Query):
    """The question."""

    what: str = Field(
        min_length=1,
        max_length=2100,
        description="An agent's name, a build's URL, or: policy NAME, pool NAME, label EXPRESSION, reason CODE.",
    )
    controller: Name | None = Field(default=None, description="For a label: the controller whose build it is of.")


class PlanQuery(Query):
    """Which agents: those of a label, or of a policy."""

    label: str | None = Field(default=None, max_length=LONGEST, description="A label expression; none: no label.")
    policy: Name | None = Field(default=None, description="The policy; default: the first that the label matches.")
    n: int = Field(default=1, ge=1, le=10_000, description="How many, all at once.")
    job: str = Field(default="", max_length=1024, description="The job whose builds they are for.")
    controller: Name | None = Field(default=None, description="Whose; default: the first that may use the policy.")
    at: AwareDatetime | None = Field(default=None, description="At another time than now, as things stand now.")


class Body(BaseModel):
    """What a call says in its body; a number is a number there."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Termination(Body):
    """How an agent is to be ended."""

    force: bool = Field(default=False, description="Also if it runs a build, which is cut.")
    reason: str = Field(default="", max_length=500, description="Why; it is kept in the history.")


class Launching(Body):
    """Which agents are wanted, though no build waits."""

    label: str = Field(default="", max_length=LONGEST, description="A label expression; its first policy is taken.")
    policy: Name | None = Field(default=None, description="The policy; default: the first that the label matches.")
    controller: Name | None = Field(default=None, description="Whose agents; needed if several are connected.")
    count: int = Field(default=1, ge=1, le=100, description="How many.")
    id: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9_-]{1,64}$",
        description="What to call the launch: the same call again, with the same id, launches nothing more.",
    )
    expires_s: int = Field(
        default=300, ge=1, le=86_400, description="For how many seconds Jenkins is asked; agents asked for go on."
    )


class Draining(Body):
    """How an agent is to be drained."""

    reason: str = Field(default="", max_length=500, description="Why; it is kept in the history.")


class HostsWanted(Body):
    """Where hosts are wanted, though no agent waits for them."""

    pool: Name = Field(description="The pool.")
    count: int = Field(default=1, ge=1, le=100, description="How many.")


_LONGEST_S: Final = 30 * 86_400


class Lasting(Body):
    """Why something is done with a pool, and for how long."""

    reason: str = Field(default="", max_length=500, description="Why; it is shown where agents wait for the pool.")
    for_s: int | None = Field(
        default=None, ge=1, le=_LONGEST_S, description="For how many seconds; default: until it is resumed."
    )


class Resuming(Body):
    """Why a pool is used again."""

    reason: str = Field(default="", max_length=500, description="Why; it is kept in the history.")


class Setting(Body):
    """A key of a pool and its value for a time."""

    key: str = Field(min_length=1, max_length=64, description="Such as limits.agents or cooldown.for.")
    value: str = Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9.+-]+$", description="As a file writes it.")
    for_s: int = Field(ge=1, le=_LONGEST_S, description="For how many seconds.")
    reason: str = Field(default="", max_length=500, description="Why; it is shown with the pool.")


class Unsetting(Body):
    """A key of a pool whose value is to be the config's again."""

    key: str = Field(min_length=1, max_length=64, description="Such as limits.agents or cooldown.for.")


class Reloading(Body):
    """How the config is to be read anew."""

    dry_run: bool = Field(default=False, description="Only say what would change.")
