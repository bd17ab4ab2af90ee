"""Waits until descriptors are ready, at less than asyncio's price: a handshake waits some twenty times.

One epoll for all of a loop, which the loop watches as one descriptor. A descriptor stays in it, told of once a wait,
and one timer serves all time limits.
"""

import asyncio
import math
import select
from collections import deque
from contextlib import suppress
from select import EPOLLIN, EPOLLONESHOT, EPOLLOUT
from typing import Final
from weakref import WeakKeyDictionary

_EVENTS: Final = 256
_STEPS_AT_ONCE: Final = 8
_APART_S: Final = 0.01
"""Time limits are looked at no more often than this."""

_LATE: Final = "late"
_CLOSED: Final = "closed"

_Waits = dict[int, tuple[asyncio.Future[str], float]]
"""The result is empty for ready, or why there is none. Not an exception: a future that holds one is a cycle through its
frames, and the connection stays with it."""


class Readiness:
    """Of the descriptors of one loop: one coroutine may wait to read and one to write from each."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Is watched by the loop, and holds nothing of it."""
        self._epoll = select.epoll()
        self._readers: _Waits = {}
        self._writers: _Waits = {}
        self._looks_at = math.inf
        self.handshakes = Turns(_STEPS_AT_ONCE)
        """Steps of TLS handshakes: each holds the loop for half a millisecond, and relays wait."""
        loop.add_reader(self._epoll.fileno(), self._turn)

    async def readable(self, descriptor: int, until: float) -> None:
        """Returns when there may be something to read, or the end of it. Raises TimeoutError at `until`, of the loop's
        time; ValueError or OSError for what is no open descriptor."""
        await self._wait(self._readers, descriptor, until)

    async def writable(self, descriptor: int, until: float) -> None:
        """As `readable`, to write."""
        await self._wait(self._writers, descriptor, until)

    async def _wait(self, waits: _Waits, descriptor: int, until: float) -> None:
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[str] = loop.create_future()
        former = waits.get(descriptor)
        if former is not None and not former[0].done():  # of another connection, which had this number
            former[0].set_result(_CLOSED)
        mine = waits[descriptor] = ready, until
        woken = False
        try:
            self._arm(descriptor)
            if until < self._looks_at:
                self._look_later(loop, until)
            why = await ready
            woken = not why
        finally:
            if waits.get(descriptor) is mine:
                del waits[descriptor]
                if not woken:
                    self._disarm(descriptor)

        if why == _LATE:
            raise TimeoutError("the other side took too long")
        if why:
            raise OSError("the connection was closed by this side")

    def _disarm(self, descriptor: int) -> None:
        """What comes later must not wake the loop for nobody."""
        with suppress(OSError, ValueError):
            self._epoll.unregister(descriptor)
            if descriptor in self._readers or descriptor in self._writers:
                self._arm(descriptor)

    def _arm(self, descriptor: int) -> None:
        events = EPOLLONESHOT
        if descriptor in self._readers:
            events |= EPOLLIN
        if descriptor in self._writers:
            events |= EPOLLOUT
        try:
            self._epoll.modify(descriptor, events)
        except FileNotFoundError:
            self._epoll.register(descriptor, events)

    def _turn(self) -> None:
        for descriptor, events in self._epoll.poll(0, _EVENTS):
            reader, writer = self._readers.get(descriptor), self._writers.get(descriptor)
            if reader is not None and events & ~EPOLLOUT:
                _wake(reader[0])
                reader = None
            if writer is not None and events & ~EPOLLIN:
                _wake(writer[0])
                writer = None
            if reader is not None or writer is not None:
                self._arm(descriptor)

    def _look_later(self, loop: asyncio.AbstractEventLoop, until: float) -> None:
        self._looks_at = max(until, loop.time() + _APART_S)
        loop.call_at(self._looks_at, self._look, self._looks_at)

    def _look(self, at: float) -> None:
        """Ends the waits whose time is up. Of several looks that were arranged, the last arranged one is the one."""
        if at != self._looks_at:
            return
        self._looks_at = math.inf
        loop = asyncio.get_running_loop()
        now, soonest = loop.time(), math.inf
        for waits in (self._readers, self._writers):
            for ready, until in waits.values():
                if until > now:
                    soonest = min(soonest, until)
                elif not ready.done():
                    ready.set_result(_LATE)
        if soonest < math.inf:
            self._look_later(loop, soonest)


class Turns:
    """Lets so many compute in one turn of the loop, first come first served; the others in the next ones."""

    def __init__(self, most: int) -> None:
        """For one loop."""
        self._most = self._left = most
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def take(self) -> None:
        """Returns when it is this coroutine's turn, which ends when it next waits."""
        loop = asyncio.get_running_loop()
        if self._left == self._most:
            loop.call_soon(self._next, loop)
        if self._left and not self._waiting:
            self._left -= 1
            return
        turn = loop.create_future()
        self._waiting.append(turn)
        await turn

    def _next(self, loop: asyncio.AbstractEventLoop) -> None:
        self._left = self._most
        while self._left and self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                self._left -= 1
        if self._left < self._most:
            loop.call_soon(self._next, loop)


_of_loops: WeakKeyDictionary[asyncio.AbstractEventLoop, Readiness] = WeakKeyDictionary()


def readiness() -> Readiness:
    """That of the running loop."""
    loop = asyncio.get_running_loop()
    found = _of_loops.get(loop)
    if found is None:
        found = _of_loops[loop] = Readiness(loop)
    return found


def _wake(ready: asyncio.Future[str]) -> None:
    if not ready.done():
        ready.set_result("")
