"""The event loop's lag, measured on the real loop."""

import asyncio
import time

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
