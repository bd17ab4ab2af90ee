"""One side of a relay: a connection with its time limits, its keepalive and an orderly end."""

import asyncio
import socket
import ssl
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from broker.inbound.http import HeadBuffer

CHUNK: Final = 64 * 1024
GRACE_S: Final = 2.0
"""How long a connection may take to send its last bytes before it is cut."""

_LINGER_S: Final = 1.0


@dataclass(slots=True, kw_only=True)
class Leg:
    """A connection; `surplus` holds the bytes that were read past its head."""

    name: str
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    peer: str = ""
    surplus: bytearray = field(default_factory=bytearray)

    async def read_head(self, seconds: float) -> bytes | None:
        """The head that the other side sends; None if it left without a byte.

        Raises `broker.inbound.http.MalformedHead`, TimeoutError, EOFError or OSError.
        """
        head = HeadBuffer()
        async with asyncio.timeout(seconds):
            while True:
                data = await self.reader.read(CHUNK)
                if not data:
                    if not head.started:
                        return None
                    raise EOFError("the connection ended within its head")
                whole = head.feed(data)
                if whole is not None:
                    self.surplus += head.rest
                    return whole

    async def send(self, data: bytes, seconds: float) -> None:
        """Gives bytes to the other side. Raises TimeoutError or OSError."""
        async with asyncio.timeout(seconds):
            self.writer.write(data)
            await self.writer.drain()

    async def until_gone(self) -> None:
        """Returns when the other side has closed; keeps what it sends until then as surplus, within bounds."""
        try:
            while len(self.surplus) < CHUNK:
                data = await self.reader.read(CHUNK)
                if not data:
                    return
                self.surplus += data
        except OSError:
            return
        await asyncio.Event().wait()

    def finish(self) -> None:
        """Sends what is pending and then the end of our direction. TLS has no half-open state: there it closes."""
        if self.writer.transport.is_closing():
            return
        try:
            if self.writer.can_write_eof():
                self.writer.write_eof()
            else:
                self.writer.close()
        except OSError:
            self.abort()

    async def reply(self, data: bytes, seconds: float) -> None:
        """Sends a last answer, and closes in a way that lets it be read. Never raises."""
        try:
            await self.send(data, seconds)
            self.finish()
            async with asyncio.timeout(_LINGER_S):
                while await self.reader.read(CHUNK):
                    pass
        except OSError:
            pass
        await self.close()

    async def close(self) -> None:
        """Sends what is pending for at most `GRACE_S`, then the connection is gone. Never raises; safe to repeat."""
        if not self.writer.transport.is_closing():  # closed twice, a TLS transport forgets how to abort
            self.writer.close()
        try:
            async with asyncio.timeout(GRACE_S):
                await self.writer.wait_closed()
        except (OSError, TimeoutError):
            pass
        finally:
            self.abort()

    def abort(self) -> None:
        """Drops the connection and what is pending. Safe to repeat."""
        with suppress(AttributeError):  # Python 3.11.2, of a TLS transport that is no more
            self.writer.transport.abort()


async def accept_leg(sock: socket.socket, tls: ssl.SSLContext | None, seconds: float) -> Leg:
    """Makes an agent's leg of an accepted socket, with its TLS handshake done. Raises OSError or TimeoutError."""
    peer = sock.getpeername()
    tune(sock)
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=CHUNK)
    protocol = asyncio.StreamReaderProtocol(reader)
    limit = seconds if tls else None
    transport, _ = await loop.connect_accepted_socket(lambda: protocol, sock, ssl=tls, ssl_handshake_timeout=limit)
    writer = asyncio.StreamWriter(transport, protocol, reader, loop)
    return Leg(name="agent", reader=reader, writer=writer, peer=f"{peer[0]}:{peer[1]}")


async def dial_leg(host: str, port: int, tls: ssl.SSLContext | None, seconds: float) -> Leg:
    """Connects to a controller. Raises OSError (which ssl.SSLError is) or TimeoutError."""
    async with asyncio.timeout(seconds):
        reader, writer = await asyncio.open_connection(host, port, ssl=tls, limit=CHUNK)
    tune(writer.get_extra_info("socket"))
    return Leg(name="controller", reader=reader, writer=writer)


def tune(sock: socket.socket) -> None:
    """No delay, and a peer that has vanished is noticed within a minute."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 60_000)
