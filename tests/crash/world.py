"""What outlives a broker: its file, the cloud, the agents, the gateway and Jenkins, each going on by itself.

Nothing here knows that a broker has died: Jenkins repeats what it got no answer for, agents knock until they are let in
or turned away, the cloud does what it was last told.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from broker.domain.agent import Agent
from broker.domain.definitions import Definitions
from broker.domain.ids import AgentName, InstanceRef, PoolName
from broker.domain.instance import Instance, InstanceState
from broker.domain.lifecycle import Goal, Outcome, Phase
from broker.domain.policy import Retry
from broker.domain.pool import PoolLimits
from broker.domain.reason import Reason
from broker.errors import InsufficientCapacity, OutcomeUnknown
from broker.ports import Admitted, LaunchSpec, Session
from broker.reconcile.presence import NodeReport
from broker.testing.backend import FakeBackend, Ledger
from broker.testing.clock import ManualClock
from broker.testing.factories import BACKEND, CONTROLLER, POOL, make_definitions, make_policy, make_pool
from tests.core import POLL_S, SECOND, Core, open_core
from tests.crash.plans import Plan
from tests.crash.points import FailPoints, Row

NAME = AgentName("linux-000001")
_BOOTS_S, _STARTS_S, _BUILDS_S, _LOST_S = 1.0, 1.0, 1.0, 1.5
"""Of an instance until it runs, of an agent until it knocks, of a build, of a lost session."""
_SEARCH_EVERY = 2


class Broken(BaseException):
    """An invariant does not hold. The broker, which copes with every `Exception`, must not catch it."""


class Cloud(FakeBackend):
    """Answers the first launches as the plan says, whichever broker calls."""

    def __init__(self, world: "World") -> None:
        super().__init__(world.ledger, world.clock)
        self._world = world
        self.first_state = InstanceState.PENDING
        self.room = 0 if world.plan.full else None

    async def launch(self, spec: LaunchSpec) -> InstanceRef:
        error = self._world.errors.pop(0) if self._world.errors else ""
        if error == "no room":
            raise InsufficientCapacity("NoRoom", "full")
        if error == "not made, no answer":
            raise OutcomeUnknown("Timeout", "no answer")
        ref = await super().launch(spec)
        self._world.created.setdefault(ref, self._world.clock.monotonic())
        alive = [i for i in self.ledger.instances.values() if i.state is not InstanceState.STOPPED]
        if len({i.agent_id for i in alive}) != len(alive):
            raise Broken(f"two instances of one agent live: {alive}")
        if error:
            raise OutcomeUnknown("Timeout", "no answer")
        return ref


@dataclass(slots=True, kw_only=True)
class Jenkins:
    """What the controller knows: it goes by the answers that it got."""

    asked: bool = False
    node: bool = False
    online_since: float | None = None
    built: bool = False
    given_back: bool = False
    was_busy: bool = False


@dataclass(slots=True)
class World:
    """One agent's surroundings over the lives of several brokers."""

    path: Path
    plan: Plan
    clock: ManualClock = field(default_factory=ManualClock)
    ledger: Ledger = field(default_factory=Ledger)
    jenkins: Jenkins = field(default_factory=Jenkins)
    errors: list[str] = field(default_factory=list)
    created: dict[InstanceRef, float] = field(default_factory=dict)
    session: Session | None = None
    lost_at: float | None = None
    ticks: int = 0

    def __post_init__(self) -> None:
        self.errors = list(self.plan.errors)

    @asynccontextmanager
    async def broker(self, points: FailPoints) -> AsyncIterator[Core]:
        """A broker over what the last one left, with the gateway's word of who is connected."""
        points.check = _token_is_saved
        async with open_core(
            self.path / "broker.db", definitions(), clock=self.clock, backend=Cloud(self), seams=points
        ) as core:
            if self.session is not None:
                core.sessions.resume(self.session)
            try:
                yield core
            finally:
                self._look_at_gateway(core)

    async def tick(self, core: Core) -> None:
        """Half a second of everybody."""
        self.ticks += 1
        self._cloud_goes_on(core)
        await self._agent_goes_on(core)
        await self._operator_goes_on(core)
        await self._jenkins_goes_on(core)
        await core.advance(POLL_S, step_s=POLL_S)
        if self.ticks % _SEARCH_EVERY == 0 and await core.orphans.search(BACKEND):
            raise Broken("an instance was left to the search for orphans")
        self._look_at_gateway(core)

    def _look_at_gateway(self, core: Core) -> None:
        self.session = next(iter(core.sessions.all()), None)

    # the cloud

    def _cloud_goes_on(self, core: Core) -> None:
        now = self.clock.monotonic()
        lasts = {InstanceState.PENDING: _BOOTS_S, InstanceState.RUNNING: _BOOTS_S + _STARTS_S}
        for instance in list(self.ledger.instances.values()):
            if now - self.created[instance.ref] < lasts.get(instance.state, float("inf")):
                continue
            if instance.state is self.plan.fails and instance.attempt == 1:
                core.backend.stop(instance.ref, exit_code=1)
            elif instance.state is InstanceState.PENDING:
                core.backend.run(instance.ref)

    # the agent in its instance, and the gateway

    async def _agent_goes_on(self, core: Core) -> None:
        running = [i for i in self.ledger.instances.values() if i.state is InstanceState.RUNNING]
        if self.session is not None and not any(i.attempt == self.session.attempt for i in running):
            self._disconnect(core)
        if self._loses_now():
            self.lost_at = self.clock.monotonic()
            self._disconnect(core)
        for instance in running:
            if self.session is None and self._may_knock(instance):
                await self._knock(core, instance)

    def _loses_now(self) -> bool:
        if self.session is None or self.lost_at is not None or self.jenkins.online_since is None:
            return False
        online_s = self.clock.monotonic() - self.jenkins.online_since
        return bool(self.plan.loses) and online_s >= (0.5 if self.plan.loses == "idle" else 1.0)

    def _may_knock(self, instance: Instance) -> bool:
        now = self.clock.monotonic()
        if self.lost_at is not None and (now - self.lost_at < _LOST_S or self.plan.loses == "idle"):
            return False
        return now - self.created[instance.ref] >= _BOOTS_S + _STARTS_S

    async def _knock(self, core: Core, instance: Instance) -> None:
        secret = self.ledger.spec_of(NAME).secret
        answer = await core.knock(NAME, secret)
        if isinstance(answer, Admitted):
            if answer.attempt != instance.attempt:
                raise Broken(f"attempt {instance.attempt} was let in as {answer.attempt}")
            self.session = core.sessions.connect(await core.agent(NAME))

    def _disconnect(self, core: Core) -> None:
        if self.session is not None:
            core.sessions.disconnect(self.session.agent_id)
        self.session = None

    # an operator

    async def _operator_goes_on(self, core: Core) -> None:
        if not self.plan.drained or not self.jenkins.was_busy:
            return
        agent = await core.agent(NAME)
        if agent.phase is Phase.ONLINE and agent.busy:
            await core.ctx.aim(agent, Goal.DRAINED, Outcome.SUCCEEDED, Reason.SUPERSEDED, "an operator drains it")

    # Jenkins

    async def _jenkins_goes_on(self, core: Core) -> None:
        jenkins, now = self.jenkins, self.clock.monotonic()
        if not jenkins.asked:
            [answer] = await core.ask(NAME)
            if answer.reason is not None:
                raise Broken(f"Jenkins was refused: {answer}")
            jenkins.asked = jenkins.node = True
        online = self.session is not None
        if online and jenkins.online_since is None:
            jenkins.online_since = now
        await self._sync(core, online)
        if jenkins.node and await self._gives_back(core):
            uses, why = int(jenkins.built), Reason.COMPLETED if jenkins.built else Reason.CANCELLED
            await core.release(NAME, why, uses=uses)
            jenkins.given_back, jenkins.node = True, False

    async def _sync(self, core: Core, online: bool) -> None:
        jenkins, busy = self.jenkins, self._builds()
        core.nodes.clear()
        if jenkins.node:
            uses = int(jenkins.was_busy)
            core.nodes[NAME] = NodeReport(online=online, accepting=not uses, busy=busy, uses=uses)
        truth = await core.sync()
        if NAME in truth.unknown:
            raise Broken("Jenkins was told that the broker does not know an agent that it had accepted")
        if any(agent.name == NAME for agent in truth.removed):
            if busy:
                raise Broken("Jenkins was told to remove the node of a running build")
            jenkins.node = False

    def _builds(self) -> bool:
        """Whether a build runs now: it begins when the agent is online, and goes on without a session."""
        jenkins, plan = self.jenkins, self.plan
        if jenkins.online_since is None or jenkins.built or plan.loses == "idle" or not jenkins.node:
            return False
        longest = _BUILDS_S + (2 * _LOST_S if plan.loses else 0.0) + (_BUILDS_S if plan.drained else 0.0)
        jenkins.built = self.clock.monotonic() - jenkins.online_since >= longest and self.session is not None
        jenkins.was_busy = True
        return not jenkins.built

    async def _gives_back(self, core: Core) -> bool:
        return self.jenkins.built or (await core.agent(NAME)).phase in self.plan.cancelled


def definitions() -> Definitions:
    """Pools with limits, so that what is reserved is seen to come back; attempts come soon, after a lack elsewhere."""
    limits = PoolLimits(agents=2, cpu_milli=8000)
    return make_definitions(
        pools=[make_pool(limits=limits), make_pool(name=PoolName("other"), limits=limits)],
        policies=[make_policy(POOL, "other", retry=Retry(attempts=3, backoff_first=SECOND, backoff_last=SECOND))],
        controllers=(),
    )


async def is_over(world: World, core: Core) -> Agent | None:
    """The agent, once nothing of it is left anywhere."""
    if not world.jenkins.asked:
        return None
    agent = await core.ctx.agents.by_name(CONTROLLER, NAME)
    over = agent is not None and agent.phase is Phase.GONE and not world.ledger.instances and not world.jenkins.node
    return agent if over else None


def _token_is_saved(spec: LaunchSpec, row: Row | None) -> None:
    if row is None or row.token != spec.key.token:
        raise Broken(f"a launch left whose token is not saved: {spec.key}, {row}")
