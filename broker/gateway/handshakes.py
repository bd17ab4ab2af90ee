"""Connections of which nobody knows yet whose they are: a newcomer drives out who waits longest."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Handshakes:
    """Those that wait for their other side. An honest one takes milliseconds: the oldest is one that says nothing."""

    def __init__(self, most: int, dropped: Callable[[str], None] = lambda peer: None) -> None:
        """At most so many wait; `dropped` hears of each that is driven out."""
        self._most = most
        self._dropped = dropped
        self._waiting: OrderedDict[asyncio.Task[object], str] = OrderedDict()

    @contextmanager
    def waiting(self, peer: str = "") -> Iterator[None]:
        """The running task, which has no other work than one connection, waits in here and may be cancelled."""
        task = asyncio.current_task()
        assert task is not None
        while len(self._waiting) >= self._most:
            oldest, whose = self._waiting.popitem(last=False)
            self._dropped(whose)
            oldest.cancel()
        self._waiting[task] = peer
        try:
            yield
        finally:
            self._waiting.pop(task, None)
