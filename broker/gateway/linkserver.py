"""One gateway's link as the control plane holds it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Final

from broker.errors import GatewayError
from broker.gateway.link import FromControl, FromGateway, Hello, encode, from_gateway
from broker.gateway.linktls import GATEWAY_NAME, is_of_gateway
from broker.telemetry.events import NOT_A_GATEWAY

_HELLO_S: Final = 10.0
_SILENCE_S: Final = 15.0
"""A gateway says something every two seconds."""
_HANGS_S: Final = 60.0
"""On a Unix socket the kernel tells when the process is no more; one that hangs holds its agents' names meanwhile."""
_MAX_UNSENT: Final = 8 * 1024 * 1024
"""Bytes that a gateway has not read; one that is so far behind is cut off, and says its full truth when it is back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkedGateway:
    """A gateway process whose link is up."""

    id: str
    pid: int
    version: str
    listen: str
    generation: int = 0
    accepting: bool = True
    """False while it only keeps the sessions that it has."""


@dataclass(slots=True, kw_only=True, eq=False)
class GatewayLink:
    """A link whose gateway has said hello."""

    hello: Hello
    reader: asyncio.StreamReader = field(repr=False)
    writer: asyncio.StreamWriter = field(repr=False)
    silence_s: float
    """After so long without a message it is over."""
    deciding: int = 0
    draining: bool = False
    """Told since its hello that it accepts nobody any more."""

    @property
    def accepting(self) -> bool:
        """Whether agents can come in through it."""
        return self.hello.accepting and not self.draining

    @property
    def gateway(self) -> LinkedGateway:
        """Whose it is, for people."""
        told = self.hello
        return LinkedGateway(
            id=told.gateway,
            pid=told.pid,
            version=told.version,
            listen=told.listen,
            generation=told.generation,
            accepting=self.accepting,
        )

    def send(self, message: FromControl) -> None:
        """Never waits; cuts off a gateway that does not read."""
        self.writer.write(encode(message))
        if self.writer.transport.get_write_buffer_size() > _MAX_UNSENT:
            self.writer.transport.abort()

    async def messages(self) -> AsyncIterator[FromGateway]:
        """The messages that are known, until the link ends or one is malformed."""
        try:
            while line := await self._line():
                message = from_gateway(line)
                if message is not None:
                    yield message
        except (OSError, ValueError, GatewayError):
            return  # the gateway links anew and says its full truth

    async def _line(self) -> bytes:
        async with asyncio.timeout(self.silence_s):
            return await self.reader.readline()


async def greeted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> GatewayLink | None:
    """The link of a gateway that says hello; None for whoever does not, not in time, or with another certificate."""
    if not is_of_gateway(writer):
        NOT_A_GATEWAY.emit(peer=str(writer.get_extra_info("peername")), message=f"its certificate lacks {GATEWAY_NAME}")
        return None
    remote = writer.get_extra_info("sslcontext") is not None
    try:
        async with asyncio.timeout(_HELLO_S):
            hello = from_gateway(await reader.readline())
    except (OSError, ValueError, GatewayError):
        return None
    if not isinstance(hello, Hello):
        return None
    return GatewayLink(hello=hello, reader=reader, writer=writer, silence_s=_SILENCE_S if remote else _HANGS_S)
