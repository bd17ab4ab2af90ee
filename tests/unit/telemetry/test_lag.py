"""The event loop's lag, measured on the real loop."""

import asyncio
import threading
import time

import structlog.testing

from broker.telemetry.lag import watch_event_loop


async def test_a_call_that_blocks_the_loop_is_reported_as_lag() -> None:
    seen: list[float] = []
    enough = asyncio.Event()

    def report(seconds: float) -> None:
        seen.append(seconds)
        if seconds >= 0.04:
            enough.set()

    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        watching = group.create_task(watch_event_loop(report, period_s=0.01), name="lag")
        await asyncio.sleep(0)
        time.sleep(0.06)  # noqa: ASYNC251 - the misbehaviour under test
        await enough.wait()
        watching.cancel()
    assert min(seen) >= 0.0


def hang(seconds: float) -> None:
    time.sleep(seconds)


async def test_a_loop_that_hangs_is_told_once_while_it_hangs_with_the_place() -> None:
    with structlog.testing.capture_logs() as told:
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(watch_event_loop(lambda _: None, period_s=0.01, blocked_s=0.1), name="lag")
            await asyncio.sleep(0.05)
            hang(0.5)
            while_it_hung = list(told)
            await asyncio.sleep(0.3)
            watching.cancel()
    assert [entry["event"] for entry in told] == ["event_loop_blocked"]
    assert while_it_hung == told
    assert "test_lag.py" in told[0]["where"]
    assert told[0]["where"].endswith("hang")
    assert 0.1 <= told[0]["for_s"] < 0.5


async def test_a_loop_that_turns_is_not_told_and_its_watchdog_ends_with_it() -> None:
    with structlog.testing.capture_logs() as told:
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(watch_event_loop(lambda _: None, period_s=0.01, blocked_s=0.2), name="lag")
            await asyncio.sleep(0.5)
            watching.cancel()
    assert told == []
    assert "event-loop-watchdog" not in {thread.name for thread in threading.enumerate()}
