"""The core without its processes: the real store, intake and reconciler, stepped by hand in virtual time."""

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Protocol

from broker.admission import Admission
from broker.domain.agent import Agent
from broker.domain.asked import Answer, Asked
from broker.domain.definitions import Definitions
from broker.domain.ids import AgentName, BootId, ControllerName
from broker.domain.lifecycle import Outcome, Phase
from broker.domain.reason import Reason
from broker.intake import Intake, Release, Told, Truth
from broker.keys import Keyring
from broker.ports import Admitted, Backend, Knock, Refused
from broker.reconcile.context import Context
from broker.reconcile.levers import end_levers
from broker.reconcile.loop import AgentQueue, Loop
from broker.reconcile.orphans import OrphanSearch
from broker.reconcile.presence import NodeReport, Presence
from broker.reconcile.standstill import Standstill
from broker.reconcile.watch import poll
from broker.store.agents import Agents
from broker.store.cooldowns import Cooldowns
from broker.store.engine import Database, open_database
from broker.store.history import History
from broker.telemetry.metrics import Metrics
from broker.testing.backend import FakeBackend, Ledger
from broker.testing.clock import ManualClock
from broker.testing.factories import BACKEND, CONTROLLER, make_definitions
from broker.testing.sessions import FakeSessions
from tests.postgres import place_of

POLL_S = 0.5
MOST_LOOKS = 20_000
BOOT = BootId("boot-1")


class Seams(Protocol):
    """What stands between the core and what it writes to and calls."""

    def database(self, inner: Database) -> Database: ...

    def backend(self, inner: Backend) -> Backend: ...


class Core:
    """One broker over one database file; `reopened_core` on the same file is what a restart is."""

    def __init__(
        self, ctx: Context, loop: Loop, backend: FakeBackend, sessions: FakeSessions, clock: ManualClock
    ) -> None:
        self.ctx = ctx
        self.loop = loop
        self.backend = backend
        self.sessions = sessions
        self.clock = clock
        self.intake = Intake(ctx)
        self.standstill = Standstill(ctx)
        self.orphans = OrphanSearch(ctx)
        self.admission = Admission(ctx.agents, ctx.presence, ctx.keyring, lambda: ctx.definitions)
        self.boot = BOOT
        self.nodes: dict[AgentName, NodeReport] = {}

    async def ask(self, *names: str, policy: str = "linux", controller: ControllerName = CONTROLLER) -> list[Answer]:
        asked = [Asked(name=name, policy=policy, secret=real_secret(name), label_expression="linux") for name in names]
        return await self.intake.accept(controller, self.boot, asked)

    async def sync(self, controller: ControllerName = CONTROLLER) -> Truth:
        return await self.intake.sync(controller, Told(boot_id=self.boot, nodes=dict(self.nodes), pending=()))

    async def release(self, name: str, why: Reason = Reason.COMPLETED, uses: int = 1) -> None:
        outcome = Outcome.CANCELLED if why == Reason.CANCELLED else Outcome.SUCCEEDED
        given = Release(name=name, outcome=outcome, why=why, message="", uses=uses)
        await self.intake.release(CONTROLLER, self.boot, [given])
        self.nodes.pop(AgentName(name), None)

    async def agent(self, name: str) -> Agent:
        found = await self.ctx.agents.by_name(CONTROLLER, AgentName(name))
        assert found is not None, f"no agent {name}"
        return found

    async def phases(self) -> dict[str, Phase]:
        return {agent.name: agent.phase for agent in await self.ctx.agents.live()}

    def says(
        self, name: str, *, online: bool = True, accepting: bool = True, busy: bool = False, uses: int = 0
    ) -> None:
        accepting = accepting and not uses
        self.nodes[AgentName(name)] = NodeReport(online=online, accepting=accepting, busy=busy, uses=uses)

    async def settle(self) -> None:
        """Looks at every key that is ready, until none is."""
        for _ in range(MOST_LOOKS):
            queue = self.loop.queue
            queue.keys.ripen()
            queue.host_work.ripen()
            if queue.host_work.pending():
                await self.loop.hosts.look_once()
            elif queue.keys.pending():
                await self.ask_for_offers()
                await self.loop.look_once()
            else:
                return
        raise AssertionError(f"still not settled after {MOST_LOOKS} looks: a step asks for itself without end")

    async def ask_for_offers(self) -> None:
        """What the board's own task does beside the looks."""
        pools = self.ctx.definitions.pools.values()
        for name, backend in self.ctx.backends.items():
            await self.ctx.board.ask(backend, [pool for pool in pools if pool.backend == name])

    async def advance(self, seconds: float, step_s: float = POLL_S) -> None:
        """Lets time pass in steps, with a poll and a tick after each."""
        await self.settle()
        for _ in range(max(1, round(seconds / step_s))):
            await self.clock.advance(step_s)
            await poll(self.ctx, BACKEND)
            await self.standstill.tick()
            await end_levers(self.ctx)
            await self.loop.spend.tick()
            await self.settle()

    async def start(self, name: str = "linux-000001") -> Agent:
        """Brings a new agent online in the way a good one comes."""
        await self.sync()
        await self.ask(name)
        await self.settle()
        self.sessions.connect(await self.agent(name))
        self.says(name)
        await self.sync()
        await self.settle()
        agent = await self.agent(name)
        assert agent.phase == Phase.ONLINE, agent
        return agent

    async def knock(self, name: str, secret: str | None = None, until: float = 0.0) -> Admitted | Refused:
        agent = await self.agent(name)
        shown = self.ctx.keyring.mint(agent.id, agent.attempt) if secret is None else secret
        return await self.admission.admit(Knock(controller=CONTROLLER, name=name, secret=shown), until)


def real_secret(name: str) -> str:
    """What Jenkins would have computed."""
    return hashlib.sha256(name.encode()).hexdigest()


@asynccontextmanager
async def open_core(
    path: Path,
    definitions: Definitions | None = None,
    ledger: Ledger | None = None,
    clock: ManualClock | None = None,
    backend: FakeBackend | None = None,
    seams: Seams | None = None,
) -> AsyncIterator[Core]:
    """A core over the database file `path`; the ledger is the cloud, which outlives it.

    `backend` stands for the fake one over the ledger; `seams` get between the core and its database and backend.
    """
    clock = clock or ManualClock()
    metrics = Metrics(clock)
    definitions = definitions or make_definitions()
    metrics.define(definitions)
    opened = await open_database(place_of(path), metrics)
    database = seams.database(opened) if seams else opened
    queue = AgentQueue(clock)
    backend, sessions = backend or FakeBackend(ledger, clock), FakeSessions(queue)
    ctx = Context(
        database=database,
        agents=Agents(database),
        cooldowns=Cooldowns(database),
        history=History(database, clock),
        definitions=definitions,
        backends={BACKEND: seams.backend(backend) if seams else backend},
        sessions=sessions,
        presence=Presence(clock),
        clock=clock,
        keyring=Keyring(bytes(range(32))),
        metrics=metrics,
        nudge=queue,
        host_work=queue.host_work,
        gateway_url=lambda controller: f"http://127.0.0.1:7073/c/{controller}/",
    )
    core = Core(ctx, Loop(ctx, queue), backend, sessions, clock)
    await core.loop.prepare()
    for agent in await ctx.agents.live():
        queue.agent(agent.id)
    queue.placement()
    try:
        yield core
    finally:
        await database.close()


SECOND = timedelta(seconds=1)
