"""The blocks in which JNLP4-connect speaks until its channel starts: two bytes of length, then so many bytes.

Sources: org.jenkinsci.remoting.util.ByteBufferUtils.wrapUTF8 and
org.jenkinsci.remoting.protocol.impl.ConnectionHeadersFilterLayer (Remoting). Lengths are big-endian and unsigned.
"""

from typing import Final

MAX_HEADERS: Final = 8 * 1024
"""Bytes of a block of headers, or of the answer to it. Java takes 65 535; an honest peer sends some 200."""
_LENGTH: Final = 2
_MOST: Final = 0xFFFF


class Malformed(ValueError):
    """A peer's bytes are not the protocol. The text is for people, and holds nothing that the peer has sent."""


class BlockReader:
    """Collects bytes until a block is whole; what came after it is kept in `rest`."""

    __slots__ = ("_limit", "rest")

    def __init__(self, limit: int) -> None:
        """Reads blocks of at most `limit` bytes."""
        self._limit = limit
        self.rest = bytearray()

    def feed(self, data: bytes) -> bytes | None:
        """The next block without its length, once it is whole; what is in `rest` comes before `data`.

        So `feed(b"")` gives a block that came with the one before it. Raises `Malformed` as soon as the length is
        known and is over the limit: never more is kept than the limit, a length and what was fed last.
        """
        rest = self.rest
        rest += data
        if len(rest) < _LENGTH:
            return None
        size = int.from_bytes(rest[:_LENGTH], "big")
        if size > self._limit:
            raise Malformed(f"a block has {size} bytes, and at most {self._limit} are taken")
        end = _LENGTH + size
        if len(rest) < end:
            return None
        found = bytes(rest[_LENGTH:end])
        del rest[:end]
        return found


def block(data: bytes) -> bytes:
    """A block that holds `data`. Raises ValueError for more than 65 535 bytes."""
    if len(data) > _MOST:
        raise ValueError(f"a block holds at most {_MOST} bytes, not {len(data)}")
    return len(data).to_bytes(_LENGTH, "big") + data


def plain(text: str, most: int = 200) -> str:
    """Words of a peer for one line of a log: printable characters only, single spaces, at most `most` of them."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:most]
