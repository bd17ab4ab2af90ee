"""The broker's real core and ECS backend over the fake cloud, in virtual time: Jenkins and the agents are played."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

from broker.backends.aws_ecs.assembly import Surroundings, open_ecs
from broker.backends.aws_ecs.backend import EcsBackend
from broker.demo.clouds.aws import FakeAws
from broker.demo.clouds.ec2 import Subnet
from broker.demo.clouds.ecs.knobs import Timing
from broker.demo.clouds.ecs.tasks import Status
from broker.demo.clouds.serving import serving
from broker.demo.clouds.throttles import FARGATE_RUN
from broker.domain.asked import Asked
from broker.domain.ids import AgentId, AgentName
from broker.domain.lifecycle import Outcome, Phase
from broker.domain.pool import BackendDefinition
from broker.domain.reason import Reason
from broker.intake import Release
from broker.testing.backend import FakeBackend
from broker.testing.clock import ManualClock
from broker.testing.factories import BACKEND, CONTROLLER, make_definitions, make_policy, make_pool, make_template
from broker.testing.memory import FakeMemory
from tests.core import BOOT, Core, open_core, real_secret

BUILD_S: Final = 120.0
JVM_S: Final = 2.0
"""From RUNNING to the agent's first knock."""
LEAVES_S: Final = 1.5
"""From the end of its session until agent.jar has knocked, was told that its work is over, and has ended."""
STEP_S: Final = 0.5
TIMING: Final = Timing(
    provisioning_s=(20, 23), pending_s=(32, 37), activating_s=(1, 2), stopping_s=(1, 2), deprovisioning_s=(5, 15)
)
"""53 to 62 s to RUNNING."""
SUBNETS: Final = [f"subnet-{letter * 17}" for letter in "abc"]
_POOL: Final[Mapping[str, Any]] = {
    "capacity_provider": "FARGATE",
    "subnets": SUBNETS,
    "security_groups": ["sg-" + "a" * 17],
    "execution_role_arn": "arn:aws:iam::111122223333:role/agentbroker-exec",
}
_CALM: Final = 3
_TURNS: Final = 20


class Counted:
    """Clients of aiobotocore, of which is known how many calls are under way."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.open = 0

    async def client(self, service: str, region: str | None = None) -> Any:
        """As the real one, counted."""
        return _Client(await self._inner.client(service, region), self)

    async def close(self) -> None:
        """Closes the real ones."""
        await self._inner.close()


class _Client:
    def __init__(self, inner: Any, counted: Counted) -> None:
        self._inner = inner
        self._counted = counted

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._inner, name)

        async def call(**request: Any) -> Any:
            self._counted.open += 1
            try:
                return await method(**request)
            finally:
                self._counted.open -= 1

        return call


@dataclass(slots=True)
class World:
    """One cloud and one broker. `step` brings the time on; builds begin and end as it goes."""

    core: Core
    fake: FakeAws
    clock: ManualClock
    waiting: dict[AgentId, float] = field(default_factory=dict)
    """Agents that start, and when they knock."""
    building: dict[str, float] = field(default_factory=dict)
    """Names of agents whose builds run, and when those end."""
    leaving: dict[str, float] = field(default_factory=dict)
    """Tasks whose agents leave, and when."""
    task_of: dict[AgentId, str] = field(default_factory=dict)
    done: int = 0
    _number: int = 0
    _ended: int = 0
    _seen: set[str] = field(default_factory=set)

    async def ask(self, count: int) -> None:
        """So many builds come, each with its agent."""
        names = [f"linux-{number:06d}" for number in range(self._number, self._number + count)]
        self._number += count
        asked = [Asked(name=n, policy="linux", secret=real_secret(n), label_expression="linux") for n in names]
        answers = await self.core.intake.accept(CONTROLLER, BOOT, asked)
        assert not any(answer.reason for answer in answers), answers[0]

    async def until(self, reached: Callable[[], bool], limit_s: float = 3600.0) -> None:
        """Steps until it is so."""
        end = self.clock.monotonic() + limit_s
        while not reached():
            assert self.clock.monotonic() < end, await self.story()
            await self.step()

    async def story(self) -> str:
        """How far it has come, for who wonders."""
        phases = list((await self.core.phases()).values())
        counts = {phase.value: phases.count(phase) for phase in set(phases)}
        return f"not reached: {counts}, {self.done} done, calls {dict(self.fake.ledger.by_action())}"

    async def step(self) -> None:
        """Half a second."""
        await self.clock.advance(STEP_S)
        now = self.clock.monotonic()
        self._knocks(now)
        changed = await self._connect(now)
        changed = await self._finish(now) or changed
        self._leave(now)
        if changed:
            await self.core.sync()

    def _knocks(self, now: float) -> None:
        wall = self.fake.ecs.now
        for arn, task in self.fake.ecs.tasks.items():
            if arn in self._seen:
                continue
            since = task.since(Status.RUNNING)
            if since is not None and since <= wall:
                self._seen.add(arn)
                agent_id = AgentId({tag["key"]: tag["value"] for tag in tags_of(task)}["agentbroker:agent-id"])
                self.task_of[agent_id] = arn
                self.waiting[agent_id] = now + JVM_S

    async def _connect(self, now: float) -> bool:
        due = [agent_id for agent_id, at in self.waiting.items() if at <= now]
        for agent_id in due:
            del self.waiting[agent_id]
            agent = await self.core.ctx.agents.get(agent_id)
            self.core.sessions.connect(agent)
            self.core.says(agent.name, busy=True, uses=1)
            self.building[agent.name] = now + BUILD_S
        return bool(due)

    async def _finish(self, now: float) -> bool:
        due = [name for name, at in self.building.items() if at <= now]
        given = [
            Release(name=name, outcome=Outcome.SUCCEEDED, why=Reason.COMPLETED, message="", uses=1) for name in due
        ]
        for name in due:
            del self.building[name]
            self.core.nodes.pop(AgentName(name))
        if given:
            await self.core.intake.release(CONTROLLER, BOOT, given)
        self.done += len(due)
        return bool(due)

    def _leave(self, now: float) -> None:
        for agent_id, _ in self.core.sessions.ended[self._ended :]:
            self.leaving[self.task_of[agent_id]] = now + LEAVES_S
        self._ended = len(self.core.sessions.ended)
        for arn in [arn for arn, at in self.leaving.items() if at <= now]:
            del self.leaving[arn]
            self.fake.ecs.stop(arn, exit_code=1)

    def all_gone(self) -> bool:
        """Whether all builds have run and nothing of their agents is left in the cloud."""
        return self.done == self._number and not self.fake.ecs.living and not self.leaving

    async def is_over(self) -> bool:
        """Whether the broker knows it, too."""
        return self.all_gone() and all(phase is Phase.GONE for phase in (await self.core.phases()).values())


def tags_of(task: Any) -> list[Mapping[str, str]]:
    """The tags that a task was run with."""
    told = task.tags
    return [{"key": key, "value": value} for key, value in told.items()] if isinstance(told, dict) else list(told)


@asynccontextmanager
async def ecs_world(folder: Path, *, run_rate: float = 20.0, run_burst: float = 20.0) -> AsyncIterator[World]:
    """A broker that is started, with a pool of three zones on Fargate; the cloud's quota of RunTask may be another."""
    clock = ManualClock()
    fake = FakeAws(clock=clock)
    fake.ecs.timing = TIMING
    for place, subnet in enumerate(list(fake.ec2.subnets.values())):
        fake.ec2.add(Subnet(id=subnet.id, zone=subnet.zone, cidr=f"10.{place}.0.0/20", free_addresses=4000))
    fake.throttles.limit(FARGATE_RUN, burst=run_burst, rate=run_rate)
    async with serving(fake) as url:
        backend, counted = _backend(fake, url, clock)
        definitions = make_definitions(
            pools=[make_pool(options=dict(_POOL))],
            templates=[make_template(image="jenkins/inbound-agent:jdk21")],
            policies=[make_policy()],
        )
        stand_in = cast("FakeBackend", backend)  # all that the core asks of it is a `ports.Backend`
        async with open_core(folder / "broker.db", definitions, clock=clock, backend=stand_in) as core:
            clock._settle = settling(counted, core.ctx.database._running)
            try:
                async with asyncio.TaskGroup() as group:
                    running = group.create_task(core.loop.run(), name="bench:loop")
                    await core.sync()
                    await clock.advance(1)
                    yield World(core, fake, clock)
                    running.cancel()
            finally:
                await backend.close()


def _backend(fake: FakeAws, url: str, clock: ManualClock) -> tuple[EcsBackend, Counted]:
    options = {
        "region": fake.region,
        "cluster": "default",
        "endpoint_url": url,
        "access_key_id": fake.access_key,
        "secret_access_key": fake.secret_key,
    }
    definition = BackendDefinition(name=BACKEND, type="aws-ecs", options=options)
    around = Surroundings(
        installation="0123abcd",
        sign=lambda text: f"signed-{len(text)}",
        clock=clock,
        memory=FakeMemory(),
        called=lambda action, failed, seconds: None,
    )
    backend = open_ecs(definition, around)
    counted = Counted(backend.calls._clients)
    backend.calls._clients = counted
    return backend, counted


def settling(counted: Counted, working: Collection[object] = ()) -> Callable[[], Awaitable[None]]:
    """Waits until nobody is at work: neither a call to the cloud nor `working`, and nothing that is ready to run."""

    async def settled() -> None:
        calm = 0
        while calm < _CALM:
            for _ in range(_TURNS):
                await asyncio.sleep(0)
            if counted.open or working:
                await asyncio.sleep(0.0005)
                calm = 0
            else:
                calm += 1

    return settled
