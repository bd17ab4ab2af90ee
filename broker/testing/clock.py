"""Time that only moves when a test says so."""

import asyncio
import heapq
import itertools
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final, cast

EPOCH: Final = datetime(2026, 1, 1, tzinfo=UTC)
_CALM: Final = 10
"""Turns of the loop in a row in which nothing else was ready: what is on its way through a socket comes in a few."""


async def run_ready(calm: int = _CALM) -> None:
    """Lets run what is ready and what that makes ready, until nothing has been for `calm` turns of the loop."""
    ready = cast("Any", asyncio.get_running_loop())._ready
    left = calm
    while left:
        await asyncio.sleep(0)
        left = calm if ready else left - 1


async def settle(real_s: float = 0.0) -> None:
    """Lets everything that is ready run; `real_s` also gives threads (a database's, say) that much real time."""
    await run_ready()
    if real_s:
        await asyncio.sleep(real_s)
        await settle()


class ManualClock:
    """A `ports.Clock` in virtual time. Sleepers wake in the order of their times, those of one time as they came."""

    def __init__(self, start: datetime = EPOCH, settle: Callable[[], Awaitable[None]] = settle) -> None:
        """Starts at `start` with `monotonic()` 0; `settle` is awaited after every wake-up."""
        self._start = start
        self._monotonic = 0.0
        self._skew = timedelta()
        self._settle = settle
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = itertools.count()

    def now(self) -> datetime:
        """The virtual wall clock."""
        return self._start + timedelta(seconds=self._monotonic) + self._skew

    def monotonic(self) -> float:
        """Virtual seconds since the clock was made."""
        return self._monotonic

    async def sleep_until(self, when: float) -> None:
        """Returns once `advance` has brought the time to `when`."""
        if when <= self._monotonic:
            await asyncio.sleep(0)
            return
        waiting = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (when, next(self._order), waiting))
        await waiting

    @property
    def next_wake(self) -> float | None:
        """When the next sleeper wakes, None if nobody sleeps."""
        while self._sleepers and self._sleepers[0][2].done():
            heapq.heappop(self._sleepers)
        return self._sleepers[0][0] if self._sleepers else None

    async def advance(self, seconds: float) -> None:
        """Moves the time on, stopping at every sleeper's time so that it sees just that time, and settles."""
        end = self._monotonic + seconds
        await self._settle()
        while (when := self.next_wake) is not None and when <= end:
            _, _, waiting = heapq.heappop(self._sleepers)
            self._monotonic = max(self._monotonic, when)
            waiting.set_result(None)
            await self._settle()
        self._monotonic = end
        await self._settle()

    async def advance_until(self, reached: Callable[[], bool], *, step_s: float = 1.0, limit_s: float = 3600.0) -> None:
        """Moves on in steps until `reached()`; AssertionError when it has not come after `limit_s` virtual seconds."""
        end = self._monotonic + limit_s
        await self._settle()
        while not reached():
            if self._monotonic >= end:
                raise AssertionError(f"not reached after {limit_s:g} virtual seconds")
            await self.advance(min(step_s, end - self._monotonic))

    def jump(self, by: timedelta) -> None:
        """Moves the wall clock alone, as an operator or NTP does; sleepers and `monotonic` do not see it."""
        self._skew += by
