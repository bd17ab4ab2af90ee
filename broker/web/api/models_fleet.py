"""What the API says of the broker and of what it is configured with: pools, policies, controllers."""

from typing import Any, Literal

from pydantic import Field

from broker.domain.reason import Reason
from broker.web.api.models import Model, Moment, Resource, Seconds


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
    launching: int
    booting: int
    connecting: int
    online: int
    ending: int = Field(description="Draining or terminating.")
    draining: int
    reconnecting: int
    oldest_waiting_at: Moment | None = Field(description="When the oldest was asked for that never was online.")


class Lever(Model):
    """What an operator did with a pool; an `until` of null is until somebody resumes it."""

    kind: Literal["pause", "drain"]
    actor: str
    reason: str
    since: Moment
    until: Moment | None


class TimedOverride(Model):
    """A key of a pool that an operator has set over the config for a time."""

    key: str = Field(description="Such as limits.agents.")
    value: str
    actor: str
    reason: str
    since: Moment
    until: Moment


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
    lever: Lever | None = Field(description="Who has paused it or lets it be emptied, and for how long.")
    overrides: tuple[TimedOverride, ...]


class PoolChange(Resource):
    """A key of a pool that was set for a time, or is the config's again."""

    kind: Literal["PoolChange"] = "PoolChange"
    pool: str
    key: str
    before: str | None = Field(description="As a file writes it; null is not said.")
    after: str | None
    until: Moment | None = Field(description="When the config's own value counts again; null: it does.")
    actor: str


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
    warm: int = Field(description="Idle agents that are online and kept ready, of all controllers.")
    warm_wanted: int = Field(description="How many are to be now: warm.min_idle, or what warm.schedule says.")


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
    version: str = Field(description="Of the files in Jenkins; empty before its first handshake.")
    remark: str = Field(description="What to do about that version; empty if it may work with this broker.")
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
    generation: int = Field(description="Counted by its supervisor; 0 without one.")
    accepting: bool = Field(description="False while it only keeps the sessions that it has.")


class Warning(Model):  # noqa: A001 - the word of the API
    """Something that is worth a look, and the command that tells more."""

    message: str
    command: str


class Status(Resource):
    """The broker in a page."""

    kind: Literal["Status"] = "Status"
    version: str
    revision: str = Field(description="Of the config in force.")
    config: str = Field(description="The name of its file; empty if there is none.")
    config_loaded_at: Moment
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
    cost_per_hour: float | None = Field(
        description="What all agents with a price cost an hour, estimated; null where no pool has one."
    )
    currency: str = Field(description="Of that; empty where the config names none.")
    last_event: int
    warnings: tuple[Warning, ...]


class Config(Resource):
    """The config in force."""

    kind: Literal["Config"] = "Config"
    revision: str
    content: dict[str, Any] = Field(description="All that it says, defaults included; secrets masked.")
    overrides: dict[str, tuple[TimedOverride, ...]] = Field(description="What is set over it for a time, by pool.")


class Reload(Resource):
    """What a reload of the config has changed, or would change."""

    kind: Literal["Reload"] = "Reload"
    dry_run: bool
    revision: str = Field(description="Of the config that is in force after it.")
    changed: tuple[str, ...]
    needs_restart: tuple[str, ...] = Field(description="What of it waits for a restart.")
    policies: tuple[str, ...] = Field(description="The policies that are touched.")
    agents: int = Field(description="Living agents that are touched.")
    ending: int = Field(description="Those of them that end after their builds.")
    lines: tuple[str, ...] = Field(description="All of it for people.")
