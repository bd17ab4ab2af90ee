"""Gives memory back to the system when many connections have ended: the C library would keep it for the next ones.

OpenSSL's share of a connection is in its heap, in pieces between those of others; nobody but `malloc_trim` gives such
pieces back (malloc_trim(3)). Python's own allocator keeps a whole MiB for the smallest object in it, so that after
2 000 handshakes it held 11 MiB for good: `ENVIRONMENT` lets a process do without it. Python also keeps thousands of
objects to use them again, all over the heap; a collection lets go of them. Both take some milliseconds.
"""

import asyncio
import ctypes
import gc
from collections.abc import Callable
from typing import Final

ENVIRONMENT: Final = {"PYTHONMALLOC": "malloc", "GLIBC_TUNABLES": "glibc.malloc.tcache_count=0"}
"""For a process that is to give memory back, from its start: without Python's allocator, and without the C library's
own hoard of pieces, which are all over the heap too."""
_EVERY_S: Final = 10.0
_MANY: Final = 100
"""Connections whose memory is worth a look at the whole heap: some 3 MiB."""
_SOME: Final = 10
"""The rest of many."""


def give_back() -> None:
    """Does it; does nothing where the C library has no such call."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


class Trimmer:
    """Decides when."""

    def __init__(self, ended: Callable[[], int], trim: Callable[[], None] = give_back) -> None:
        """`ended` says how many connections have ended since the start."""
        self._ended = ended
        self._trim = trim
        self._then = self._last = 0

    async def run(self) -> None:
        """Looks every few seconds until cancelled."""
        while True:
            await asyncio.sleep(_EVERY_S)
            self.look()

    def look(self) -> None:
        """Gives back if many have ended since it last did, or some and none since the last look."""
        ended = self._ended()
        if ended - self._then >= (_SOME if ended == self._last else _MANY):
            self._then = ended
            self._trim()
        self._last = ended
