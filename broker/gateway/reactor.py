"""The reactor of all relays of a process: an epoll of its own, which asyncio's loop watches as one descriptor.

So a relay costs one call for an event, whatever asyncio does for its own callbacks.
"""

import asyncio
import select
from collections.abc import Callable
from typing import Final

from broker.telemetry.events import CONNECTION_FAILED

_EVENTS: Final = 64
_TURNS: Final = 4
"""How often it looks again before everything else has its turn."""


class LoopReactor:
    """A `broker.gateway.waiting.Reactor` within the running loop."""

    def __init__(self) -> None:
        """Needs the running loop."""
        self._loop = asyncio.get_running_loop()
        self._epoll = select.epoll()
        self._ready: dict[int, Callable[[int], None]] = {}
        self._loop.add_reader(self._epoll.fileno(), self._turn)

    def watch(self, descriptor: int, events: int, ready: Callable[[int], None]) -> None:
        """As `Reactor.watch`."""
        if descriptor in self._ready:
            self._epoll.modify(descriptor, events)
        else:
            self._epoll.register(descriptor, events)
        self._ready[descriptor] = ready

    def forget(self, descriptor: int) -> None:
        """As `Reactor.forget`."""
        if self._ready.pop(descriptor, None) is not None:
            self._epoll.unregister(descriptor)

    def call_later(self, seconds: float, call: Callable[[], None]) -> asyncio.TimerHandle:
        """As `Reactor.call_later`."""
        return self._loop.call_later(seconds, call)

    def close(self) -> None:
        """Tells nothing any more."""
        self._loop.remove_reader(self._epoll.fileno())
        self._epoll.close()

    def _turn(self) -> None:
        for _ in range(_TURNS):
            events = self._epoll.poll(0, _EVENTS)
            for descriptor, what in events:
                ready = self._ready.get(descriptor)
                if ready is None:
                    continue
                try:
                    ready(what)
                except Exception as error:
                    CONNECTION_FAILED.emit(error=type(error).__name__, message=str(error))
            if not events:
                return
