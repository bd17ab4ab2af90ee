"""The feed of what happened: complete, in order, resumable by number, and woken by commits."""

import asyncio
from dataclasses import replace

import pytest

from broker.domain.ids import AgentName, ControllerName, PoolName
from broker.domain.lifecycle import Goal, Phase
from broker.domain.reason import Reason
from broker.store.agents import Agents
from broker.store.engine import Database
from broker.store.history import Event, History
from broker.testing.clock import EPOCH, ManualClock
from broker.testing.factories import CONTROLLER, agent_id, agent_name, make_agent

OTHER = ControllerName("other")


@pytest.fixture
def history(database: Database) -> History:
    return History(database, ManualClock())


async def test_an_event_of_an_agent_says_what_the_agent_was_then(agents: Agents, history: History) -> None:
    asked = make_agent()
    await agents.accept([asked])
    unwanted = replace(asked, goal=Goal.GONE, why=Reason.CANCELLED, message="make room")
    await agents.change(asked, unwanted, "goal", EPOCH, "alice")
    first, second = await history.of_agent(asked.id)
    assert second == Event(
        number=first.number + 1,
        at=EPOCH,
        controller=CONTROLLER,
        agent_id=asked.id,
        agent=asked.name,
        policy=asked.policy,
        event="goal",
        phase=Phase.REQUESTED,
        attempt=0,
        pool=None,
        why=Reason.CANCELLED,
        message="make room",
        actor="alice",
    )
    assert (first.event, first.actor) == ("requested", "")


async def test_a_reader_goes_on_after_the_last_number_that_it_has_seen(agents: Agents, history: History) -> None:
    await agents.accept([make_agent(n) for n in range(1, 8)])
    seen, last = list[Event](), 0
    while page := await history.after(last, limit=3):
        seen += page
        last = page[-1].number
    assert [event.agent for event in seen] == [agent_name(n) for n in range(1, 8)]
    assert [event.number for event in seen] == sorted({event.number for event in seen})
    assert (await history.first_number(), await history.last_number()) == (seen[0].number, last)


async def test_the_feed_of_a_controller_or_of_a_name_leaves_the_others_out(agents: Agents, history: History) -> None:
    await agents.accept([make_agent(1), make_agent(2), make_agent(3, controller=OTHER)])
    await history.note("pool_paused", actor="alice", message="", pool=PoolName("it"))
    assert [e.agent for e in await history.after(0, controller=OTHER)] == [agent_name(3)]
    assert [e.agent_id for e in await history.after(0, agent=agent_name(2))] == [agent_id(2)]
    assert await history.after(0, agent=AgentName("nobody")) == []
    assert len(await history.after(0)) == 4


async def test_what_an_operator_did_is_noted_without_an_agent(history: History) -> None:
    await history.note("pool_paused", actor="alice", message="maintenance", controller=OTHER, pool=PoolName("it"))
    [event] = await history.after(0)
    assert (event.event, event.actor, event.message, event.pool) == ("pool_paused", "alice", "maintenance", "it")
    assert (event.agent_id, event.agent, event.policy, event.phase) == (None, "", "", None)
    assert (event.controller, event.at) == (OTHER, EPOCH)


async def test_an_empty_feed_has_no_numbers(history: History) -> None:
    assert (await history.first_number(), await history.last_number(), await history.after(0)) == (0, 0, [])


async def test_who_waits_is_woken_by_what_is_committed_then(agents: Agents, history: History) -> None:
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        waiting = [group.create_task(history.wait(0), name=f"waiter-{n}") for n in range(3)]
        await asyncio.sleep(0.05)
        assert not any(task.done() for task in waiting)
        await agents.accept([make_agent()])
    assert len(await history.after(0)) == 1


async def test_a_commit_without_an_event_wakes_nobody(database: Database, history: History) -> None:
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(history.wait(0), name="waiter")
        for _ in range(5):
            await asyncio.sleep(0.02)
            await database.remember("alive_at", "now")
        assert not waiting.done()
        waiting.cancel()


async def test_who_waits_for_what_is_there_already_does_not_wait(agents: Agents, history: History) -> None:
    await agents.accept([make_agent()])
    async with asyncio.timeout(1):
        await history.wait(0)
    last = await history.last_number()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await history.wait(last)


async def test_a_reader_that_waits_and_reads_misses_nothing_while_others_write(
    agents: Agents, history: History
) -> None:
    count, seen = 60, list[int]()

    async def follow() -> None:
        last = 0
        while len(seen) < count:
            await history.wait(last)
            for event in await history.after(last):
                seen.append(event.number)
                last = event.number

    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        group.create_task(follow(), name="follower")
        for n in range(count):
            group.create_task(agents.accept([make_agent(n + 1)]), name=f"writer-{n}")
    assert seen == sorted(set(seen))
    assert len(seen) == count
