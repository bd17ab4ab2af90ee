"""Measures how late the event loop is: what every other time of the broker suffers from."""

import asyncio
from collections.abc import Callable
from typing import Final

PERIOD_S: Final = 0.5


async def watch_event_loop(report: Callable[[float], None], *, period_s: float = PERIOD_S) -> None:
    """Reports, each period, how many seconds after its time a timer fired. Runs until it is cancelled.

    It measures the loop it runs in, so its time is that loop's and is not injected.
    """
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + period_s
        await asyncio.sleep(period_s)
        report(max(0.0, loop.time() - due))
