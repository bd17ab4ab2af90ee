"""How many launches are called at once, and who goes elsewhere when there is no answer."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from broker.domain.definitions import Definitions
from broker.domain.ids import AgentId, BackendName, PoolName
from broker.domain.lifecycle import Phase
from broker.domain.offer import Offering
from broker.domain.pool import Cooldown
from broker.domain.reason import Reason
from broker.reconcile.bulkhead import OF_A_BACKEND, OF_A_POOL, STUCK_S, Answer, Bulkhead
from broker.store.cooldowns import Failure
from broker.testing.backend import FakeBackend
from broker.testing.clock import EPOCH, settle
from broker.testing.factories import BACKEND, agent_id, make_definitions, make_policy, make_pool
from tests.core import Core, open_core

DEAD, WELL = PoolName("dead"), PoolName("well")
OTHER = BackendName("other")
START = Cooldown().after_failures
SLOW = make_pool(name=DEAD)


def enter(bulkhead: Bulkhead, *numbers: int, at_s: float = 0.0, again: bool = False) -> list[int]:
    return [n for n in numbers if bulkhead.enter(agent_id(n), SLOW, at_s, again=again)]


def numbers(ids: list[AgentId]) -> list[int]:
    return [int(i, 16) for i in ids]


def test_a_pool_that_has_proved_nothing_has_a_handful_of_calls() -> None:
    assert enter(Bulkhead(), *range(10)) == list(range(START))


def test_each_launch_that_is_accepted_doubles_it_and_the_first_in_line_come_first() -> None:
    bulkhead = Bulkhead()
    enter(bulkhead, *range(20))
    called = numbers(bulkhead.leave(agent_id(0), Answer.ACCEPTED, 0.0))
    assert called == [5, 6, 7, 8, 9, 10], "two times five, less four that are open"
    assert enter(bulkhead, *called) == called
    assert numbers(bulkhead.leave(agent_id(1), Answer.ACCEPTED, 0.0)) == [11, 12, 13, 14, 15, 16, 17, 18, 19]


def test_a_pool_that_refuses_everything_is_called_no_more_often_than_its_breaker_needs() -> None:
    bulkhead, called = Bulkhead(), 0
    waiting = list(range(100))
    while called < START:
        entered = enter(bulkhead, *waiting)
        called += len(entered)
        waiting = [n for n in waiting if n not in entered]
        for n in entered:
            bulkhead.leave(agent_id(n), Answer.BAD, 0.0)
    assert called == START


def test_one_bad_answer_is_nothing_to_a_pool_that_has_proved_itself_and_two_are() -> None:
    bulkhead = Bulkhead()
    bulkhead.proven(SLOW, 0.0)
    enter(bulkhead, *range(10))
    bulkhead.leave(agent_id(0), Answer.BAD, 1.0)
    assert enter(bulkhead, 10) == [10]
    assert bulkhead.windows({DEAD: SLOW}, 1.0) == {}
    bulkhead.leave(agent_id(1), Answer.BAD, 1.0)
    assert enter(bulkhead, 11) == []
    assert bulkhead.windows({DEAD: SLOW}, 1.0) == {DEAD: 0}


def test_who_was_online_before_a_bad_answer_proves_nothing_after_it() -> None:
    bulkhead = Bulkhead()
    bulkhead.proven(SLOW, 0.0)
    for n in (0, 1):
        enter(bulkhead, n)
        bulkhead.leave(agent_id(n), Answer.BAD, 5.0)
    bulkhead.proven(SLOW, 4.0)
    assert len(enter(bulkhead, *range(10, 20))) == START - 2
    bulkhead.proven(SLOW, 6.0)
    assert len(enter(bulkhead, *range(20, 30))) == 10


def test_a_pool_has_a_part_of_its_backends_calls() -> None:
    bulkhead, beside = Bulkhead(), make_pool(name=WELL)
    bulkhead.proven(SLOW, 0.0)
    bulkhead.proven(beside, 0.0)
    assert len(enter(bulkhead, *range(100))) == OF_A_POOL
    assert sum(bulkhead.enter(agent_id(n), beside, 0.0) for n in range(100, 200)) == OF_A_BACKEND - OF_A_POOL
    elsewhere = make_pool(name=PoolName("elsewhere"), backend=OTHER)
    bulkhead.proven(elsewhere, 0.0)
    assert bulkhead.enter(agent_id(300), elsewhere, 0.0)


def test_a_call_that_is_repeated_waits_for_no_trust() -> None:
    assert enter(Bulkhead(), *range(10), again=True) == list(range(10))


def test_who_leaves_the_line_is_not_called() -> None:
    bulkhead = Bulkhead()
    enter(bulkhead, *range(7))
    bulkhead.forget(agent_id(5))
    assert numbers(bulkhead.leave(agent_id(0), Answer.NO_WORD, 0.0)) == [6]


def test_a_pool_is_stuck_when_its_calls_have_no_answer_and_leave_no_place() -> None:
    bulkhead = Bulkhead()
    enter(bulkhead, *range(START))
    assert not bulkhead.is_stuck(SLOW, STUCK_S - 1)
    assert bulkhead.is_stuck(SLOW, STUCK_S)
    assert bulkhead.windows({DEAD: SLOW}, STUCK_S) == {DEAD: 0}
    bulkhead.leave(agent_id(0), Answer.ACCEPTED, STUCK_S)
    assert not bulkhead.is_stuck(SLOW, STUCK_S)


@pytest.mark.parametrize(("after", "shut"), [(timedelta(), True), (-timedelta(days=1), False), (timedelta(3), False)])
def test_what_was_written_of_a_failure_shuts_the_place_for_its_time(after: timedelta, shut: bool) -> None:
    bulkhead, here = Bulkhead(), Offering(DEAD, "a")
    why = Reason.INSUFFICIENT_CAPACITY
    failure = Failure(agent=agent_id(1), pool=SLOW, why=why, message="none left", at=EPOCH, lacks=(here,))
    enter(bulkhead, *range(START + 2))
    assert numbers(bulkhead.failed(failure, 0.0)) == [START, START + 1], "they are told at once"
    assert bulkhead.is_shut(here, EPOCH + after) is shut
    assert not bulkhead.is_shut(Offering(DEAD, "b"), EPOCH)


# with the core around it


def definitions() -> Definitions:
    pools = [make_pool(name=DEAD), make_pool(name=WELL, backend=OTHER)]
    return make_definitions(pools=pools, policies=[make_policy(DEAD, WELL)])


@asynccontextmanager
async def two_backends(path: Path) -> AsyncIterator[tuple[Core, FakeBackend]]:
    async with open_core(path / "broker.db", definitions()) as core:
        well = FakeBackend(clock=core.clock)
        core.ctx.backends = {BACKEND: core.backend, OTHER: well}
        yield core, well


@asynccontextmanager
async def at_work(core: Core, workers: int) -> AsyncIterator[None]:
    """Looks by several workers at once, as long as there is something to look at; some may hang in a call."""

    async def work() -> None:
        while True:
            await core.loop.look_once()

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(work(), name=f"worker-{n}") for n in range(workers)]
        await settle(0.2)
        yield
        for task in tasks:
            task.cancel()


async def test_launches_that_hang_send_those_behind_them_to_another_backend(tmp_path: Path) -> None:
    async with two_backends(tmp_path) as (core, well):
        await core.sync()
        core.backend.hang_launches()
        await core.ask_for_offers()
        await core.ask(*(f"linux-{n:06d}" for n in range(20)))
        async with at_work(core, 8):
            for _ in range(50):
                if len(core.backend.ledger.calls) == START:
                    break
                await settle(0.1)
            await settle(0.2)
            assert len(core.backend.ledger.calls) == START, "three workers are free"
            for _ in range(40):
                if well.ledger.total_created() == 20 - START:
                    break
                await core.clock.advance(STUCK_S / 4)
                await core.ask_for_offers()
                core.loop.queue.keys.ripen()
                await settle(0.2)
            pools = Counter(agent.pool for agent in await core.ctx.agents.live())
        assert pools == {DEAD: START, WELL: 20 - START}
        assert well.ledger.total_created() == 20 - START


async def test_an_agent_that_is_given_back_before_its_launch_is_not_launched(tmp_path: Path) -> None:
    async with open_core(tmp_path / "broker.db") as core:
        await core.sync()
        await core.ask_for_offers()
        await core.ask("linux-000001")
        while not core.ctx.placed:
            await core.loop.look_once()
        await core.release("linux-000001", Reason.CANCELLED, uses=0)
        await core.advance(5)
        assert core.backend.ledger.calls == []
        assert (await core.agent("linux-000001")).phase is Phase.GONE
