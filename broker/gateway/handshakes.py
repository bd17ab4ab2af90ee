"""Connections of which nobody knows yet whose they are: a newcomer drives out who waits longest."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Final

from broker.inbound.descriptor import Descriptor

_LOOKED_AT: Final = 64
"""Of the oldest, when one is to go: a newcomer costs no walk through all of them."""


class Handshakes:
    """Those that wait for their other side. An honest one takes milliseconds: the oldest is one that says nothing.

    In a rush the honest ones wait too, and for this side: nobody is driven out whose turn it is not, and no newcomer
    but where there are twice as many as may be.
    """

    def __init__(
        self, most: int, dropped: Callable[[str], None] = lambda peer: None, *, newcomer_s: float = 0.0
    ) -> None:
        """At most so many wait that are no newcomers any more; `dropped` hears of each that is driven out."""
        self._most = most
        self._newcomer_s = newcomer_s
        self._dropped = dropped
        self._waiting: OrderedDict[asyncio.Task[object], Descriptor] = OrderedDict()

    @contextmanager
    def waiting(self, leg: Descriptor) -> Iterator[None]:
        """The running task, which has no other work than this connection, waits in here and may be cancelled."""
        task = asyncio.current_task()
        assert task is not None
        while len(self._waiting) >= self._most and self._drive_out():
            pass
        self._waiting[task] = leg
        try:
            yield
        finally:
            self._waiting.pop(task, None)

    def _drive_out(self) -> bool:
        """Ends the oldest that waits for its other side, soon; False if there is none among the oldest."""
        now = asyncio.get_running_loop().time()
        until = now if len(self._waiting) >= 2 * self._most else now - self._newcomer_s
        for task, leg in islice(self._waiting.items(), _LOOKED_AT):
            if leg.since > until:
                return False
            if leg.waits:
                del self._waiting[task]
                self._dropped(leg.peer)
                task.cancel()
                return True
        return False
