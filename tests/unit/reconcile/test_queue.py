"""The work queue: merging, delaying, one worker a key."""

import asyncio
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from broker.reconcile.queue import WorkQueue
from broker.testing.clock import ManualClock, settle


async def take_ready(queue: WorkQueue[str]) -> list[str]:
    """All keys that are ready now, looked at at once."""
    queue.ripen()
    taken = []
    while queue.pending():
        taken.append(await queue.get())
        queue.done(taken[-1])
    return taken


async def test_a_key_asked_for_twice_is_looked_at_once() -> None:
    queue: WorkQueue[str] = WorkQueue(ManualClock())
    for key in ("a", "b", "a"):
        queue.add(key)
    assert await take_ready(queue) == ["a", "b"]


async def test_a_delayed_key_comes_when_its_time_has_come() -> None:
    clock = ManualClock()
    queue: WorkQueue[str] = WorkQueue(clock)
    queue.add("a", 5)
    await clock.advance(4.9)
    assert await take_ready(queue) == []
    await clock.advance(0.1)
    assert await take_ready(queue) == ["a"]
    await clock.advance(100)
    assert await take_ready(queue) == []


async def test_of_several_times_the_earliest_stands() -> None:
    clock = ManualClock()
    queue: WorkQueue[str] = WorkQueue(clock)
    for after_s in (30, 5, 60):
        queue.add("a", after_s)
    await clock.advance(5)
    assert await take_ready(queue) == ["a"]
    await clock.advance(100)
    assert await take_ready(queue) == []


async def test_a_look_at_once_takes_the_place_of_a_later_one() -> None:
    clock = ManualClock()
    queue: WorkQueue[str] = WorkQueue(clock)
    queue.add("a", 5)
    queue.add("a")
    assert await take_ready(queue) == ["a"]
    await clock.advance(10)
    assert await take_ready(queue) == []


async def test_a_key_asked_for_while_it_is_worked_on_is_done_once_more() -> None:
    queue: WorkQueue[str] = WorkQueue(ManualClock())
    queue.add("a")
    key = await queue.get()
    for _ in range(3):
        queue.add("a")
    assert not queue.pending()
    queue.done(key)
    assert await take_ready(queue) == ["a"]


async def test_a_delay_asked_for_while_it_is_worked_on_is_kept() -> None:
    clock = ManualClock()
    queue: WorkQueue[str] = WorkQueue(clock)
    queue.add("a")
    key = await queue.get()
    queue.add("a", 5)
    queue.done(key)
    assert await take_ready(queue) == []
    await clock.advance(5)
    assert await take_ready(queue) == ["a"]


async def test_an_alarm_that_runs_is_moved_forward_by_an_earlier_key() -> None:
    clock = ManualClock()
    queue: WorkQueue[str] = WorkQueue(clock)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(queue.run(), name="queue")
        queue.add("late", 60)
        await settle()
        queue.add("soon", 1)
        await clock.advance(1)
        async with asyncio.timeout(5):
            assert await queue.get() == "soon"
        running.cancel()


KEYS = st.sampled_from("abc")
MOVES = st.one_of(
    st.tuples(st.just("add"), KEYS, st.sampled_from([0.0, 1.0, 2.0, 5.0])),
    st.tuples(st.just("take"), KEYS, st.just(0.0)),
    st.tuples(st.just("done"), KEYS, st.just(0.0)),
    st.tuples(st.just("wait"), KEYS, st.sampled_from([0.5, 1.0, 3.0])),
)


async def play(moves: list[tuple[str, str, float]]) -> None:
    clock = ManualClock()
    queue: WorkQueue[str] = WorkQueue(clock)
    in_work: set[str] = set()
    owed: dict[str, float] = {}
    """Keys that must be looked at, with the latest time at which they must be ready."""
    for move, key, seconds in moves:
        if move == "add":
            queue.add(key, seconds)
            due = clock.monotonic() + seconds
            owed[key] = min(owed.get(key, due), due)
        elif move == "wait":
            await clock.advance(seconds)
            queue.ripen()
        elif move == "done" and key in in_work:
            in_work.discard(key)
            queue.done(key)
        elif move == "take" and queue.pending():
            taken = await queue.get()
            assert taken not in in_work, "a key is worked on by one worker at a time"
            assert taken in owed, "a key that nobody asked for"
            in_work.add(taken)
            owed.pop(taken)
    for key in in_work:
        queue.done(key)
    await clock.advance(10)
    looks = Counter(await take_ready(queue))
    assert looks == Counter(owed.keys()), "every key asked for is looked at, once"


@settings(max_examples=150, deadline=None)
@given(st.lists(MOVES, max_size=40))
def test_whatever_happens_every_key_is_looked_at_once_and_by_one_at_a_time(moves: list[tuple[str, str, float]]) -> None:
    asyncio.run(play(moves))


async def test_a_key_that_is_put_off_again_and_again_takes_no_more_room() -> None:
    clock = ManualClock()
    queue: WorkQueue[str] = WorkQueue(clock)
    for _ in range(5_000):
        queue.add("a", 3600)
        queue.add("a")
        queue.done(await queue.get())
    queue.add("b", 10)
    queue.add("a", 5)
    assert len(queue._heap) < 100
    await clock.advance(5)
    assert await take_ready(queue) == ["a"]
    await clock.advance(5)
    assert await take_ready(queue) == ["b"]
