"""Measures how late the event loop is, what every other time of the broker suffers from; and tells where it hangs."""

import asyncio
import sys
import threading
import time
import traceback
from collections.abc import Callable
from types import FrameType
from typing import Final

from broker.telemetry import events

PERIOD_S: Final = 0.5
BLOCKED_S: Final = 2.0
"""A loop that has not turned for so long is told, with the place where it hangs."""
_DEEPEST: Final = 12


async def watch_event_loop(
    report: Callable[[float], None], *, period_s: float = PERIOD_S, blocked_s: float = BLOCKED_S
) -> None:
    """Reports, each period, how many seconds after its time a timer fired. Runs until it is cancelled.

    A thread looks on: while the loop is blocked nothing in it can tell. It measures the loop it runs in, so its time is
    that loop's and is not injected.
    """
    loop = asyncio.get_running_loop()
    with _Watchdog(blocked_s) as watchdog:
        while True:
            due = loop.time() + period_s
            await asyncio.sleep(period_s)
            watchdog.turned()
            report(max(0.0, loop.time() - due))


class _Watchdog:
    """Tells once of each time that the loop's thread, which makes this, does not turn."""

    def __init__(self, blocked_s: float) -> None:
        self._blocked_s = blocked_s
        self._watched = threading.get_ident()
        self._turned_at = time.monotonic()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="event-loop-watchdog", daemon=True)

    def __enter__(self) -> "_Watchdog":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def turned(self) -> None:
        """The loop lives."""
        self._turned_at = time.monotonic()

    def _run(self) -> None:
        told = 0.0
        while not self._stop.wait(self._blocked_s / 4):
            turned_at = self._turned_at
            silent_s = time.monotonic() - turned_at
            if silent_s >= self._blocked_s and told != turned_at:
                told = turned_at
                where = place_of(sys._current_frames().get(self._watched))
                events.EVENT_LOOP_BLOCKED.emit(for_s=round(silent_s, 1), where=where)


def place_of(frame: FrameType | None) -> str:
    """The innermost calls of a thread, outermost first: `file:line function`, one after the other."""
    calls = traceback.extract_stack(frame)[-_DEEPEST:] if frame is not None else []
    return " > ".join(f"{call.filename.rpartition('/')[2]}:{call.lineno} {call.name}" for call in calls)
