"""Random lives under limits of all kinds: what is taken of each is what the living agents take of it (I3).

Reloads lower and raise the caps meanwhile, operators pause pools, and brokers end in the middle of their work.
"""

import asyncio
import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broker.domain.agent import Agent
from broker.domain.asked import Asked
from broker.domain.definitions import Definitions
from broker.domain.ids import AgentName, PoolName
from broker.domain.lifecycle import Phase
from broker.domain.limits import Lever, LeverKind, Scope
from broker.domain.offer import Offering
from broker.domain.overrides import OverrideRules
from broker.domain.policy import AgentLimits, Fallback, Retry
from broker.domain.pool import PoolLimits
from broker.domain.reason import Reason
from broker.errors import BackendRejected, InsufficientCapacity, OutcomeUnknown
from broker.operations import Actor, Operations
from broker.placement.usage import job_key
from broker.testing.backend import FakeBackend, Ledger
from broker.testing.clock import ManualClock
from broker.testing.factories import CONTROLLER, POLICY, make_definitions, make_policy, make_pool
from tests.core import Core, open_core, real_secret
from tests.unit.store.world import used

NEAR, FAR = PoolName("near"), PoolName("far")
NAMES = tuple(f"a-{n}" for n in range(6))
ANA = Actor("ana", "")
CAPS = {"tight": (1, 1, 2000), "as it was": (2, 2, 3000), "wide": (4, 3, 9000)}
"""Agents and starting agents of each, and thousandths of a vCPU of the pool."""
NO_ANSWER = OutcomeUnknown("Timeout", "no answer")
CLOUD: dict[str, Callable[[FakeBackend], None]] = {
    "near is full": lambda backend: backend.offering_raises(Offering(NEAR), InsufficientCapacity("NoRoom", "full")),
    "near has room": lambda backend: backend.offering_recovers(Offering(NEAR)),
    "rejected": lambda backend: backend.next_launch_raises(BackendRejected("403", "denied")),
    "made without an answer": lambda backend: backend.next_launch_is_unknown(created=True),
    "not made": lambda backend: backend.next_launch_is_unknown(created=False),
    "down": lambda backend: setattr(backend, "down", NO_ANSWER),
    "up": lambda backend: setattr(backend, "down", None),
}
OF_ONE = ("ask", "ask large", "online", "release", "vanish")
EVENTS = (*OF_ONE, *OF_ONE, *CLOUD, *CAPS, "pause", "resume", "pass", "pass", "crash", "crash")


def definitions(caps: str) -> Definitions:
    agents, pending, cpu = CAPS[caps]
    limits = AgentLimits(agents=agents + 1, pending=pending + 1)
    near = make_pool(name=NEAR, limits=PoolLimits(agents=agents, pending=pending, cpu_milli=cpu))
    policy = make_policy(
        NEAR,
        fallback=(Fallback(pool=FAR),),
        limits=limits,
        per_job=agents,
        retry=Retry(attempts=4),
        overrides=OverrideRules(allow=frozenset({"cpu"}), max_cpu_milli=2000),
    )
    return make_definitions(
        pools=[near, make_pool(name=FAR, limits=PoolLimits(agents=agents))],
        policies=[policy],
        limits=AgentLimits(agents=agents + 2),
    )


def taken_by(agents: list[Agent]) -> Counter[tuple[Scope, str]]:
    """What agents take of all limits, by what they are and not by what their rows hold."""
    sums: Counter[tuple[Scope, str]] = Counter()
    for agent in agents:
        if agent.phase is Phase.REQUESTED or agent.pool is None:
            continue
        owners = {"broker": "", "controller": CONTROLLER, "policy": POLICY, "pool": agent.pool}
        for owner, key in owners.items():
            sums[Scope(f"{owner}_agents"), key] += 1
            sums[Scope(f"{owner}_pending"), key] += not agent.was_online
        sums[Scope.JOB_AGENTS, f"{POLICY}|{job_key(CONTROLLER, agent.job)}"] += 1
        sums[Scope.POOL_CPU_MILLI, agent.pool] += agent.overrides.cpu_milli or 1000
        sums[Scope.POOL_MEMORY_MIB, agent.pool] += 512
    return +sums


def caps_of(given: Definitions, agents: list[Agent]) -> dict[tuple[Scope, str], int | None]:
    policy, found = given.policies[POLICY], dict[tuple[Scope, str], int | None]()
    found[Scope.BROKER_AGENTS, ""] = given.limits.agents
    found[Scope.POLICY_AGENTS, POLICY] = policy.limits.agents
    found[Scope.POLICY_PENDING, POLICY] = policy.limits.pending
    for agent in agents:
        found[Scope.JOB_AGENTS, f"{POLICY}|{job_key(CONTROLLER, agent.job)}"] = policy.per_job
    for pool in given.pools.values():
        found[Scope.POOL_AGENTS, pool.name] = pool.limits.agents
        found[Scope.POOL_PENDING, pool.name] = pool.limits.pending
        found[Scope.POOL_CPU_MILLI, pool.name] = pool.limits.cpu_milli
    return found


class World:
    """A cloud that outlives the brokers between them."""

    def __init__(self, directory: Path) -> None:
        self.path, self.ledger, self.clock = directory / "broker.db", Ledger(), ManualClock()
        self.definitions, self.stack = definitions("as it was"), AsyncExitStack()
        self.before: dict[tuple[Scope, str], int] = {}
        self.core: Core

    async def start(self) -> None:
        self.core = await self.stack.enter_async_context(
            open_core(self.path, self.definitions, self.ledger, self.clock)
        )
        await self.core.sync()

    async def crash(self, looks: int) -> None:
        """The broker ends after so many looks more, whatever stands in its queue then."""
        core = self.core
        for _ in range(looks):
            core.loop.queue.keys.ripen()
            if core.loop.queue.keys.pending():
                await core.ask_for_offers()
                await core.loop.look_once()
        nodes, down = core.nodes, core.backend.down
        await self.stack.aclose()
        await self.start()
        self.core.nodes, self.core.backend.down = nodes, down

    async def happen(self, event: str, number: int) -> None:
        core, name = self.core, NAMES[number]
        if event in CLOUD:
            CLOUD[event](core.backend)
        elif event in CAPS:
            self.definitions = core.ctx.definitions = replace(definitions(event), revision=event)
            core.ctx.nudge.placement()
        elif event == "pause":
            lever = Lever(pool=NEAR, kind=LeverKind.PAUSE, actor="ana", reason="", since=self.clock.now(), until=None)
            await Operations(core.ctx).pull(lever, ANA)
        elif event == "resume":
            await Operations(core.ctx).resume(NEAR, ANA, "")
        elif event == "crash":
            await self.crash(number)
        elif event == "pass":
            await core.sync()
            await core.advance(4, step_s=2)
        elif event.startswith("ask"):
            label = "linux && cpu=2" if event == "ask large" else "linux"
            one = Asked(
                name=name, policy=POLICY, secret=real_secret(name), label_expression=label, job=f"j{number % 2}"
            )
            await core.intake.accept(CONTROLLER, core.boot, [one])
        elif (agent := await core.ctx.agents.by_name(CONTROLLER, AgentName(name))) is not None:
            if event == "release":
                await core.release(name, Reason.CANCELLED, uses=0)
            elif event == "vanish" and agent.instance in self.ledger.instances:
                core.backend.vanish(agent.instance)
            elif event == "online" and agent.instance in self.ledger.instances:
                core.sessions.connect(agent)
                core.says(name)
                await core.sync()

    async def holds(self) -> None:
        living = await self.core.ctx.agents.live()
        now = await used(self.core.ctx.database)
        assert now == dict(taken_by(living))
        for limit, cap in caps_of(self.definitions, living).items():
            number = now.get(limit, 0)
            assert cap is None or number <= max(cap, self.before.get(limit, 0)), (limit, cap, number)
        self.before = now


async def live(events: list[tuple[str, int]]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        world = World(Path(directory))
        await world.start()
        try:
            for event, number in events:
                await world.happen(event, number)
                await world.holds()
                if event != "crash":
                    await world.core.settle()
                    await world.holds()
        finally:
            await world.stack.aclose()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.sampled_from(EVENTS), st.integers(0, len(NAMES) - 1)), min_size=10, max_size=40))
def test_what_is_taken_of_each_limit_is_what_the_living_agents_take_of_it(events: list[tuple[str, int]]) -> None:
    asyncio.run(live(events))
