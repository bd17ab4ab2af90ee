"""What the API says, version 1: keys are added, never removed. Times are RFC 3339 in UTC, durations are in seconds."""

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, WithJsonSchema

from broker.domain.lifecycle import Goal, Outcome, Phase
from broker.domain.reason import Reason


def _moment(value: datetime) -> str:
    return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


Moment = Annotated[
    datetime,
    PlainSerializer(_moment, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time"}, mode="serialization"),
]
Seconds = Annotated[float, Field(ge=0, description="Seconds.")]


class Model(BaseModel):
    """A part of an answer."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Resource(Model):
    """An answer that stands for itself."""

    api: Literal["v1"] = "v1"


class Error(Model):
    """What went wrong, and what to do."""

    code: str = Field(description="A word for programs, such as not_found; it stays.")
    message: str = Field(description="What is wrong, with its place.")
    hint: str = Field(description="What to do next.")


class NotChosen(Model):
    """Why a pool did not get an agent."""

    pool: str
    reason: Reason
    message: str


class Attempt(Model):
    """One launch of an agent in one pool."""

    number: int
    pool: str | None
    started_at: Moment
    online_at: Moment | None
    ended_at: Moment | None
    reason: Reason | None
    message: str


class Event(Resource):
    """One thing that happened. Numbers rise; none is used twice."""

    kind: Literal["Event"] = "Event"
    number: int
    at: Moment
    event: str = Field(description="Such as placed, failed, online, gone.")
    controller: str
    agent: str
    policy: str
    phase: Phase | None
    attempt: int
    pool: str | None
    reason: Reason | None
    message: str
    actor: str = Field(description="Who did it, for what an operator did; else empty.")


class TimelineStep(Event):
    """An event of an agent, and how long it was until the next."""

    lasted_s: Seconds | None
    chosen_because: str = Field(description="Of placed: why this pool; empty: the first of the policy's order.")
    fallback_for: Reason | None = Field(description="Of placed in a fallback: what the pools before it had.")
    not_chosen: tuple[NotChosen, ...] = Field(description="Of placed: what spoke against the others.")


class Agent(Resource):
    """One agent that Jenkins asked for."""

    kind: Literal["Agent"] = "Agent"
    id: str = Field(description="Its name, as in Jenkins.")
    uid: str = Field(description="The broker's own id of it.")
    controller: str
    labels: str = Field(description="The label expression that was asked for.")
    policy: str
    job: str
    build_url: str
    cause: str = Field(description="Why it was asked for: queue (a build waits), warm (kept ready) or manual.")
    phase: Phase
    goal: Goal
    pool: str | None
    attempt: int = Field(description="The number of its last launch; 0 before the first.")
    attempts_allowed: int
    reason: Reason | None = Field(description="Why it waits, failed or ended.")
    message: str = Field(description="The words to the reason: a cloud's own are shown to operators alone.")
    hint: str
    position: int | None = Field(description="Its place in the line of its policy, from 1, while it waits.")
    busy: bool
    uses: int = Field(description="Builds that it has begun.")
    outcome: Outcome | None
    launch_id: str | None = Field(description="The launch by hand that wanted it, if it was asked of the broker.")
    requested_by: str | None = Field(description="Who launched it by hand, here or in Jenkins; null otherwise.")
    created_at: Moment
    phase_since: Moment
    deadline: Moment | None
    online_at: Moment | None
    gone_at: Moment | None
    age_s: Seconds = Field(description="Since it was asked for; for one that is gone, until then.")


class AgentDetail(Agent):
    """An agent with its life so far."""

    attempts: tuple[Attempt, ...]
    not_chosen: tuple[NotChosen, ...] = Field(
        description="While it waits: why no pool takes it; then: those passed by."
    )
    timeline: tuple[TimelineStep, ...]


class Agents(Resource):
    """A part of the list of agents; `next` is the `after` of the next part."""

    items: tuple[Agent, ...]
    next: str | None


class Launch(Resource):
    """Agents that an operator wants of Jenkins, though no build waits."""

    kind: Literal["Launch"] = "Launch"
    id: str
    controller: str
    policy: str
    labels: str = Field(description="The label expression that was asked for.")
    count: int
    state: Literal["open", "complete", "expired"] = Field(
        description="complete: Jenkins has asked for all; expired: it has not, and is asked no more."
    )
    message: str = Field(description="Why Jenkins asks for no more of them now; empty where it has or will.")
    requested_by: str
    created_at: Moment
    expires_at: Moment
    agents: tuple[Agent, ...] = Field(description="Those that Jenkins has asked for, also those that are gone.")


class Events(Resource):
    """Events, the oldest first; `last` is the `after` of the next call, `more` says that there are more already."""

    items: tuple[Event, ...]
    last: int
    more: bool


class Resync(Resource):
    """Too many events to send: those behind `after` can be read as a list; the stream goes on at `last`."""

    kind: Literal["Resync"] = "Resync"
    after: int
    last: int


class ExplanationLine(Model):
    """One thing that bears on the question."""

    name: str
    state: str
    text: str
    reason: Reason | None = Field(description="The code to it, if there is one.")


class Explanation(Resource):
    """Why it is so, and what to type next."""

    kind: Literal["Explanation"] = "Explanation"
    about: Literal["agent", "policy", "pool", "label", "reason"]
    id: str
    summary: str
    reason: Reason | None
    hint: str
    lines: tuple[ExplanationLine, ...]
    commands: tuple[str, ...]
    agent: AgentDetail | None
