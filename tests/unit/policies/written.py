"""A core whose definitions are a text of YAML, and builds that ask it for agents."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

from broker.config.load import parse
from broker.domain.agent import Agent
from broker.domain.asked import Answer, Asked
from broker.domain.ids import AgentName
from broker.domain.lifecycle import Phase
from broker.reconcile.watch import poll
from broker.testing.backend import FakeBackend
from broker.testing.clock import ManualClock
from broker.testing.factories import CONTROLLER
from broker.testing.places import FakeHost
from tests.core import BOOT, Core, open_core, real_secret

_HEAD = f"""version: 1
controllers: {{ main: {{ url: "http://127.0.0.1:8080/", token_sha256: {"a" * 64} }} }}
"""
_TWO_POOLS = """
templates: {{ default: {{ cpu: 1, memory: 1Gi }} }}
pools:
  a: {{ backend: process{a} }}
  b: {{ backend: process{b} }}
policies:
  linux: {{ labels: [linux], {policy} }}
"""


def of_two_pools(policy: str, a: str = "", b: str = "") -> str:
    """A policy over the pools a and b, with these further keys of each."""
    return _TWO_POOLS.format(policy=policy, a=a, b=b)


class Written:
    """Asks for agents one after the other: linux-1, linux-2 and so on."""

    def __init__(self, core: Core) -> None:
        self.core = core
        self._asked = 0

    async def ask(
        self, number: int = 1, *, job: str = "job", label: str = "linux", policy: str = "linux"
    ) -> list[Agent]:
        """So many more builds of a job; the agents as they are once all that can be decided now is."""
        names = [f"linux-{self._asked + n + 1}" for n in range(number)]
        answers = await self.answers(names, job=job, label=label, policy=policy)
        assert [answer.message for answer in answers] == [""] * number
        return [await self.core.agent(name) for name in names]

    async def answers(
        self, names: Iterable[str], *, job: str = "job", label: str = "linux", policy: str = "linux"
    ) -> list[Answer]:
        """What is answered to builds that ask."""
        asked = [Asked(name=n, policy=policy, secret=real_secret(n), label_expression=label, job=job) for n in names]
        self._asked += len(asked)
        answers = await self.core.intake.accept(CONTROLLER, BOOT, asked)
        await self.core.settle()
        return answers

    async def pools(self, number: int = 1, *, job: str = "job") -> list[str]:
        """Where so many more agents went, in their order; a reason where one waits."""
        agents = await self.ask(number, job=job)
        return [str(agent.why if agent.phase is Phase.REQUESTED else agent.pool) for agent in agents]

    async def now(self, name: str) -> Agent:
        """An agent as it is."""
        return await self.core.agent(AgentName(name))

    async def online(self, name: str, *, busy: bool = False) -> Agent:
        """The agent connects, and Jenkins says that it is there."""
        self.core.sessions.connect(await self.now(name))
        self.core.says(name, busy=busy, uses=int(busy))
        await self.core.sync()
        await self.core.settle()
        return await self.now(name)

    async def end(self, *names: str) -> None:
        """The builds are over, and nothing is left of their agents."""
        for name in names:
            await self.core.release(name)
        await self.wait(3)

    async def wait(self, seconds: float, *, step_s: float = 1.0) -> None:
        """Lets time pass, with all backends polled and a controller that is there."""
        for _ in range(round(seconds / step_s)):
            await self.core.sync()
            await self.core.advance(step_s, step_s=step_s)
            for name in self.core.ctx.backends:
                await poll(self.core.ctx, name)
            await self.core.settle()


@asynccontextmanager
async def written(root: Path, text: str, hosts: Iterable[FakeHost] = ()) -> AsyncIterator[Written]:
    """Runs what a text says on one fake backend, which stands for all that the text names."""
    definitions = parse(_HEAD + text, env={}).definitions
    clock = ManualClock()
    backend = FakeBackend(None, clock, hosts)
    async with open_core(root / "broker.db", definitions, clock=clock, backend=backend) as core:
        core.ctx.backends = dict.fromkeys(definitions.backends, backend)
        await core.sync()
        yield Written(core)
