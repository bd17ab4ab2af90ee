"""Stands in the middle of connections, and keeps what passes: what is said on the wire, and not what is meant."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass
class Tap:
    """Passes connections on, each byte and each end as it comes."""

    target: Callable[[], tuple[str, int]]
    dials: bool
    """Whether it is the gateway that dials; else others dial it."""
    sent: list[bytearray] = field(default_factory=list)
    """What the gateway has sent, by connection."""
    came: list[bytearray] = field(default_factory=list)
    """What was sent to it."""
    ended: int = 0
    """How many of the gateway's directions have ended."""
    port: int = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Tap"]:
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()

    @property
    def passed(self) -> bytes:
        """Everything, of both directions."""
        return b"".join([*self.sent, *self.came])

    async def _connected(self, near: asyncio.StreamReader, to_near: asyncio.StreamWriter) -> None:
        try:
            far, to_far = await asyncio.open_connection(*self.target())
        except OSError:
            to_near.transport.abort()
            return
        sent, came = bytearray(), bytearray()
        self.sent.append(sent)
        self.came.append(came)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._pass(near, to_far, sent if self.dials else came, gateways=self.dials))
            group.create_task(self._pass(far, to_near, came if self.dials else sent, gateways=not self.dials))
        to_near.transport.abort()
        to_far.transport.abort()

    async def _pass(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, kept: bytearray, *, gateways: bool
    ) -> None:
        try:
            while data := await source.read(65536):
                kept += data
                sink.write(data)
                await sink.drain()
            sink.write_eof()
        except OSError:
            pass
        self.ended += gateways
