"""The running core over backends of Amazon ECS that a file names, on the strict fake of AWS, in virtual time."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, cast

from broker.backends.aws_ecs.assembly import Surroundings, open_ecs
from broker.backends.aws_ecs.backend import EcsBackend
from broker.config.load import parse
from broker.demo.clouds.aws import FakeAws
from broker.demo.clouds.ecs.knobs import Timing
from broker.demo.clouds.ecs.tasks import Task
from broker.demo.clouds.model import Call
from broker.demo.clouds.serving import serving
from broker.domain.agent import Agent
from broker.domain.lifecycle import Phase
from broker.domain.pool import BackendDefinition
from broker.store.history import Event
from broker.testing.backend import FakeBackend
from broker.testing.clock import ManualClock
from broker.testing.memory import FakeMemory
from tests.benchmarks.ecs_world import Counted
from tests.benchmarks.under_way import Together, settling
from tests.core import Core, open_core

HEAD: Final = """
version: 1
gateway: { websocket: { advertise: "wss://agents.example.com" } }
controllers: { main: { url: "https://ci.example.com/", token_sha256: "%s" } }
""" % ("0" * 64)
TIMING: Final = Timing(provisioning_s=2, pending_s=5, activating_s=1, stopping_s=1, deprovisioning_s=2)


@dataclass(slots=True)
class EcsCore:
    """What a test asks for, waits for and sees."""

    core: Core
    fake: FakeAws
    clock: ManualClock
    url: str

    async def ask(self, *names: str, policy: str = "linux") -> None:
        """Builds come, each with its agent."""
        answers = await self.core.ask(*names, policy=policy)
        assert not any(answer.reason for answer in answers), answers
        await self.clock.advance(1)

    async def connect(self, name: str) -> None:
        """Its agent comes in and is online."""
        self.core.sessions.connect(await self.core.agent(name))
        self.core.says(name)
        await self.core.sync()
        await self.clock.advance(1)

    async def until(self, name: str, *phases: Phase, limit_s: float = 120.0) -> Agent:
        """The agent, once it is in one of the phases."""
        for _ in range(round(limit_s * 2)):
            agent = await self.core.agent(name)
            if agent.phase in phases:
                return agent
            await self.clock.advance(0.5)
        raise AssertionError(await self.story(name))

    async def events(self, name: str) -> list[Event]:
        """What its build's log is made of."""
        return await self.core.ctx.history.of_agent((await self.core.agent(name)).id)

    async def story(self, name: str) -> str:
        """All that is told of an agent, in its order."""
        return "\n".join(f"{e.event} {e.pool or ''} {e.why or ''} {e.message}" for e in await self.events(name))

    def runs(self) -> list[dict[str, Any]]:
        """The requests of RunTask, in order."""
        return [dict(call.parameters) for call in self.calls("RunTask")]

    def calls(self, action: str) -> list[Call]:
        return list(self.fake.ledger.of(action))

    def task_of(self, agent: Agent) -> Task:
        assert agent.instance is not None
        region = self.fake.ecs.elsewhere(agent.instance.split(":")[3])
        return region.tasks[agent.instance]


@asynccontextmanager
async def ecs_core(
    folder: Path, text: str, prepare: Callable[[FakeAws], object] = lambda fake: None
) -> AsyncIterator[EcsCore]:
    """A broker over the config `text`, whose backends are all of Amazon ECS, with the fake's keys and address.

    `prepare` is called before anything asks the fake.
    """
    clock = ManualClock()
    fake = FakeAws(clock=clock)
    fake.ecs.timing = TIMING
    prepare(fake)
    definitions = parse(HEAD + text, env={}).definitions
    async with serving(fake) as url:
        counted: list[Counted] = []
        backends = {
            name: _opened(definition, fake, url, clock, counted) for name, definition in definitions.backends.items()
        }
        anyone = cast("FakeBackend", next(iter(backends.values())))  # all that the core asks of it is `ports.Backend`
        async with open_core(folder / "broker.db", definitions, clock=clock, backend=anyone) as core:
            core.ctx.backends = dict(backends)
            clock._settle = settling(Together(*counted), core.ctx.database._running)
            try:
                async with asyncio.TaskGroup() as group:
                    running = group.create_task(core.loop.run(), name="test:loop")
                    await core.sync()
                    await clock.advance(1)
                    yield EcsCore(core, fake, clock, url)
                    running.cancel()
                assert fake.ledger.problems == []
            finally:
                for backend in backends.values():
                    await backend.close()


def _opened(
    definition: BackendDefinition, fake: FakeAws, url: str, clock: ManualClock, counted: list[Counted]
) -> EcsBackend:
    keys = {"endpoint_url": url, "access_key_id": fake.access_key, "secret_access_key": fake.secret_key}
    options = {**keys, **definition.options}
    around = Surroundings(
        installation="0123abcd",
        sign=lambda text: f"signed-{len(text)}",
        clock=clock,
        memory=FakeMemory(),
        called=lambda action, failed, seconds: None,
    )
    backend = open_ecs(replace(definition, options=options), around)
    counted.append(Counted(backend.calls._clients))
    backend.calls._clients = counted[-1]
    return backend
