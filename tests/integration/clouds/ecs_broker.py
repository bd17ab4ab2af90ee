"""A broker's real core and backend on the fake of AWS, in virtual time; Jenkins, agents and gateway are played.

After every half second the tasks are counted: never two of one launch, never two of one agent.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from broker.backends.aws_ecs.backend import EcsBackend
from broker.demo.clouds.aws import FakeAws
from broker.demo.clouds.ec2 import Subnet
from broker.demo.clouds.ecs.tasks import Status, Task
from broker.demo.clouds.serving import serving
from broker.domain.agent import Agent
from broker.domain.definitions import Definitions
from broker.domain.ids import AgentId, AgentName, BackendName
from broker.domain.instance import LaunchKey
from broker.domain.reason import Reason
from broker.ports import Admitted, Backend, Knock, LaunchSpec
from broker.testing.backend import FakeBackend
from broker.testing.clock import ManualClock
from broker.testing.factories import BACKEND, CONTROLLER
from tests.benchmarks.under_way import Together, settling
from tests.core import Core, open_core
from tests.integration.clouds.ecs_broker_parts import INSTALLATION, TIMING, backend_on, definitions

_AGENT, _ATTEMPT, _LAUNCH = "agentbroker:agent-id", "agentbroker:attempt", "agentbroker:launch"
_STEP_S, _JVM_S, _LEAVES_S = 0.5, 2.0, 1.5


@dataclass(frozen=True, slots=True)
class Mark:
    """Whose a task was when it was made: StopTask deletes tags."""

    agent_id: AgentId
    attempt: int
    launch: str


@dataclass(slots=True)
class Broker:
    """One broker and its cloud. `step` brings the time on."""

    core: Core
    fake: FakeAws
    clock: ManualClock
    url: str
    build_s: float = 20.0
    silent: bool = False
    """Whether agents never knock."""
    twins: set[str] = field(default_factory=set)
    """Tasks that are there beside the one of their launch, against all that ECS promises; their agents do not leave."""
    marks: dict[str, Mark | None] = field(default_factory=dict)
    """Of every task that ever was, by its ARN; None for those of others."""
    builds: dict[AgentName, float] = field(default_factory=dict)
    done: list[AgentName] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    """Tasks whose agents were not let in."""
    _knocked: set[str] = field(default_factory=set)
    _leaving: dict[str, float] = field(default_factory=dict)
    _ended: int = 0
    _asked: int = 0

    async def ask(self, count: int = 1) -> list[str]:
        """So many builds, each with its agent."""
        names = [f"linux-{self._asked + n:06d}" for n in range(1, count + 1)]
        self._asked += count
        answers = await self.core.ask(*names)
        assert not any(answer.reason for answer in answers), answers[0]
        return names

    async def step(self) -> None:
        """Half a second of everybody."""
        await self.clock.advance(_STEP_S)
        self.count()
        await self._knock()
        self._lose()
        await self._finish()
        self._leave()
        if int(self.clock.monotonic() / _STEP_S) % 4 == 0:
            await self._sync()

    async def run(self, seconds: float) -> None:
        """So long."""
        end = self.clock.monotonic() + seconds
        while self.clock.monotonic() < end:
            await self.step()

    async def until(self, reached: Callable[[], object], limit_s: float = 900.0) -> None:
        """Until it is so; what is awaited may be a coroutine."""
        end = self.clock.monotonic() + limit_s
        while True:
            told = reached()
            if await told if isinstance(told, Awaitable) else told:
                return
            assert self.clock.monotonic() < end, await self.story()
            await self.step()

    async def over(self) -> bool:
        """Whether every agent that was asked for is gone, and nothing of ours lives."""
        return not self.ours() and not await self.core.phases() and not self._leaving

    async def end(self, limit_s: float = 900.0) -> None:
        """Until all is over; then nothing may come back, and nothing is left."""
        await self.until(self.over, limit_s)
        await self.run(65)
        assert self.ours() == []
        assert self.secrets() == []
        assert self.fake.ledger.problems == []

    async def story(self) -> str:
        """How far it has come, for who wonders."""
        agents = [(a.name, a.phase, a.pool, a.why, a.message[:90]) for a in await self.core.ctx.agents.live()]
        living = [(task.arn[-6:], task.status(self.fake.ecs.now)) for task in self.ours()]
        return f"not reached: {agents[:5]} of {len(agents)}, {living[:5]}, {dict(self.fake.ledger.by_action())}"

    def count(self) -> None:
        """What must hold at any time."""
        now = self.fake.ecs.now
        for arn, task in self.fake.ecs.tasks.items():
            if arn not in self.marks:
                self.marks[arn] = _mark(task)
        wanted = [task.arn for task in self.ours() if task.is_wanted(now) and task.arn not in self.twins]
        living = [mark for arn in wanted if (mark := self.marks[arn]) is not None]
        assert len({mark.launch for mark in living}) == len(living), f"two tasks of one launch: {living}"
        assert len({mark.agent_id for mark in living}) == len(living), f"two tasks of one agent: {living}"

    def ours(self) -> list[Task]:
        """Tasks of this broker that are not STOPPED."""
        return [task for task in self.fake.ecs.living if task.started_by == f"agentbroker/{INSTALLATION}"]

    def made(self) -> list[Mark]:
        """All of ours that ever were, in the order of their launch."""
        return [mark for mark in self.marks.values() if mark is not None]

    def secrets(self) -> list[str]:
        """Those in the cloud."""
        stored = [one.name for one in self.fake.ssm.parameters]
        return stored + [one.name for one in self.fake.secretsmanager.secrets]

    async def agent(self, name: str) -> Agent:
        """As the broker has it."""
        return await self.core.agent(name)

    async def agents(self, names: Iterable[str]) -> list[Agent]:
        """Several."""
        return [await self.core.agent(name) for name in names]

    def tokens(self) -> list[str]:
        """The client tokens of all calls of RunTask."""
        return [call.parameters["clientToken"] for call in self.fake.ledger.of("RunTask")]

    def task_of(self, agent_id: AgentId) -> Task:
        """The task of an agent that lives."""
        return next(t for t in self.ours() if (mark := self.marks[t.arn]) is not None and mark.agent_id == agent_id)

    def backend(self, installation: str = INSTALLATION, name: BackendName = BACKEND, **options: Any) -> EcsBackend:
        """Another one on the same cloud, as another broker has it."""
        return backend_on(self.fake, self.url, self.clock, installation, name, **options)[0]

    async def launch_beside(self, backend: EcsBackend, *agent_ids: str) -> list[str]:
        """Tasks of agents that nobody has asked this broker for."""
        refs = []
        for agent_id in agent_ids:
            key = LaunchKey(agent_id=AgentId(agent_id), attempt=1, token=cast("Any", f"token-{agent_id}"))
            pool = next(iter(self.core.ctx.definitions.pools.values()))
            template = next(iter(self.core.ctx.definitions.templates.values()))
            spec = LaunchSpec(
                key=key, name=AgentName(f"x-{agent_id[:8]}"), controller=CONTROLLER, pool=pool, template=template,
                url="http://127.0.0.1:7073/c/main/", secret="0" * 64,
            )  # fmt: skip
            refs.append(str(await backend.launch(spec)))
        return refs

    # agents and the gateway

    async def _knock(self) -> None:
        now = self.fake.ecs.now
        for task in self.ours():
            since, mark = task.since(Status.RUNNING), self.marks[task.arn]
            due = since is not None and since + _JVM_S <= now and task.status(now) is Status.RUNNING
            if self.silent or not due or mark is None or task.arn in self._knocked:
                continue
            self._knocked.add(task.arn)
            if not await self._comes_in(mark):
                self.refused.append(task.arn)
                self._leaving[task.arn] = self.clock.monotonic() + _LEAVES_S
        for arn in self.twins:
            self._leaving.pop(arn, None)

    async def _comes_in(self, mark: Mark) -> bool:
        core = self.core
        agent = next((a for a in await core.ctx.agents.live() if a.id == mark.agent_id), None)
        if agent is None or core.sessions.live(agent.id) is not None:
            return False
        secret = core.ctx.keyring.mint(mark.agent_id, mark.attempt)
        answer = await core.admission.admit(Knock(controller=CONTROLLER, name=agent.name, secret=secret), 0.0)
        if not isinstance(answer, Admitted):
            return False
        core.sessions.connect(agent)
        core.says(agent.name, busy=True, uses=1)
        self.builds[agent.name] = self.clock.monotonic() + self.build_s
        await core.sync()
        return True

    def _lose(self) -> None:
        """Sessions whose container has ended."""
        running = {self.marks[task.arn] for task in self.ours() if task.status(self.fake.ecs.now) is Status.RUNNING}
        alive = {(mark.agent_id, mark.attempt) for mark in running if mark is not None}
        for session in self.core.sessions.all():
            if (session.agent_id, session.attempt) not in alive and session.agent_id in self._known():
                self.core.sessions.disconnect(session.agent_id)
                self.core.nodes.pop(session.name, None)
                self.builds.pop(session.name, None)

    def _known(self) -> set[AgentId]:
        return {mark.agent_id for mark in self.made()}

    def _leave(self) -> None:
        """An agent whose session was ended knocks, is told that all is over, and its container ends."""
        now = self.clock.monotonic()
        ours = [task.arn for task in self.ours() if task.arn not in self.twins]
        by_agent = {mark.agent_id: arn for arn in ours if (mark := self.marks.get(arn)) is not None}
        for agent_id, _ in self.core.sessions.ended[self._ended :]:
            if agent_id in by_agent:
                self._leaving.setdefault(by_agent[agent_id], now + _LEAVES_S)
        self._ended = len(self.core.sessions.ended)
        for arn in [arn for arn, at in self._leaving.items() if at <= now]:
            del self._leaving[arn]
            if arn in self.fake.ecs.tasks:
                self.fake.ecs.stop(arn, exit_code=1)

    # Jenkins

    async def _finish(self) -> None:
        for name in [name for name, at in self.builds.items() if at <= self.clock.monotonic()]:
            del self.builds[name]
            self.done.append(name)
            await self.core.release(name, Reason.COMPLETED)

    async def _sync(self) -> None:
        truth = await self.core.sync()
        for removed in truth.removed:
            self.core.nodes.pop(removed.name, None)
            self.builds.pop(removed.name, None)


def _mark(task: Task) -> Mark | None:
    if task.started_by != f"agentbroker/{INSTALLATION}" or _LAUNCH not in task.tags:
        return None
    return Mark(AgentId(task.tags[_AGENT]), int(task.tags[_ATTEMPT]), task.tags[_LAUNCH])


@asynccontextmanager
async def broker_on_aws(
    folder: Path,
    defined: Definitions | None = None,
    others: Mapping[BackendName, Mapping[str, Any]] | None = None,
    prepare: Callable[[FakeAws], object] = lambda fake: None,
) -> AsyncIterator[Broker]:
    """A started broker; `others` are more backends, by their options; `prepare` makes the cloud as it is at first."""
    clock = ManualClock()
    fake = FakeAws(clock=clock)
    fake.ecs.timing = TIMING
    for place, subnet in enumerate(list(fake.ec2.subnets.values())):
        fake.ec2.add(Subnet(id=subnet.id, zone=subnet.zone, cidr=f"10.{place}.0.0/20", free_addresses=4000))
    prepare(fake)
    async with serving(fake) as url:
        made = {BACKEND: backend_on(fake, url, clock)}
        made |= {name: backend_on(fake, url, clock, name=name, **told) for name, told in (others or {}).items()}
        first = cast("FakeBackend", made[BACKEND][0])  # all that the core asks of it is a `ports.Backend`
        async with open_core(folder / "broker.db", defined or definitions(), clock=clock, backend=first) as core:
            backends: dict[BackendName, Backend] = {name: backend for name, (backend, _) in made.items()}
            core.ctx.backends = backends
            calls = Together(*(counted for _, counted in made.values()))
            clock._settle = settling(calls, core.ctx.database._running)
            try:
                async with asyncio.TaskGroup() as group:
                    running = group.create_task(core.loop.run(), name="test:loop")
                    await core.sync()
                    await clock.advance(1)
                    yield Broker(core, fake, clock, url)
                    running.cancel()
            finally:
                for backend, _ in made.values():
                    await backend.close()
