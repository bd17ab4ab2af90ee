"""Virtual time."""

import asyncio
from datetime import timedelta

import pytest

from broker.testing.clock import EPOCH, ManualClock


async def test_sleepers_wake_in_the_order_of_their_times_and_see_just_that_time() -> None:
    clock, woken = ManualClock(), list[tuple[str, float]]()

    async def sleep(name: str, until: float) -> None:
        await clock.sleep_until(until)
        woken.append((name, clock.monotonic()))

    async with asyncio.TaskGroup() as group:
        for name, until in (("late", 9.0), ("early", 1.0), ("also early", 1.0), ("now", 0.0)):
            group.create_task(sleep(name, until), name=name)
        await clock.advance(5)
        assert woken == [("now", 0.0), ("early", 1.0), ("also early", 1.0)]
        assert clock.monotonic() == 5
        await clock.advance(4)
    assert woken[-1] == ("late", 9.0)


async def test_a_sleeper_that_sleeps_again_is_woken_again_within_one_advance() -> None:
    clock, beats = ManualClock(), list[float]()

    async def beat() -> None:
        while len(beats) < 3:
            await clock.sleep_until(clock.monotonic() + 10)
            beats.append(clock.monotonic())

    async with asyncio.TaskGroup() as group:
        group.create_task(beat(), name="beat")
        await clock.advance(30)
        assert beats == [10, 20, 30]


async def test_a_cancelled_sleeper_is_forgotten() -> None:
    clock = ManualClock()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await clock.sleep_until(5)
    assert clock.next_wake is None
    await clock.advance(10)


async def test_the_wall_clock_follows_and_may_jump_alone() -> None:
    clock = ManualClock()
    await clock.advance(60)
    assert clock.now() == EPOCH + timedelta(minutes=1)
    clock.jump(timedelta(hours=-1))
    assert clock.now() == EPOCH - timedelta(minutes=59)
    assert clock.monotonic() == 60


async def test_advancing_until_something_that_never_comes_fails_at_its_limit() -> None:
    clock = ManualClock()
    with pytest.raises(AssertionError, match="100 virtual seconds"):
        await clock.advance_until(lambda: False, limit_s=100)
    await clock.advance_until(lambda: clock.monotonic() >= 150)
    assert clock.monotonic() == 150
