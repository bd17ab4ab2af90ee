"""A broker's real core and backend on the fake of Alibaba Cloud, in virtual time; Jenkins and machines are played.

After every half second instances and agents are counted: never two instances of one host, never two processes of one
agent. The cloud and its machines outlive the broker: a second one on the same `World` is a restart.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, cast

from broker.backends.alibaba_ecs.assembly import Surroundings, open_alibaba
from broker.backends.alibaba_ecs.backend import AlibabaBackend
from broker.demo.clouds.alibaba.cloud import FakeAlibaba
from broker.demo.clouds.alibaba.instances import Instance
from broker.demo.clouds.serving import serving
from broker.domain.agent import Agent
from broker.domain.definitions import Definitions
from broker.domain.host import Host
from broker.domain.host_order import HostOrder, HostPlace
from broker.domain.ids import AgentName, BackendName, HostId
from broker.domain.offer import Offering
from broker.domain.pool import BackendDefinition
from broker.domain.reason import Reason
from broker.ports import Knock, Refused
from broker.reconcile.loop import Pace
from broker.testing.backend import FakeBackend
from broker.testing.clock import EPOCH, ManualClock
from broker.testing.factories import BACKEND, CONTROLLER, POLICY
from broker.testing.memory import FakeMemory
from tests.benchmarks.under_way import Asks, Threads, Together, settling
from tests.core import Core, open_core
from tests.integration.clouds.alibaba_broker_parts import (
    INSTALLATION,
    SECOND_TYPE,
    SPOT,
    TIMING,
    ZONES,
    definitions,
    pool_of_hosts,
)
from tests.integration.clouds.alibaba_played import PlayedHosts, Process

_ORDER: Final = "agentbroker:order"
_STEP_S, _JVM_S, _LEAVES_S, _SYNC_S = 0.5, 2.0, 1.5, 2.0
_AFTER_S: Final = 35.0
"""So long it is seen that nothing comes back."""


@dataclass(slots=True)
class World:
    """The cloud, its machines and Jenkins: all that does not end with a broker."""

    folder: Path
    fake: FakeAlibaba
    url: str
    clock: ManualClock
    hosts: PlayedHosts
    threads: Threads
    key: str = "key"
    """What the broker signs tags with."""
    options: dict[str, Any] = field(default_factory=dict)
    memories: dict[str, FakeMemory] = field(default_factory=dict)
    orders: dict[str, str] = field(default_factory=dict)
    """The order of every instance of ours that ever was, by its id."""
    hosts_of: dict[str, frozenset[str]] = field(default_factory=dict)
    """The hosts that each order's tags name."""
    builds: dict[AgentName, float] = field(default_factory=dict)
    done: list[AgentName] = field(default_factory=list)
    build_s: float = 20.0
    strangers: set[str] = field(default_factory=set)
    """Instances that a test made beside the broker."""
    asked: int = 0
    pace: Pace = Pace(workers=64, poll_s=1.0)

    def open(self, core: "list[Core]", name: BackendName = BACKEND, **around: Any) -> AlibabaBackend:
        """A backend as a broker has it; `core` is filled once there is one."""
        place_of = around.get("place_of") or (lambda host: core[0].ctx.place_of(host) if core else None)
        key = around.get("key") or self.key
        return open_alibaba(
            BackendDefinition(name=name, type="alibaba-ecs", options=self.backend_options()),
            Surroundings(
                installation=around.get("installation", INSTALLATION),
                sign=lambda text: hashlib.sha256(f"{key}\n{text}".encode()).hexdigest(),
                clock=self.clock,
                memory=around.get("memory") or (lambda key: self.memories.setdefault(key, FakeMemory())),
                called=lambda action, failed, seconds: None,
                place_of=cast("Callable[[str], HostPlace | None]", place_of),
                transport=self.hosts,
            ),
        )

    def backend_options(self) -> dict[str, Any]:
        """Those of the config."""
        return {
            "region": self.fake.region,
            "access_key_id": self.fake.access_key,
            "access_key_secret": self.fake.secret_key,
            "endpoints": dict.fromkeys(("ecs", "vpc", "sts", "metadata"), self.url),
            "auto_release": 21600.0,
            **self.options,
        }

    async def stranger(
        self, host: str = "h-00000000beef", *, key: str = "key", installation: str = INSTALLATION
    ) -> str:
        """An instance that a broker of that installation and key has made, and this one does not know."""
        place: dict[str, Any] = {"installation": installation, "key": key, "place_of": lambda host: None}
        backend = self.open([], **place, memory=lambda key: FakeMemory())
        pool = pool_of_hosts(charge=SPOT)
        order = HostOrder(
            token=f"stranger-{host}-{installation}-{key}", pool=pool, hosts=(HostId(host),), controller=CONTROLLER,
            offering=Offering(pool.name, ZONES[2], SECOND_TYPE, "spot"), policy=POLICY,
        )  # fmt: skip
        async with asyncio.TaskGroup() as group:
            making = group.create_task(backend.create_hosts(order), name="test:stranger")
            while not making.done():  # it may wait for its turn among the calls of that account
                await self.clock.advance(_STEP_S)
        [ref] = making.result().refs.values()
        self.strangers.add(ref)
        await backend.close()
        return str(ref)

    def copy(self, of: Instance, ref: str, tags: Mapping[str, str]) -> str:
        """An instance that somebody has made with the tags of another, but for these."""
        twin = replace(of, id=ref, tags={**of.tags, **tags}, groups=list(of.groups), locks=[])
        self.strangers.add(ref)
        self.fake.ecs.region().instances[ref] = twin
        return ref

    def ours(self) -> list[Instance]:
        """Instances that are not deleted, but for those that a test made."""
        return [one for one in self.fake.ecs.living if one.id not in self.strangers]

    def count(self) -> None:
        """What must hold at any time."""
        self.fake.ecs.look()
        for ref, one in self.fake.ecs.region().instances.items():
            if ref not in self.orders and ref not in self.strangers:
                order = self.orders[ref] = one.tags[_ORDER]
                self.hosts_of[order] = frozenset(_hosts_in(one.tags))
        made = list(self.orders.values())
        for order, hosts in self.hosts_of.items():
            assert made.count(order) <= len(hosts), f"{made.count(order)} instances of {len(hosts)} hosts"
        everyone = [host for hosts in self.hosts_of.values() for host in hosts]
        assert len(set(everyone)) == len(everyone), "a host in two orders"
        agents = [process.agent_id for process in self.hosts.running().values()]
        assert len(set(agents)) == len(agents), "two processes of one agent"

    @asynccontextmanager
    async def broker(self, defined: Definitions | None = None) -> AsyncIterator["Broker"]:
        """One broker, from its start to its end; the same definitions unless others are given."""
        opened: list[Core] = []
        backend = self.open(opened)
        asked = Asks(backend.calls._asked)
        backend.calls._asked = asked
        first = cast("FakeBackend", backend)  # all that the core asks of it is a `ports.HostBackend`
        calls = Together(asked, self.threads)
        self.clock._settle = settling(calls)
        path = self.folder / "broker.db"
        async with open_core(path, defined or definitions(), clock=self.clock, backend=first) as core:
            opened.append(core)
            core.loop.pace = self.pace
            self.clock._settle = settling(calls, core.ctx.database._running)
            broker = Broker(self, core, backend, calls)
            try:
                async with asyncio.TaskGroup() as group:
                    running = group.create_task(core.loop.run(), name="test:loop")
                    broker.loop = running
                    await broker.return_agents()
                    await self.clock.advance(1)
                    yield broker
                    running.cancel()
            finally:
                await backend.close()
                self.clock._settle = settling(self.threads)


@dataclass(slots=True)
class Broker:
    """One broker and its cloud. `step` brings the time on."""

    world: World
    core: Core
    backend: AlibabaBackend
    calls: Together
    loop: "asyncio.Task[None] | None" = None
    _leaving: dict[tuple[str, str], float] = field(default_factory=dict)
    _ended: int = 0

    @property
    def fake(self) -> FakeAlibaba:
        return self.world.fake

    @property
    def clock(self) -> ManualClock:
        return self.world.clock

    @property
    def done(self) -> list[AgentName]:
        return self.world.done

    @property
    def builds(self) -> dict[AgentName, float]:
        return self.world.builds

    async def ask(self, count: int = 1) -> list[str]:
        """So many builds, each with its agent."""
        names = [f"linux-{self.world.asked + n:06d}" for n in range(1, count + 1)]
        self.world.asked += count
        answers = await self.core.ask(*names)
        assert not any(answer.reason for answer in answers), answers[0]
        return names

    async def step(self) -> None:
        """Half a second of everybody."""
        await self.clock.advance(_STEP_S)
        self.world.count()
        await self._knock()
        self._lose()
        await self._finish()
        self._leave()
        if self.clock.monotonic() % _SYNC_S < _STEP_S:
            await self._sync()

    async def run(self, seconds: float) -> None:
        """So long."""
        end = self.clock.monotonic() + seconds
        while self.clock.monotonic() < end:
            await self.step()

    async def until(self, reached: Callable[[], object], limit_s: float = 900.0) -> float:
        """Until it is so, and how long that took; what is awaited may be a coroutine."""
        began = self.clock.monotonic()
        while True:
            told = reached()
            if await told if isinstance(told, Awaitable) else told:
                return self.clock.monotonic() - began
            assert self.clock.monotonic() < began + limit_s, await self.story()
            await self.step()

    async def over(self) -> bool:
        """Whether every agent that was asked for is gone, and so are all hosts."""
        return not self.world.ours() and not await self.core.phases() and not await self.rows()

    async def end(self, limit_s: float = 1500.0) -> None:
        """Until all is over; then nothing may come back, and nothing is left."""
        await self.until(self.over, limit_s)
        await self.run(_AFTER_S)
        assert self.world.ours() == []
        assert self.fake.ledger.problems == []

    async def story(self) -> str:
        """How far it has come, for who wonders."""
        agents = [(a.name, a.phase, a.pool, a.why, a.message[:120]) for a in await self.core.ctx.agents.live()]
        rows = [(h.id, h.phase, h.ref, h.why, h.message[:120]) for h in await self.rows()]
        living = [(one.id, one.status) for one in self.world.ours()]
        calls = {f"{c.action}:{c.code}" for c in list(self.fake.ledger)[-20:]}
        return f"not reached: {agents[:5]} of {len(agents)}, {rows[:5]} of {len(rows)}, {living[:5]}, {calls}"

    async def rows(self) -> list[Host]:
        """The living hosts as the broker has them."""
        return await self.core.ctx.hosts.living()

    async def agent(self, name: str) -> Agent:
        """As the broker has it."""
        return await self.core.agent(name)

    async def agents(self, names: Iterable[str]) -> list[Agent]:
        """Several."""
        return [await self.core.agent(name) for name in names]

    async def log(self, name: str) -> str:
        """All that is told of an agent, in its order."""
        events = await self.core.ctx.history.of_agent((await self.agent(name)).id)
        return "\n".join(f"{e.event} {e.pool or ''} {e.why or ''} {e.message}" for e in events)

    def reload(self, defined: Definitions) -> None:
        """Another config, as `Reloader` puts it in force."""
        ctx = self.core.ctx
        for name, pool in ctx.definitions.pools.items():
            if name not in defined.pools:
                ctx.retired[name] = pool
        for name in defined.pools:
            ctx.retired.pop(name, None)
        ctx.definitions = defined
        ctx.nudge.placement()
        ctx.nudge.hosts()

    def orders(self) -> list[Mapping[str, Any]]:
        """The requests of RunInstances, in order."""
        return [call.parameters for call in self.fake.ledger.of("RunInstances")]

    def tokens(self) -> set[str]:
        """The client tokens of all of them."""
        return {order["ClientToken"] for order in self.orders()}

    # agents and the gateway

    async def return_agents(self) -> None:
        """A restarted gateway: what lives comes back, and Jenkins tells of it."""
        for process in self.world.hosts.running().values():
            process.knocked = False
        for agent in await self.core.ctx.agents.live():
            if agent.name in self.builds:
                self.core.says(agent.name, busy=True, uses=1)
        await self._sync()
        await self._knock()

    async def _knock(self) -> None:
        for process in self.world.hosts.running().values():
            if process.knocked or process.began + _JVM_S > self.clock.monotonic():
                continue
            process.knocked = True
            if not await self._comes_in(process):
                process.ended = self.clock.monotonic()

    async def _comes_in(self, process: Process) -> bool:
        core = self.core
        agent = next((a for a in await core.ctx.agents.live() if a.id == process.agent_id), None)
        if agent is None or core.sessions.live(agent.id) is not None:
            return False
        secret = core.ctx.keyring.mint(process.agent_id, process.attempt)
        answer = await core.admission.admit(Knock(controller=CONTROLLER, name=agent.name, secret=secret), 0.0)
        if isinstance(answer, Refused):
            process.knocked = not answer.retry
            return answer.retry
        core.sessions.connect(agent)
        core.says(agent.name, busy=True, uses=1)
        self.builds.setdefault(agent.name, self.clock.monotonic() + self.world.build_s)
        await core.sync()
        return True

    def _lose(self) -> None:
        """Sessions whose process has ended, and with it the build."""
        alive = {(process.agent_id, process.attempt) for process in self.world.hosts.running().values()}
        for session in self.core.sessions.all():
            if (session.agent_id, session.attempt) not in alive:
                self.core.sessions.disconnect(session.agent_id)
                self.core.nodes.pop(session.name, None)
                self.builds.pop(session.name, None)

    def _leave(self) -> None:
        """An agent whose session was ended knocks, is told that all is over, and its process ends."""
        now = self.clock.monotonic()
        running = self.world.hosts.running()
        by_agent = {process.agent_id: where for where, process in running.items()}
        for agent_id, _ in self.core.sessions.ended[self._ended :]:
            if agent_id in by_agent:
                self._leaving.setdefault(by_agent[agent_id], now + _LEAVES_S)
        self._ended = len(self.core.sessions.ended)
        for where in [where for where, at in self._leaving.items() if at <= now]:
            del self._leaving[where]
            if where in running:
                running[where].ended = now

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


class CloudClock:
    """The cloud's: it is right, whatever is done to the broker's."""

    def __init__(self, inner: ManualClock) -> None:
        self._inner = inner

    def now(self) -> datetime:
        """As if nobody had set the clock."""
        return EPOCH + timedelta(seconds=self._inner.monotonic())

    def monotonic(self) -> float:
        """The same as the broker's."""
        return self._inner.monotonic()

    async def sleep_until(self, when: float) -> None:
        """The same."""
        await self._inner.sleep_until(when)


def _hosts_in(tags: Mapping[str, str]) -> list[str]:
    """The hosts that an order's tags name, each in its short form."""
    if "agentbroker:host" in tags:
        return [tags["agentbroker:host"]]
    short = "".join(value for name, value in sorted(tags.items()) if name.startswith("agentbroker:hosts-"))
    return [short[n : n + 8] for n in range(0, len(short), 8)]


@asynccontextmanager
async def alibaba_world(
    folder: Path, prepare: Callable[[FakeAlibaba], object] = lambda fake: None, **options: Any
) -> AsyncIterator[World]:
    """A cloud without a broker; `options` are those of its backend."""
    clock, threads = ManualClock(), Threads()
    asyncio.get_running_loop().set_default_executor(threads)
    fake = FakeAlibaba(CloudClock(clock))
    fake.ecs.timing = TIMING()
    prepare(fake)
    async with serving(fake) as url:
        yield World(folder, fake, url, clock, PlayedHosts(fake, clock), threads, options=dict(options))


@asynccontextmanager
async def broker_on_alibaba(
    folder: Path,
    defined: Definitions | None = None,
    prepare: Callable[[FakeAlibaba], object] = lambda fake: None,
    **options: Any,
) -> AsyncIterator[Broker]:
    """A started broker; `prepare` makes the cloud as it is at first."""
    async with alibaba_world(folder, prepare, **options) as world, world.broker(defined) as broker:
        yield broker
