"""The streams that controllers hold open: how many, how often they beat, and how they end."""

import asyncio
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from typing import Final

from broker.domain.ids import BootId, ControllerName
from broker.errors import BrokerError, Busy
from broker.news import Woken

BEAT_S: Final = 10.0
"""A reader hears something at least so often."""
MOST_A_CONTROLLER: Final = 4
_AFTER_S: Final = 1.0


class BrokerStops(BrokerError):
    """The broker is about to end; the next one goes on."""


class Stream:
    """One open stream. Only the loop's own thread may touch it."""

    def __init__(self, controller: ControllerName, boot_id: BootId, beat_s: float) -> None:
        """Lives until `end` is called or its reader leaves."""
        self.controller = controller
        self.boot_id = boot_id
        self._beat_s = beat_s
        self._beat_at = asyncio.get_running_loop().time() + beat_s
        self._patience: asyncio.Timeout | None = None
        self._why: BrokerError | None = None

    async def pause(self, news: Awaitable[None]) -> Woken:
        """Waits for news until the next beat is due. Raises why the stream has been ended, if it has."""
        try:
            async with asyncio.timeout_at(0 if self._why else self._beat_at) as self._patience:
                await news
                return Woken.NEWS
        except TimeoutError:
            if self._why is not None:
                raise self._why from None
            self._beat_at = asyncio.get_running_loop().time() + self._beat_s
            return Woken.BEAT
        finally:
            self._patience = None

    def end(self, why: BrokerError) -> None:
        """Wakes a pause, or lets the next one raise."""
        self._why = self._why or why
        if self._patience is not None and not self._patience.expired():
            self._patience.reschedule(0)


class Streams:
    """All open streams. A controller has a few, a boot of it one: the newest wins, for the older may be half dead."""

    def __init__(self, beat_s: float = BEAT_S) -> None:
        """None yet."""
        self.beat_s = beat_s
        self._open: list[Stream] = []
        self._stops = False

    @contextmanager
    def joining(self, controller: ControllerName, boot_id: BootId) -> Iterator[Stream]:
        """A stream within the block; it may end older ones.

        Raises `BrokerStops` when it comes too late, and `Busy` while too many that were ended hang on slow readers.
        """
        if self._stops:
            raise BrokerStops("the broker is stopping; try again soon")
        others = [s for s in self._open if s.controller == controller]
        if len(others) >= 2 * MOST_A_CONTROLLER:
            raise Busy(f"{len(others)} streams of this controller are open, and their readers do not read", _AFTER_S)
        same = [s for s in others if s.boot_id == boot_id]
        for old in same or others[: max(0, len(others) + 1 - MOST_A_CONTROLLER)]:
            old.end(Busy("a newer stream of this controller has taken this one's place", _AFTER_S))
        stream = Stream(controller, boot_id, self.beat_s)
        self._open.append(stream)
        try:
            yield stream
        finally:
            self._open.remove(stream)

    def count(self) -> int:
        """How many are open."""
        return len(self._open)

    def close(self) -> None:
        """Ends all; no more are taken. Their readers are told that the broker stops."""
        self._stops = True
        for stream in self._open:
            stream.end(BrokerStops("the broker is stopping; try again soon"))
