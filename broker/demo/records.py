"""What a simulated controller knows of policies, builds, nodes and agents that it has asked for."""

from dataclasses import dataclass

from broker.demo.shortage import Labels, asked_for


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyView:
    """A policy as the broker published it."""

    name: str
    labels: Labels
    prefix: str
    accept_unlabelled: bool = False
    max_uses: int = 1
    idle_timeout_s: float = 120.0

    def serves(self, wanted: Labels) -> bool:
        """Whether its agents can run a build that wants these; what it asks for itself is no label of theirs."""
        return wanted - asked_for(wanted) <= self.labels if wanted else self.accept_unlabelled

    def labels_for(self, wanted: Labels) -> Labels:
        """Those of the agent that is asked for by a build which wants these."""
        return self.labels | asked_for(wanted)


@dataclass(slots=True, kw_only=True)
class Build:
    """One build. Times are seconds of the wall clock; `result` is None until it ends, then Jenkins' word."""

    number: int
    expression: str
    labels: Labels
    seconds: float
    queued_at: float
    started_at: float | None = None
    finished_at: float | None = None
    node: str = ""
    result: str | None = None


@dataclass(slots=True, kw_only=True)
class Node:
    """A node of our cloud. `channel` is the live connection of its agent, whatever the HTTP side uses for one."""

    name: str
    policy: str
    labels: Labels
    max_uses: int
    idle_timeout_s: float
    uses: int = 0
    channel: object | None = None
    cookie: str = ""
    ever_online: bool = False
    idle_since: float = 0.0
    build: Build | None = None
    why: str = ""
    keep_warm: bool = False
    """Kept ready though it is idle: its idle timeout does not end it now."""

    @property
    def accepting(self) -> bool:
        """Whether it takes a new build: never more than its retention allows."""
        return not self.max_uses or self.uses < self.max_uses

    @property
    def ready(self) -> bool:
        """Whether a build can start on it now."""
        return self.channel is not None and self.build is None and self.accepting

    @property
    def is_capacity(self) -> bool:
        """Whether it can still take a build: ready, or on its way for the first time. A lost session is neither."""
        return self.ready or (not self.ever_online and self.accepting)


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """An agent that was named and asked for; its node appears at `node_at` (seconds of the wall clock).

    `cause` is QUEUE, or what the broker wants it for: WARM, or MANUAL with the `launch_id`.
    """

    name: str
    policy: PolicyView
    expression: str
    labels: Labels
    job: str
    queued_at: float
    node_at: float
    cause: str = "QUEUE"
    launch_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Released:
    """A node that the controller gave up, to be told to the broker until it has answered."""

    name: str
    cause: str
    uses: int
