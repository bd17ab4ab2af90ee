"""Bytes without end that are known from a seed, so that the far end of a session can be compared with the near one."""

import hashlib
import random
from typing import Final

PIECE: Final = 8192
"""Bytes of a piece: as much as Java puts into one chunk."""


class Stream:
    """The bytes of one seed, in pieces; every stream of that seed is the same."""

    __slots__ = ("_random",)

    def __init__(self, seed: str) -> None:
        """Any text is a seed."""
        self._random = random.Random(seed)

    def piece(self) -> bytes:
        """The next piece."""
        return self._random.randbytes(PIECE)


class Tally:
    """What has passed: how many bytes, and their SHA-256."""

    __slots__ = ("_hash", "count")

    def __init__(self) -> None:
        """Nothing yet."""
        self._hash = hashlib.sha256()
        self.count = 0

    def add(self, data: bytes) -> None:
        """Counts bytes in their order."""
        self._hash.update(data)
        self.count += len(data)

    @property
    def digest(self) -> str:
        """The hash of all of them, in hex."""
        return self._hash.hexdigest()

    def begins(self, seed: str) -> bool:
        """Whether these bytes are the first ones of a seed's stream: nothing missing, added, swapped or changed."""
        stream, expected = Stream(seed), Tally()
        while expected.count < self.count:
            expected.add(stream.piece()[: self.count - expected.count])
        return expected.digest == self.digest


class Traffic:
    """Both directions of one session, seen from one end. Chunks are not counted, only what they hold."""

    __slots__ = ("received", "sent")

    def __init__(self) -> None:
        """Nothing yet."""
        self.sent = Tally()
        self.received = Tally()


def agents_seed(seed: str, name: str) -> str:
    """The seed of what an agent sends."""
    return f"{seed}/{name}/agent"


def controllers_seed(seed: str, name: str) -> str:
    """The seed of what a controller sends to an agent."""
    return f"{seed}/{name}/controller"
