"""The chunks into which commands of a channel are cut: two bytes of header, then the data.

Source: hudson.remoting.AbstractByteBufferCommandTransport and ChunkHeader (Remoting). The top bit of the header says
that more chunks of the command follow, the others are the length. Over WebSocket each message is one chunk.
"""

from typing import Final

MAX_CHUNK: Final = 2 + 0x7FFF
"""Bytes of the longest chunk, with its header."""
_HEADER: Final = 2
_MORE: Final = 0x8000
_WRITTEN: Final = 8192


class ChunkReader:
    """Finds the chunks in a stream. Keeps less than one chunk. No bytes are malformed: every length is allowed."""

    __slots__ = ("_partial",)

    def __init__(self) -> None:
        """The stream begins with a header."""
        self._partial = bytearray()

    def feed(self, data: bytes | memoryview) -> list[bytes]:
        """The chunks that are whole now, each with its header."""
        buffer = self._partial
        buffer += data
        found, start, end = [], 0, len(buffer)
        with memoryview(buffer) as view:
            while end - start >= _HEADER:
                after = start + _HEADER + ((buffer[start] & 0x7F) << 8 | buffer[start + 1])
                if after > end:
                    break
                found.append(bytes(view[start:after]))
                start = after
        del buffer[:start]
        return found


def chunks(command: bytes) -> list[bytes]:
    """A command in chunks as Java writes them: 8192 bytes of data each, the rest in the last one."""
    starts = range(0, max(len(command), 1), _WRITTEN)
    pieces = [command[start : start + _WRITTEN] for start in starts]
    return [chunk(piece, more=piece is not pieces[-1]) for piece in pieces]


def chunk(data: bytes, *, more: bool = False) -> bytes:
    """One chunk. Raises ValueError for more than 32 767 bytes."""
    if len(data) > MAX_CHUNK - _HEADER:
        raise ValueError(f"a chunk holds at most {MAX_CHUNK - _HEADER} bytes, not {len(data)}")
    return (len(data) | (_MORE if more else 0)).to_bytes(_HEADER, "big") + data
