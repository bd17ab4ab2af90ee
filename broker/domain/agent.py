"""The durable row: one Jenkins inbound agent, from the request until nothing of it is left."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from broker.domain.ids import (
    AgentId,
    AgentName,
    ControllerName,
    HandLaunchId,
    InstanceRef,
    LaunchToken,
    PolicyName,
    PoolName,
)
from broker.domain.instance import LaunchKey
from broker.domain.lifecycle import Goal, Outcome, Phase
from broker.domain.money import Micros
from broker.domain.overrides import NO_OVERRIDE, Override
from broker.domain.reason import Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """Times are aware UTC. `version` counts every change of the row and is what a compare-and-set compares.

    `attempt` is 0 before the first placement; `pool`, `token` and `instance` belong to the last attempt.
    `deadline` is the end of the phase's own time, None where the phase has none. `why` is the last thing worth telling
    a person: the reason for waiting, failing or ending, with the cloud's own words in `message`.
    `busy`, `accepting` and `uses` are what Jenkins reported last; `uses` never goes back.
    `cause` is why it was asked for: queue, warm or manual. `launch_id` is the launch by hand that it belongs to, if the
    broker was asked for it; `requested_by` is who launched it, here or in Jenkins. `waits_since` is since when its
    build waits, for other agents before this one too; None where Jenkins did not say. `direct`: the attempt connects to
    Jenkins itself, with the real secret; only Jenkins knows whether it is connected, and there is no other attempt.
    """

    id: AgentId
    controller: ControllerName
    name: AgentName
    policy: PolicyName
    label_expression: str
    job: str
    build_url: str
    cause: str
    sealed_secret: bytes
    phase: Phase
    goal: Goal
    version: int
    requested_at: datetime
    phase_since: datetime
    not_before: datetime
    deadline: datetime | None = None
    attempt: int = 0
    pool: PoolName | None = None
    token: LaunchToken | None = None
    instance: InstanceRef | None = None
    outcome: Outcome | None = None
    why: Reason | None = None
    message: str = ""
    online_at: datetime | None = None
    gone_at: datetime | None = None
    busy: bool = False
    uses: int = 0
    launch_id: HandLaunchId | None = None
    requested_by: str | None = None
    waits_since: datetime | None = None
    direct: bool = False
    placed_at: datetime | None = None
    """When the last attempt was placed; with it come `zone` to `host`, empty where the backend names none."""
    zone: str = ""
    type: str = ""
    capacity: str = ""
    host: str = ""
    refusals: int = 0
    """Launches that a lack of capacity refused; they are no attempts."""
    stalled: bool = False
    """Waiting for the end of another agent: under a cap that only that makes room under."""
    overrides: Override = NO_OVERRIDE
    rate: Micros | None = None
    """What the attempt costs an hour; None: its pool has no price."""
    expected_life: timedelta | None = None
    """How long it was expected to live when it was placed."""
    costs_since: datetime | None = None
    """Since when it costs: its launch was accepted then."""
    held: str = ""
    """What it has taken of limits, as the store writes it."""

    @property
    def launch_key(self) -> LaunchKey:
        """The key of the last attempt; only for an agent that has one."""
        if self.token is None:
            raise ValueError(f"agent {self.name} has no attempt yet")
        return LaunchKey(agent_id=self.id, attempt=self.attempt, token=self.token, host=self.host)

    @property
    def was_online(self) -> bool:
        """Whether Jenkins ever said that it is online; such an agent gets no other attempt."""
        return self.online_at is not None

    @property
    def outcome_now(self) -> Outcome:
        """How an agent that was online ends if it ends now: failed, if that takes it from a build."""
        return Outcome.FAILED if self.busy else Outcome.SUCCEEDED
