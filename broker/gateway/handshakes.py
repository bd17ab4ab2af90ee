"""Connections of which nobody knows yet whose they are: a newcomer drives out who waits longest."""

import asyncio
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager


class Handshakes:
    """Those that wait for their other side. An honest one takes milliseconds: the oldest is one that says nothing."""

    def __init__(self, most: int) -> None:
        """At most so many wait."""
        self._most = most
        self._waiting: OrderedDict[asyncio.Task[object], None] = OrderedDict()
        self.driven_out = 0

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """The running task, which has no other work than one connection, waits in here and may be cancelled."""
        task = asyncio.current_task()
        assert task is not None
        while len(self._waiting) >= self._most:
            oldest, _ = self._waiting.popitem(last=False)
            self.driven_out += 1
            oldest.cancel()
        self._waiting[task] = None
        try:
            yield
        finally:
            self._waiting.pop(task, None)
