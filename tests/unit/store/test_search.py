"""What people ask of the store: agents by what is known of them, times of starts, and where in the feed a moment is."""

from dataclasses import replace
from datetime import timedelta

import pytest

from broker.domain.ids import ControllerName, PolicyName, PoolName
from broker.domain.lifecycle import Goal, Phase
from broker.store.agents import Agents
from broker.store.engine import Database
from broker.store.history import History
from broker.store.search import Place, Search, Wanted
from broker.testing.clock import EPOCH, ManualClock
from broker.testing.factories import agent_name, make_agent

OTHER = ControllerName("other")
URL = "https://ci.example.com/job/app/812"


@pytest.fixture
def search(database: Database) -> Search:
    return Search(database)


async def test_agents_are_found_by_what_is_known_of_them(agents: Agents, search: Search) -> None:
    gone = make_agent(4)
    other = make_agent(3, policy=PolicyName("p"), pool=PoolName("b"))
    await agents.accept([make_agent(1), make_agent(2, controller=OTHER), other, gone])
    await agents.change(gone, replace(gone, phase=Phase.GONE, goal=Goal.GONE), "gone", EPOCH)

    async def found(**wanted: object) -> list[str]:
        return [a.name for a in await search.agents(Wanted(**wanted), limit=10)]  # type: ignore[arg-type] # its fields

    assert await found() == [agent_name(n) for n in (1, 2, 3)]
    assert await found(gone=True) == [agent_name(n) for n in (1, 2, 3, 4)]
    assert await found(controller="other") == [agent_name(2)]
    assert await found(policy="p", pool="b") == [agent_name(3)]
    assert await found(phase=Phase.GONE) == [agent_name(4)]
    assert await found(policy="p", controller="other") == []


async def test_a_list_goes_on_behind_a_place_by_time_and_then_by_name(agents: Agents, search: Search) -> None:
    asked = [make_agent(n, requested_at=EPOCH + timedelta(seconds=n // 3)) for n in range(10)]
    await agents.accept(list(reversed(asked)))
    names, behind = list[str](), None
    while part := await search.agents(Wanted(), limit=4, behind=behind):
        names += [a.name for a in part]
        behind = Place(part[-1].requested_at, part[-1].name)
    assert names == [a.name for a in asked]


async def test_an_agent_is_found_by_its_name_whoever_asked_for_it(agents: Agents, search: Search) -> None:
    await agents.accept([make_agent(1, controller=OTHER)])
    found = await search.named(agent_name(1))
    assert found is not None
    assert found.controller == OTHER
    assert await search.named("nobody") is None


async def test_agents_are_found_by_their_build_with_or_without_the_slash(agents: Agents, search: Search) -> None:
    await agents.accept([make_agent(1, build_url=f"{URL}/"), make_agent(2, build_url=URL), make_agent(3)])
    for url in (URL, f"{URL}/"):
        assert [a.name for a in await search.of_build(url)] == [agent_name(1), agent_name(2)]


async def test_start_times_are_those_of_agents_that_came_online_since(agents: Agents, search: Search) -> None:
    for n, online in enumerate((5, 50, None), start=1):
        asked = make_agent(n, phase=Phase.CONNECTING)
        await agents.accept([asked])
        if online is not None:
            at = EPOCH + timedelta(seconds=online)
            await agents.change(asked, replace(asked, phase=Phase.ONLINE, online_at=at), "online", at)
    assert await search.start_times(EPOCH + timedelta(seconds=10)) == [timedelta(seconds=50)]
    assert len(await search.start_times(EPOCH)) == 2


async def test_a_moment_is_a_place_in_the_feed(database: Database, search: Search) -> None:
    clock = ManualClock()
    history = History(database, clock)
    assert await search.number_before(clock.now()) == 0
    for _ in range(3):
        await history.note("noted", actor="ana", message="")
        await clock.advance(10)
    numbers = [event.number for event in await history.after(0)]
    assert await search.number_before(EPOCH) == numbers[0] - 1
    assert await search.number_before(EPOCH + timedelta(seconds=5)) == numbers[1] - 1
    assert await search.number_before(clock.now()) == numbers[-1]


async def test_what_is_taken_of_limits_is_read(search: Search) -> None:
    assert await search.used() == {}
