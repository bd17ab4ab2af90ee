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
    cause: str
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


class Limit(Model):
    """A limit: what is taken of it now, and its cap, null if there is none."""

    name: Literal["agents", "pending", "cpu_milli", "memory_mib"]
    used: int
    cap: int | None


class Counts(Model):
    """Agents that are not gone."""

    total: int
    busy: int
    waiting: int = Field(description="Asked for, and without a place.")
    starting: int = Field(description="Launching, booting or connecting.")
    online: int
    ending: int = Field(description="Draining or terminating.")
    reconnecting: int
    oldest_waiting_at: Moment | None = Field(description="When the oldest was asked for that never was online.")


class Pool(Resource):
    """Where agents may run."""

    kind: Literal["Pool"] = "Pool"
    id: str
    backend: str
    type: str = Field(description="The backend's type, such as process.")
    state: Literal["ready", "paused", "cooldown", "draining"]
    reason: Reason | None = Field(description="Why it is not ready; of a cooldown: what the launches failed of.")
    message: str
    until: Moment | None = Field(description="When the state ends by itself.")
    limits: tuple[Limit, ...]
    agents: Counts
    policies: tuple[str, ...]


class Pools(Resource):
    """All pools."""

    items: tuple[Pool, ...]


class PolicyPool(Model):
    """A pool as a policy sees it now; without a reason it can take an agent, as far as is known."""

    pool: str
    reason: Reason | None
    message: str


class Policy(Resource):
    """Which labels run where, and how."""

    kind: Literal["Policy"] = "Policy"
    id: str
    labels: tuple[str, ...]
    accept_unlabelled: bool
    priority: int
    controllers: tuple[str, ...] = Field(description="Who may use it; empty means all.")
    template: str
    strategy: str
    pools: tuple[PolicyPool, ...]
    limits: tuple[Limit, ...]
    agents: Counts


class Policies(Resource):
    """All policies."""

    items: tuple[Policy, ...]


class Controller(Resource):
    """A Jenkins that talks to this broker."""

    kind: Literal["Controller"] = "Controller"
    id: str
    url: str
    link: Literal["connected", "syncing", "away", "never"] = Field(
        description="syncing: heard, but has not told its nodes since it booted; never: not since the broker's start."
    )
    connected_since: Moment | None
    last_heard_at: Moment | None
    policies: tuple[str, ...]
    limits: tuple[Limit, ...]
    agents: Counts


class Controllers(Resource):
    """All controllers."""

    items: tuple[Controller, ...]


class Part(Model):
    """A part of the broker and whether it works."""

    name: str
    ok: bool
    detail: str


class Gateway(Model):
    """A gateway whose link is up."""

    id: str
    pid: int
    version: str
    listen: str


class Warning(Model):  # noqa: A001 - the word of the API
    """Something that is worth a look, and the command that tells more."""

    message: str
    command: str


class Status(Resource):
    """The broker in a page."""

    kind: Literal["Status"] = "Status"
    version: str
    revision: str = Field(description="Of the config in force.")
    started_at: Moment
    up_s: Seconds
    ready: bool
    parts: tuple[Part, ...]
    gateways: tuple[Gateway, ...]
    controllers: tuple[Controller, ...]
    pools: tuple[Pool, ...]
    limits: tuple[Limit, ...]
    agents: Counts
    start_p95_s: Seconds | None = Field(description="From request to online, of the last 15 minutes; null without any.")
    last_event: int
    warnings: tuple[Warning, ...]


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
