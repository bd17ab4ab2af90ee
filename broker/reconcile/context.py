"""What every step of the reconciler works with, and the one way in which an agent changes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final

from broker.domain.agent import Agent
from broker.domain.ids import (
    AgentId,
    BackendName,
    ControllerName,
    HostId,
    LaunchToken,
    PolicyName,
    PoolName,
)
from broker.domain.instance import Interruption
from broker.domain.introduction import Introduction
from broker.domain.lifecycle import Goal, Outcome, Phase, later_goal
from broker.domain.limits import Lever
from broker.domain.pool import Pool
from broker.domain.reason import Reason
from broker.domain.timed_override import TimedOverride
from broker.keys import Keyring
from broker.ports import Backend, Nudge, Session, Sessions
from broker.reconcile.board import OfferBoard
from broker.reconcile.bulkhead import Bulkhead
from broker.reconcile.deadlines import deadline
from broker.reconcile.ends import Ends
from broker.reconcile.hosts.side import HostSide
from broker.reconcile.medians import Medians
from broker.reconcile.presence import Presence
from broker.reconcile.seen import Seen
from broker.reconcile.wall import Wall
from broker.store.agents import Agents
from broker.store.cooldowns import Cooldowns, Failure
from broker.store.history import History
from broker.store.standing import Standing
from broker.telemetry import events
from broker.telemetry.metrics import Metrics

_PROGRESS: Final = frozenset({Phase.BOOTING, Phase.CONNECTING, Phase.ONLINE})


@dataclass(frozen=True, slots=True)
class Again:
    """Look at this agent again after so many seconds, if nothing nudges before."""

    after_s: float


@dataclass(slots=True, kw_only=True)
class Context(HostSide):
    """One a broker. `definitions` is replaced whole by a reload."""

    agents: Agents
    cooldowns: Cooldowns
    history: History
    backends: Mapping[BackendName, Backend]
    sessions: Sessions
    presence: Presence
    keyring: Keyring
    metrics: Metrics
    nudge: Nudge
    gateway_url: Callable[[ControllerName], str]
    agents_use_websocket: Callable[[], bool] = lambda: True
    """What agents of the gateway are started with."""
    authorities: Callable[[], tuple[str, ...]] = tuple
    """What agents of the gateway are told to trust, see `ports.LaunchSpec`."""
    introduced: Callable[[ControllerName, Introduction], None] = lambda controller, introduction: None
    """Hears what a controller says of itself."""
    keep_history: timedelta = timedelta(days=14)
    """How long a gone agent's row is kept, and with it its name from being used again."""
    levers: Mapping[PoolName, Lever] = field(default_factory=dict)
    """What operators did with pools, as the database has it; the time of one may just be over."""
    timed: tuple[TimedOverride, ...] = ()
    """Keys of pools that operators have set for a time, in force in `definitions`."""
    store_silent_since: float | None = None
    """Since when, in monotonic time, nothing can be written; None while all is well. No deadline counts meanwhile."""
    seen: dict[AgentId, Seen] = field(default_factory=dict)
    terminate_called: dict[AgentId, float] = field(default_factory=dict)
    given_up: dict[AgentId, float] = field(default_factory=dict)
    """When, in monotonic time, the end of a busy agent was first seen to be decided."""
    alerted: dict[AgentId, float] = field(default_factory=dict)
    """When, in monotonic time, it was last told that an agent's end does not come."""
    placed: dict[AgentId, Agent] = field(default_factory=dict)
    """Agents as a placement has just saved them: their launch does not wait for a read."""
    uncalled: set[LaunchToken] = field(default_factory=set)
    """Attempts placed by this process and not called for yet: only the refusal of a first call tells the whole."""
    bulkhead: Bulkhead = field(default_factory=Bulkhead)
    """Which launches may be called now."""
    ends: Ends = field(init=False)
    """Which calls that find or end instances may be made now."""
    board: OfferBoard = field(init=False)
    starts: Medians[PoolName] = field(default_factory=lambda: Medians(timedelta(hours=1)))
    """From place to online, of the last hour's agents of a pool."""
    lives: Medians[PolicyName] = field(default_factory=lambda: Medians(timedelta(days=1)))
    """From place to end, of the last day's agents of a policy that were online."""
    standing: Standing = field(init=False)
    wall: Wall = field(init=False)
    look_not_before: float = float("-inf")
    """In monotonic time: looks at all that wait leave half of the time to everybody else."""

    def __post_init__(self) -> None:
        """What is made of the rest."""
        self.ends = Ends(self.nudge)
        self.board = OfferBoard(self.clock, self.nudge.placement)
        self.standing, self.wall = Standing(rows=self.agents.rows), Wall(self.clock)
        self.open_hosts()

    def pool_of(self, agent: Agent) -> Pool | None:
        """The pool of the agent's attempt, also one that a reload has removed; None without an attempt or pool."""
        if agent.pool is None:
            return None
        return self.definitions.pools.get(agent.pool) or self.retired.get(agent.pool)

    def unserved(self, agent: Agent) -> str:
        """Why the config gives this agent no place any more, in words; empty if it does."""
        if agent.controller not in self.definitions.controllers:
            return f"controller {agent.controller} is no longer configured"
        policy = self.definitions.policies.get(agent.policy)
        if policy is None:
            return f"policy {agent.policy} is no longer configured"
        if not self.definitions.controllers[agent.controller].may_use(policy):
            return f"policy {agent.policy} is no longer for controller {agent.controller}"
        return ""

    def superseded(self, agent: Agent) -> str:
        """Why a reload wants this agent to end after its build, in words; empty if it does not."""
        if agent.pool is not None and agent.pool not in self.definitions.pools:
            return f"pool {agent.pool} is no longer configured"
        return self.unserved(agent)

    def seen_of(self, agent: Agent) -> Seen | None:
        """What the poller saw last of the agent's present instance; None if it has not looked yet."""
        seen = self.seen.get(agent.id)
        return seen if seen is not None and seen.ref == agent.instance else None

    def interruption_of(self, agent: Agent) -> Interruption | None:
        """The cloud's notice that it takes the agent's instance back, as far as the poller has seen."""
        seen = self.seen_of(agent)
        return seen.instance.interruption if seen is not None and seen.instance is not None else None

    def backend_of(self, agent: Agent) -> Backend | None:
        """The backend of the agent's attempt."""
        pool = self.pool_of(agent)
        return self.backends.get(pool.backend) if pool else None

    def time_stands_still(self, agent: Agent) -> bool:
        """Whether deadlines that wait for a connection do not count now.

        So it is while the controller is away or has not told its nodes yet (its agents are told to try again), and
        while the gateway is away, which a direct agent does not need. A controller that is no longer configured is not
        waited for.
        """
        gateway_away = not agent.direct and not self.sessions.known()
        if agent.controller not in self.definitions.controllers:
            return gateway_away
        return gateway_away or not self.presence.synced(agent.controller)

    def online_in_jenkins(self, agent: Agent) -> bool:
        """Whether Jenkins called the agent online when it last told."""
        node = self.presence.node(agent.controller, agent.id)
        return node is not None and node.online

    def connected(self, agent: Agent) -> bool:
        """Whether the agent's attempt is connected: as the gateway says, of a direct one as Jenkins says."""
        return self.online_in_jenkins(agent) if agent.direct else self.session_of(agent) is not None

    def lost(self, agent: Agent) -> bool:
        """Whether it is known that the agent is not connected; False while nobody can say."""
        if agent.direct:
            return self.presence.synced(agent.controller) and not self.online_in_jenkins(agent)
        return self.sessions.known() and self.sessions.live(agent.id) is None

    def session_of(self, agent: Agent) -> Session | None:
        """The live session of the agent's present attempt; one of an attempt that is over is not meant."""
        session = self.sessions.live(agent.id)
        return session if session is not None and session.attempt == agent.attempt else None

    def deadline_passed(self, agent: Agent) -> bool:
        """Whether its phase's time is over: never while nothing can be written, nor just after the clock was set."""
        if self.store_silent_since is not None or self.wall.set_by():
            return False
        return agent.deadline is not None and agent.deadline <= self.clock.now()

    def waited_enough(self, agent: Agent) -> bool:
        """Whether the time is over for a connection that could have come."""
        return self.deadline_passed(agent) and not self.time_stands_still(agent)

    async def move(
        self,
        agent: Agent,
        phase: Phase,
        event: str,
        *,
        failure: Failure | None = None,
        words: str = "",
        **changes: Any,
    ) -> Agent:
        """Brings the agent to `phase` with that phase's deadline, tells everybody, and asks for another look.

        A failure is written with it, or not at all. `words` go to the event alone, where the agent has no message.
        """
        now = self.clock.now()
        if phase in _PROGRESS:  # what held it up is over
            changes = {"why": None, "message": "", **changes}
        changes = {"deadline": deadline(self.definitions, agent, phase, now), **changes}
        after = replace(agent, phase=phase, phase_since=now, **changes)
        changed = await self._change(agent, after, event, now, failure=failure, words=words)
        self.metrics.agent_changed_phase(agent, changed, now)
        self._measure(agent, changed)
        told: dict[str, object] = {"phase": phase, "before": agent.phase}
        told |= {"pool": changed.pool, "attempt": changed.attempt}
        told |= {"why": changed.why, "message": changed.message} if changed.why else {}
        events.AGENT_CHANGED_PHASE.emit(agent=agent.name, controller=agent.controller, **told)
        self.nudge.agent(agent.id)
        if phase in (Phase.REQUESTED, Phase.GONE, Phase.ONLINE):
            self.nudge.placement()
        if phase in (Phase.REQUESTED, Phase.GONE) and agent.host in self.known.rows:  # it may be empty now
            self.nudge.host(HostId(agent.host))
        return changed

    async def aim(
        self,
        agent: Agent,
        goal: Goal,
        outcome: Outcome,
        why: Reason,
        message: str,
        actor: str = "",
        failure: Failure | None = None,
    ) -> Agent:
        """Moves the goal forward, with the reason that people read; a goal that stands already keeps its reason.

        `actor` is the operator who asked for it, empty for everybody else. A failure is written with it.
        """
        if later_goal(agent.goal, goal) == agent.goal:
            return agent
        after = replace(agent, goal=goal, why=why, message=message)
        if goal == Goal.GONE:
            after = replace(after, outcome=outcome)
        changed = await self._change(agent, after, "goal", self.clock.now(), actor, failure)
        self.nudge.agent(agent.id)
        return changed

    async def note(self, agent: Agent, why: Reason, message: str, event: str = "waiting") -> None:
        """Writes down why an agent waits in its phase, or what happened to it there, where that is news."""
        if (agent.why, agent.message) != (why, message):
            await self._change(agent, replace(agent, why=why, message=message), event, self.clock.now())

    async def wait(self, agent: Agent, message: str, deadline: datetime) -> Agent:
        """Writes down what an agent waits for in its phase, and until when it does."""
        after = replace(agent, why=None, message=message, deadline=deadline)
        return await self._change(agent, after, "waiting", self.clock.now())

    async def _change(
        self,
        agent: Agent,
        after: Agent,
        event: str,
        at: datetime,
        actor: str = "",
        failure: Failure | None = None,
        words: str = "",
    ) -> Agent:
        self.placed.pop(agent.id, None)  # what is known of it is about to be wrong
        if after.phase != Phase.LAUNCHING:
            self.bulkhead.forget(agent.id)
        also = failure.write if failure else None
        changed = await self.agents.change(agent, after, event, at, actor, also, words)
        if failure is not None:
            self.heed(failure)
        return changed

    def heed(self, failure: Failure) -> None:
        """What is written of a failure is known to all who are about to launch there."""
        self.cooldowns.written(failure)
        for agent_id in self.bulkhead.failed(failure, self.clock.monotonic()):
            self.nudge.agent(agent_id)
        told = {"why": failure.why, "message": failure.message}
        for of in failure.lacks:
            until = failure.cooled_until.isoformat()
            where = {"pool": of.pool, "zone": of.zone, "type": of.type, "capacity": of.capacity}
            events.OFFERING_COOLED_DOWN.emit(**where, until=until, **told)
            self.metrics.offering_cooled(of.pool, failure.why)
        if failure.rests_until is not None:
            events.POOL_COOLED_DOWN.emit(pool=failure.pool.name, until=failure.rests_until.isoformat(), **told)

    def _measure(self, before: Agent, after: Agent) -> None:
        if after.placed_at is None or after.online_at is None:
            return
        if not before.was_online and after.pool is not None:
            self.starts.note(after.pool, after.placed_at, after.online_at)
        if after.gone_at is not None:
            self.lives.note(after.policy, after.placed_at, after.gone_at)
