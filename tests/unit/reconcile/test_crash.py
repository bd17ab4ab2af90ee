"""The broker dies at every point of an agent's life; the next one takes up what it finds (I1 to I7)."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from broker.domain.ids import InstanceRef
from broker.domain.instance import InstanceState
from broker.domain.lifecycle import Goal, Outcome, Phase
from broker.domain.policy import OnTimeout, Timeouts
from broker.domain.pool import PoolLimits
from broker.domain.reason import Reason
from broker.ports import Admitted
from broker.reconcile.loop import AgentQueue, Loop, Pace
from broker.reconcile.place import place
from broker.testing.backend import Ledger
from broker.testing.clock import ManualClock
from broker.testing.factories import make_definitions, make_policy, make_pool
from tests.core import SECOND, Core, open_core

NAME = "linux-000001"
Point = Callable[[Core], Awaitable[None]]


class Machine:
    """What outlives a broker: its file, the cloud, and time."""

    def __init__(self, path: Path) -> None:
        self.path, self.ledger, self.clock = path / "broker.db", Ledger(), ManualClock()

    @asynccontextmanager
    async def broker(self) -> AsyncIterator[Core]:
        async with open_core(self.path, ledger=self.ledger, clock=self.clock) as core:
            yield core

    async def die_at(self, point: Point) -> None:
        """A broker that lives until `point` and is never told to stop."""
        async with self.broker() as core:
            await point(core)


async def accepted(core: Core) -> None:
    await core.sync()
    await core.ask(NAME)


async def placed(core: Core) -> None:
    await accepted(core)
    await core.ask_for_offers()
    await place(core.ctx)
    assert (await core.agent(NAME)).phase == Phase.LAUNCHING


async def called(core: Core, *, made: bool) -> None:
    """Killed while the backend has the call."""
    await placed(core)
    core.backend.hang_launches(after_create=made)
    async with asyncio.TaskGroup() as group:
        looking = group.create_task(core.settle(), name="look")
        while not core.backend.ledger.calls:  # noqa: ASYNC110 - the database has a thread of its own
            await asyncio.sleep(0.005)
        looking.cancel()
    assert core.backend.ledger.total_created() == made


async def called_and_made(core: Core) -> None:
    await called(core, made=True)


async def called_and_not_made(core: Core) -> None:
    await called(core, made=False)


async def reply_unknown(core: Core) -> None:
    await placed(core)
    core.backend.next_launch_is_unknown(created=True)
    await core.settle()
    agent = await core.agent(NAME)
    assert (agent.phase, agent.instance) == (Phase.LAUNCHING, None)


async def booting(core: Core) -> None:
    core.backend.first_state = InstanceState.PENDING
    await accepted(core)
    await core.settle()
    assert (await core.agent(NAME)).phase == Phase.BOOTING
    core.backend.run(InstanceRef("fake-1"))


async def connecting(core: Core) -> None:
    await accepted(core)
    await core.settle()
    await core.advance(1)
    assert (await core.agent(NAME)).phase == Phase.CONNECTING


async def come_online(core: Core) -> None:
    """What agent and Jenkins do, whatever broker is there."""
    await core.advance(3)
    assert isinstance(await core.knock(NAME), Admitted)
    core.sessions.connect(await core.agent(NAME))
    core.says(NAME)
    await core.sync()
    await core.advance(1)
    assert (await core.agent(NAME)).phase == Phase.ONLINE


async def build_and_end(core: Core) -> None:
    core.says(NAME, busy=True, uses=1)
    await core.sync()
    await core.release(NAME)
    await core.advance(3)


async def ended_well(core: Core) -> None:
    agent = await core.agent(NAME)
    assert (agent.phase, agent.outcome, agent.attempt) == (Phase.GONE, Outcome.SUCCEEDED, 1)
    ledger = core.backend.ledger
    assert ledger.instances == {}
    assert set(ledger.created.values()) == {1}
    assert ledger.total_created() == 1
    assert {spec.key.token for spec in ledger.calls} == {agent.token}


BEFORE_ONLINE = [accepted, placed, called_and_made, called_and_not_made, reply_unknown, booting, connecting]


async def looking(core: Core) -> None:
    """Killed a moment after it has begun to recover."""
    async with asyncio.TaskGroup() as group:
        look = group.create_task(core.settle(), name="look")
        await asyncio.sleep(0.01)
        look.cancel()


@pytest.mark.parametrize("again", [(), (looking,)], ids=["once", "and again while it recovers"])
@pytest.mark.parametrize("point", BEFORE_ONLINE, ids=lambda p: p.__name__)
async def test_an_agent_on_its_way_comes_online_as_one_instance(
    tmp_path: Path, point: Point, again: tuple[Point, ...]
) -> None:
    machine = Machine(tmp_path)
    for death in (point, *again):
        await machine.die_at(death)
    async with machine.broker() as core:
        await core.sync()
        await come_online(core)
        await build_and_end(core)
        await ended_well(core)


@pytest.mark.parametrize("point", BEFORE_ONLINE, ids=lambda p: p.__name__)
async def test_a_request_given_back_after_the_crash_leaves_nothing(tmp_path: Path, point: Point) -> None:
    machine = Machine(tmp_path)
    await machine.die_at(point)
    async with machine.broker() as core:
        await core.sync()
        await core.release(NAME, Reason.CANCELLED, uses=0)
        await core.advance(4)
        agent = await core.agent(NAME)
        assert (agent.phase, agent.outcome) == (Phase.GONE, Outcome.CANCELLED)
        assert machine.ledger.instances == {}
        assert machine.ledger.total_created() <= 1


async def test_an_agent_that_came_in_while_the_broker_was_down_is_the_one_that_was_launched(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    await machine.die_at(called_and_made)
    async with machine.broker() as core:
        core.sessions.connect(await core.agent(NAME))
        core.says(NAME)
        await core.sync()
        await core.advance(3)
        agent = await core.agent(NAME)
        assert (agent.phase, agent.instance) == (Phase.ONLINE, "fake-1")
        await build_and_end(core)
        await ended_well(core)


async def idle(core: Core) -> None:
    await core.start(NAME)


async def busy(core: Core) -> None:
    await core.start(NAME)
    core.says(NAME, busy=True, uses=1)
    await core.sync()
    await core.settle()


async def test_a_busy_agent_goes_on_and_is_not_ended_before_jenkins_is_heard(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    await machine.die_at(busy)
    async with machine.broker() as core:
        await core.advance(5)
        assert (await core.agent(NAME)).busy
        core.sessions.connect(await core.agent(NAME))
        core.says(NAME, busy=True, uses=1)
        await core.sync()
        await core.advance(5)
        agent = await core.agent(NAME)
        assert (agent.phase, agent.busy, agent.goal) == (Phase.ONLINE, True, Goal.ONLINE)
        await core.release(NAME)
        await core.advance(3)
        await ended_well(core)


async def test_an_idle_agent_whose_gateway_is_not_linked_yet_is_left_alone(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    await machine.die_at(idle)
    async with machine.broker() as core:
        core.sessions.lose_link()
        for _ in range(5):
            await core.sync()
            await core.advance(60, step_s=30)
        assert (await core.agent(NAME)).phase == Phase.ONLINE
        assert len(machine.ledger.instances) == 1


async def told_to_end(core: Core) -> None:
    await core.start(NAME)
    await core.release(NAME)


async def terminating_before_the_call(core: Core) -> None:
    await told_to_end(core)
    core.sessions.disconnect((await core.agent(NAME)).id)
    await core.ctx.move(await core.agent(NAME), Phase.TERMINATING, "terminating")
    assert core.backend.ledger.terminations == {}


async def terminating_after_the_call(core: Core) -> None:
    core.backend.terminate_stays = True
    await told_to_end(core)
    await core.advance(1)
    assert (await core.agent(NAME)).phase == Phase.TERMINATING
    assert core.backend.ledger.terminations == {"fake-1": 1}


async def terminated_and_not_noted(core: Core) -> None:
    await terminating_after_the_call(core)
    core.backend.let_go()


@pytest.mark.parametrize(
    "point",
    [told_to_end, terminating_before_the_call, terminating_after_the_call, terminated_and_not_noted],
    ids=lambda p: p.__name__,
)
async def test_an_agent_that_was_ending_ends(tmp_path: Path, point: Point) -> None:
    machine = Machine(tmp_path)
    await machine.die_at(point)
    async with machine.broker() as core:
        await core.sync()
        await core.advance(5)
        await ended_well(core)
        before = await core.agent(NAME)
    async with machine.broker() as core:
        await core.advance(5)
        assert await core.agent(NAME) == before, "gone absorbs"


async def test_what_the_dead_broker_had_reserved_is_given_back_at_the_end(tmp_path: Path) -> None:
    definitions = make_definitions(pools=[make_pool(limits=PoolLimits(agents=1))])
    ledger, clock = Ledger(), ManualClock()
    async with open_core(tmp_path / "broker.db", definitions, ledger, clock) as core:
        await core.sync()
        await core.ask("a-1", "a-2")
        await core.settle()
    async with open_core(tmp_path / "broker.db", definitions, ledger, clock) as core:
        await core.sync()
        await core.advance(2)
        assert (await core.agent("a-2")).phase == Phase.REQUESTED
        await core.release("a-1", Reason.CANCELLED, uses=0)
        await core.advance(6)
        assert (await core.agent("a-2")).phase == Phase.CONNECTING
        assert len(ledger.instances) == 1


@pytest.mark.parametrize("point", [reply_unknown, booting, connecting], ids=lambda p: p.__name__)
async def test_the_hour_in_which_the_broker_was_down_counts_for_no_deadline(tmp_path: Path, point: Point) -> None:
    machine = Machine(tmp_path)
    await machine.die_at(point)
    await machine.clock.advance(3600)
    async with machine.broker() as core:
        await core.sync()
        await come_online(core)
        assert machine.ledger.total_created() == 1


async def test_a_reconnecting_agent_has_its_time_after_the_broker_was_down(tmp_path: Path) -> None:
    machine = Machine(tmp_path)

    async def lost(core: Core) -> None:
        core.sessions.disconnect((await core.start(NAME)).id)
        await core.settle()
        assert (await core.agent(NAME)).phase == Phase.RECONNECTING

    await machine.die_at(lost)
    await machine.clock.advance(3600)
    async with machine.broker() as core:
        core.says(NAME, online=False)
        for _ in range(4):
            await core.sync()
            await core.advance(5)
        assert (await core.agent(NAME)).phase == Phase.RECONNECTING
        core.sessions.connect(await core.agent(NAME))
        core.says(NAME)
        await core.sync()
        await core.settle()
        assert (await core.agent(NAME)).phase == Phase.ONLINE


async def test_a_request_that_waits_does_not_time_out_while_the_broker_is_down(tmp_path: Path) -> None:
    strict = make_policy(timeouts=Timeouts(queue=60 * SECOND, on_timeout=OnTimeout.FAIL))
    definitions = make_definitions(pools=[make_pool(limits=PoolLimits(agents=0))], policies=[strict])
    clock = ManualClock()
    async with open_core(tmp_path / "broker.db", definitions, clock=clock) as core:
        await core.ask(NAME)
        await core.advance(10)
    await clock.advance(3600)
    async with open_core(tmp_path / "broker.db", definitions, clock=clock) as core:
        await core.advance(30, step_s=5)
        assert (await core.agent(NAME)).phase == Phase.REQUESTED
        await core.advance(30, step_s=5)
        assert (await core.agent(NAME)).why == Reason.QUEUE_TIMEOUT


async def test_a_restarted_broker_looks_at_all_that_lives_though_nobody_says_a_word(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    await machine.die_at(placed)
    assert machine.ledger.calls == []
    async with machine.broker() as core, asyncio.TaskGroup() as group:
        core.ctx.nudge = queue = AgentQueue(machine.clock)  # one into which nobody has put anything
        running = group.create_task(Loop(core.ctx, queue, Pace(workers=2)).run(), name="reconcile")
        for _ in range(500):
            if machine.ledger.calls:
                break
            await asyncio.sleep(0.02)  # the database has a thread of its own
        running.cancel()
    assert len(machine.ledger.calls) == 1
