"""The channel of a session over either transport, as far as a simulator knows it: data in chunks, both ways."""

import asyncio
import os
from typing import Final, Protocol

from broker.demo.sim.streams import PIECE, Stream, Tally
from broker.demo.sim.wire import Wire
from broker.inbound.chunks import MAX_CHUNK, ChunkReader, chunk
from broker.inbound.frames import BINARY, CLOSE, PING, PONG, FrameReader, close_payload, frame

_HEADER: Final = 2
_BATCH: Final = 8


class Channel(Protocol):
    """What both transports give. One task receives; any may send."""

    wire: Wire

    async def send(self, *pieces: bytes) -> None:
        """Sends each piece as a chunk; none may have more than 32 767 bytes."""

    async def receive(self) -> list[bytes]:
        """What the next chunks hold; empty at the end. Raises Malformed, OSError."""

    async def ping(self) -> None:
        """Keeps the connection from being taken for idle, where the transport has something for it."""

    async def leave(self) -> None:
        """Says goodbye where the transport has a word for it, then FIN. Raises OSError."""


class TcpChannel:
    """Chunks on the wire as they are."""

    __slots__ = ("_chunks", "_surplus", "wire")

    def __init__(self, wire: Wire, surplus: bytes = b"") -> None:
        """`surplus` is what came behind the capability."""
        self.wire = wire
        self._chunks = ChunkReader()
        self._surplus = surplus

    async def send(self, *pieces: bytes) -> None:
        await self.wire.send(b"".join(chunk(piece) for piece in pieces))

    async def receive(self) -> list[bytes]:
        while data := self._surplus or await self.wire.read():
            self._surplus = b""
            if whole := self._chunks.feed(data):
                return [one[_HEADER:] for one in whole]
        return []

    async def ping(self) -> None:
        pass

    async def leave(self) -> None:
        self.wire.end()


class WebSocketChannel:
    """A message for each chunk. Answers pings while it receives."""

    __slots__ = ("_client", "_frames", "_over", "_surplus", "pongs", "wire")

    def __init__(self, wire: Wire, surplus: bytes = b"", *, client: bool) -> None:
        """`surplus` is what came behind the head; `client` is the agent's side."""
        self.wire = wire
        self.pongs = 0
        """Pings of ours that were answered."""
        self._client = client
        self._frames = FrameReader(masked=not client, most=2 * MAX_CHUNK)
        self._surplus = surplus
        self._over = False

    async def send(self, *pieces: bytes) -> None:
        await self.wire.send(b"".join(self._frame(BINARY, chunk(piece)) for piece in pieces))

    async def receive(self) -> list[bytes]:
        while not self._over and (data := self._surplus or await self.wire.read()):
            self._surplus = b""
            found = []
            for opcode, payload in self._frames.feed(data):
                if opcode == BINARY:
                    found.append(payload[_HEADER:])
                elif opcode == PING:
                    await self.wire.send(self._frame(PONG, payload))
                self._over |= opcode == CLOSE
                self.pongs += opcode == PONG
            if found or self._over:
                return found
        return []

    async def ping(self) -> None:
        await self.wire.send(self._frame(PING, b""))

    async def leave(self) -> None:
        await self.wire.send(self._frame(CLOSE, close_payload(1000)))
        self.wire.end()

    def _frame(self, opcode: int, payload: bytes) -> bytes:
        return frame(opcode, payload, os.urandom(4) if self._client else None)


class Tap:
    """Whether those who pour go on."""

    __slots__ = ("open",)

    def __init__(self) -> None:
        """It is open."""
        self.open = True


async def pour(channel: Channel, seed: str, tally: Tally, tap: Tap, bytes_per_s: float) -> None:
    """Sends the stream of a seed until the tap closes or the connection ends; `bytes_per_s` 0: as fast as it goes."""
    stream, loop = Stream(seed), asyncio.get_running_loop()
    due = loop.time()
    try:
        while tap.open:
            pieces = [stream.piece() for _ in range(_BATCH)]
            await channel.send(*pieces)
            for piece in pieces:
                tally.add(piece)
            if bytes_per_s:
                due = max(due, loop.time() - 1) + _BATCH * PIECE / bytes_per_s
                await asyncio.sleep(due - loop.time())
    except OSError:
        pass  # whoever receives says what has ended it
