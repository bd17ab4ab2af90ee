"""A reader of the history hears all of its controller's agents, in order, and is told when it cannot."""

from collections.abc import Awaitable
from datetime import timedelta
from pathlib import Path

from sqlalchemy import delete

from broker.domain.host import HostPhase
from broker.domain.ids import ControllerName
from broker.domain.lifecycle import Outcome
from broker.domain.policy import Retry
from broker.domain.reason import Reason
from broker.errors import BackendRejected
from broker.news import PAGE, CaughtUp, Item, News, Resync, Told, Woken
from broker.store.schema import history
from broker.testing.factories import CONTROLLER, POOL, make_controller, make_definitions, make_policy
from tests.core import Core, open_core
from tests.host_core import hosts_core

NAME, OTHER = "linux-000001", ControllerName("other")


class Enough(Exception):
    """The reader has heard what there is."""


async def heard(core: Core, after: int, controller: ControllerName = CONTROLLER, beats: int = 0) -> list[Item]:
    """All that a reader is told before it would have to wait, and of its first waits."""
    items: list[Item] = []

    async def pause(news: Awaitable[None]) -> Woken:
        nonlocal beats
        news.close()  # type: ignore[attr-defined]  # a coroutine that nobody awaits
        beats -= 1
        if beats < 0:
            raise Enough
        return Woken.BEAT

    try:
        async for item in News(core.ctx).follow(controller, after, pause):
            items.append(item)
    except Enough:
        return items
    raise AssertionError("it ended by itself")


def events(items: list[Item]) -> list[tuple[str, str]]:
    return [(item.event.agent, item.event.event) for item in items if isinstance(item, Told)]


def numbers(items: list[Item]) -> list[int]:
    return [item.event.number for item in items if isinstance(item, Told)]


async def test_from_nothing_a_reader_hears_the_whole_story_of_the_agents_that_live(core: Core) -> None:
    await core.start("linux-000002")
    await core.release("linux-000002")
    await core.advance(3)
    await core.start(NAME)
    newest = await core.ctx.history.last_number()
    first, *told, last = await heard(core, 0)
    assert (first, last) == (Resync(newest=newest), CaughtUp(number=newest))
    assert events(told) == [(NAME, e) for e in ("requested", "placed", "booting", "connecting", "online")]


async def test_a_reader_that_resumes_misses_nothing_and_hears_nothing_twice(core: Core) -> None:
    await core.start(NAME)
    everything = numbers(await heard(core, 0))
    for seen in range(1, len(everything)):
        assert numbers(await heard(core, everything[seen - 1])) == everything[seen:]
    assert await heard(core, everything[-1]) == []


async def test_a_restart_of_the_broker_is_not_noticed_by_who_resumes(tmp_path: Path) -> None:
    async with open_core(tmp_path / "broker.db") as core:
        await core.start(NAME)
        told = await heard(core, 0)
        ledger = core.backend.ledger
    async with open_core(tmp_path / "broker.db", ledger=ledger) as core:
        await core.sync()
        await core.release(NAME)
        await core.advance(3)
        rest = await heard(core, numbers(told)[-1])
    assert events(rest)[-3:] == [(NAME, "goal"), (NAME, "terminating"), (NAME, "gone")]
    assert len({*numbers(told), *numbers(rest)}) == len(numbers(told)) + len(numbers(rest))


async def test_who_asks_for_what_a_restored_backup_does_not_have_is_told_so(core: Core) -> None:
    await core.start(NAME)
    newest = await core.ctx.history.last_number()
    items = await heard(core, newest + 5)
    assert items[0] == Resync(newest=newest)
    assert len(events(items)) == 5


async def test_who_asks_for_what_is_no_longer_kept_is_told_so(core: Core) -> None:
    await core.start("linux-000002")
    before = await core.ctx.history.last_number()
    await core.start(NAME)
    forget = delete(history).where(history.c.number <= before)
    await core.ctx.database.transaction(lambda connection: connection.execute(forget))
    assert isinstance((await heard(core, before - 1))[0], Resync)
    assert events(await heard(core, before))[0] == (NAME, "requested"), "nothing is missing"


async def test_a_controller_hears_of_its_own_agents_only_and_its_number_goes_on_with_the_others(tmp_path: Path) -> None:
    definitions = make_definitions(
        controllers=[make_controller(), make_controller(name=OTHER)],
        policies=[make_policy(), make_policy(name="theirs", labels=("theirs",), controllers=(OTHER,))],
    )
    async with open_core(tmp_path / "broker.db", definitions) as core:
        await core.start(NAME)
        seen = await core.ctx.history.last_number()
        await core.ask("theirs-000001", policy="theirs", controller=OTHER)
        await core.settle()
        assert {agent for agent, _ in events(await heard(core, 0, OTHER))} == {"theirs-000001"}
        newest = await core.ctx.history.last_number()
        assert await heard(core, seen, beats=1) == [CaughtUp(number=newest)]


async def test_what_operators_did_is_no_event_of_an_agent(core: Core) -> None:
    await core.start(NAME)
    seen = await core.ctx.history.last_number()
    await core.ctx.history.note("pool_paused", actor="ana", message="ECR migration", controller=CONTROLLER)
    assert events(await heard(core, seen)) == []


async def test_what_happens_to_the_host_of_an_agent_is_no_event_of_an_agent(tmp_path: Path) -> None:
    async with hosts_core(tmp_path) as world:
        core = world.core
        await core.sync()
        seen = await core.ctx.history.last_number()
        await core.ask(NAME)
        await world.until(HostPhase.READY)
        assert {event.event for event in await core.ctx.history.after(seen)} >= {"host-requested", "host-ready"}
        assert {agent for agent, _ in events(await heard(core, seen + 1))} == {NAME}


async def test_more_than_a_page_comes_whole_and_says_in_between_how_far_it_is(core: Core) -> None:
    await core.start(NAME)
    seen = await core.ctx.history.last_number()
    await core.ask(*(f"linux-1{n:05d}" for n in range(PAGE + 40)))
    items = await heard(core, seen)
    assert numbers(items) == sorted(numbers(items))
    assert len(numbers(items)) == PAGE + 40
    assert [i.number for i in items if isinstance(i, CaughtUp)] == [seen + PAGE, seen + PAGE + 40]


async def test_a_failed_attempt_has_an_outcome_only_if_it_is_the_last(tmp_path: Path) -> None:
    definitions = make_definitions(policies=[make_policy(retry=Retry(attempts=2))])
    async with open_core(tmp_path / "broker.db", definitions) as core:
        await core.sync()
        await core.ask(NAME)
        seen = await core.ctx.history.last_number()
        for _ in range(2):
            core.backend.next_launch_raises(BackendRejected("ECS-1", "no disk", Reason.SETUP_FAILED))
        await core.advance(60)
        told = [item for item in await heard(core, seen) if isinstance(item, Told)]
    failed = [(t.event.attempt, t.outcome, t.event.message) for t in told if t.event.event == "failed"]
    words = "ECS-1: no disk"
    assert failed == [(1, None, words), (2, Outcome.FAILED, words)]
    assert (told[-1].event.event, told[-1].outcome, told[-1].event.why) == (
        "gone", Outcome.FAILED, Reason.SETUP_FAILED
    )  # fmt: skip


async def test_a_placement_is_told_with_how_long_the_pools_agents_took_in_the_last_hour(core: Core) -> None:
    await core.start("linux-000002")
    after = await core.ctx.history.last_number()
    core.ctx.starts.note(POOL, core.clock.now() - timedelta(seconds=40), core.clock.now())
    core.ctx.starts.note(POOL, core.clock.now() - timedelta(seconds=38), core.clock.now())
    await core.ask(NAME)
    await core.settle()
    told = {item.event.event: item.usual for item in await heard(core, after) if isinstance(item, Told)}
    assert told["placed"] == timedelta(seconds=38)
    assert told["requested"] is None
    assert [item.usual for item in await heard(core, 0) if isinstance(item, Told)].count(timedelta(seconds=38)) == 0
