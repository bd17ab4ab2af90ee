"""Random faults in random order: one instance an agent at any time, and nothing left at the end (I1, I3, I6)."""

import asyncio
import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broker.domain.agent import Agent
from broker.domain.ids import AgentName, BootId
from broker.domain.instance import InstanceState
from broker.domain.lifecycle import Phase
from broker.domain.policy import Retry
from broker.domain.pool import PoolLimits
from broker.domain.reason import Reason
from broker.errors import BackendRejected, InsufficientCapacity, OutcomeUnknown, Throttled
from broker.testing.backend import FakeBackend, Ledger
from broker.testing.clock import ManualClock
from broker.testing.factories import CONTROLLER, make_definitions, make_policy, make_pool
from broker.testing.sessions import FakeSessions
from tests.core import Core, open_core
from tests.unit.store.world import reserved, used

NAMES = ("a-0", "a-1", "a-2")
NO_ANSWER = OutcomeUnknown("Timeout", "no answer")
CLOUD: dict[str, Callable[[FakeBackend], None]] = {
    "full": lambda backend: backend.next_launch_raises(InsufficientCapacity("NoRoom", "full")),
    "throttled": lambda backend: backend.next_launch_raises(Throttled("Rate", "slow down")),
    "rejected": lambda backend: backend.next_launch_raises(BackendRejected("403", "denied")),
    "unknown_made": lambda backend: backend.next_launch_is_unknown(created=True),
    "unknown_not_made": lambda backend: backend.next_launch_is_unknown(created=False),
    "down": lambda backend: setattr(backend, "down", NO_ANSWER),
    "up": lambda backend: setattr(backend, "down", None),
    "stays": lambda backend: setattr(backend, "terminate_stays", True),
    "lets_go": lambda backend: backend.let_go(),
}
GATEWAY: dict[str, Callable[[FakeSessions], None]] = {
    "lose_link": lambda sessions: sessions.lose_link(),
    "regain_link": lambda sessions: sessions.regain_link(),
}
EVENTS = (
    *("ask", "ask", "come_in", "come_in", "online", "busy", "idle", "pass", "pass", "restart", "new_boot"),
    *("release", "disconnect", "stop", "vanish", *CLOUD, *GATEWAY),
)
CAP = 2


class World:
    """A cloud and a Jenkins that outlive the brokers between them."""

    def __init__(self, directory: Path) -> None:
        self.path, self.ledger, self.clock = directory / "broker.db", Ledger(), ManualClock()
        pool = make_pool(limits=PoolLimits(agents=CAP))
        self.definitions = make_definitions(pools=[pool], policies=[make_policy(retry=Retry(attempts=5))])
        self.stack, self.asked, self.boots = AsyncExitStack(), set[str](), 1
        self.core: Core

    async def start(self) -> None:
        self.core = await self.stack.enter_async_context(
            open_core(self.path, self.definitions, self.ledger, self.clock)
        )
        self.core.boot = BootId(f"boot-{self.boots}")

    async def restart(self) -> None:
        nodes = self.core.nodes
        await self.stack.aclose()
        await self.start()
        self.core.nodes = nodes

    async def happen(self, event: str, name: str) -> None:
        """One event; one that makes no sense now does nothing."""
        agent = await self.core.ctx.agents.by_name(CONTROLLER, AgentName(name))
        if event in CLOUD:
            CLOUD[event](self.core.backend)
        elif event in GATEWAY:
            GATEWAY[event](self.core.sessions)
        elif event == "ask":
            self.asked.add(name)
            await self.core.ask(name)
        elif event == "restart":
            await self.restart()
        elif event == "new_boot":
            self.boots += 1
            self.core.boot = BootId(f"boot-{self.boots}")
            self.core.nodes.clear()
        elif event == "pass":
            await self.core.sync()
            await self.core.advance(4, step_s=2)
        elif agent is not None:
            await self._happen_to(agent, event)

    async def _happen_to(self, agent: Agent, event: str) -> None:
        core, here = self.core, self.ledger.instances
        if event == "release":
            await core.release(agent.name, Reason.CANCELLED, uses=0)
        elif event == "disconnect":
            core.sessions.disconnect(agent.id)
        elif event == "come_in":
            if any((i.agent_id, i.attempt) == (agent.id, agent.attempt) for i in here.values()):
                core.sessions.connect(agent)
        elif event in {"stop", "vanish"}:
            if agent.instance in here and event == "vanish":
                core.backend.vanish(agent.instance)
            elif agent.instance in here and here[agent.instance].state == InstanceState.RUNNING:
                core.backend.stop(agent.instance, exit_code=1)
        else:
            core.says(agent.name, busy=event == "busy", uses=int(event == "idle"))
            await core.sync()

    async def holds(self) -> None:
        assert set(self.ledger.created.values()) <= {1}, "a token makes one instance"
        per_agent = Counter(instance.agent_id for instance in self.ledger.instances.values())
        assert set(per_agent.values()) <= {1}, "an agent has one instance at a time"
        assert len(self.ledger.instances) <= CAP, "a cap holds for what exists, too"
        database = self.core.ctx.database
        assert await used(database) == await reserved(database)

    async def ends(self) -> None:
        """All is well again, and nobody wants anything any more."""
        self.core.backend.down = None
        self.core.backend.let_go()
        self.core.sessions.regain_link()
        await self.restart()
        for name in NAMES:
            await self.core.release(name, Reason.CANCELLED, uses=0)
        self.core.nodes.clear()
        for _ in range(3):
            await self.core.sync()
            await self.core.advance(4, step_s=1)
        assert await self.core.phases() == {}
        assert self.ledger.instances == {}
        assert await used(self.core.ctx.database) == {}
        for name in self.asked:
            agent = await self.core.agent(name)
            assert (agent.phase, agent.outcome is not None) == (Phase.GONE, True)


async def live(events: list[tuple[str, str]]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        world = World(Path(directory))
        await world.start()
        try:
            for event, name in events:
                await world.happen(event, name)
                await world.core.settle()
                await world.holds()
            await world.ends()
        finally:
            await world.stack.aclose()


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.lists(st.tuples(st.sampled_from(EVENTS), st.sampled_from(NAMES)), min_size=5, max_size=30))
def test_no_order_of_faults_makes_two_instances_of_one_agent_or_leaves_anything(events: list[tuple[str, str]]) -> None:
    asyncio.run(live([("pass", "a-0"), ("ask", "a-0"), ("ask", "a-1"), *events]))
