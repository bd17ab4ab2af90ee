"""A connection of a simulated agent or controller, on its socket, plain or TLS.

TLS goes through memory: asyncio's own would send a close_notify and keep a quarter of a MiB for each connection.
"""

import asyncio
import socket
import ssl
from contextlib import suppress
from typing import Final, NoReturn, Self

_READ: Final = 64 * 1024


class Wire:
    """Ends with a bare FIN as Java does, unless it is told to say close_notify. One task reads, any may send.

    Errors are OSError, and EOFError where the other side left in the middle of something.
    """

    __slots__ = ("_incoming", "_lock", "_outgoing", "_tls", "close_notified", "pause_s", "sock")

    def __init__(self, sock: socket.socket) -> None:
        """Takes a connected socket."""
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = sock
        self.pause_s = 0.0
        """Between the single bytes that are sent; 0: all at once."""
        self.close_notified = False
        """The other side has said close_notify: as in Java, nothing is noticed from then on."""
        self._lock = asyncio.Lock()
        self._tls: ssl.SSLObject | None = None
        self._incoming = self._outgoing = _NO_BIO

    @classmethod
    async def dial(cls, host: str, port: int) -> Self:
        """Opens a connection."""
        sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            await asyncio.get_running_loop().sock_connect(sock, (host, port))
            return cls(sock)
        except BaseException:
            sock.close()
            raise

    async def start_tls(self, context: ssl.SSLContext, *, server: bool, name: str | None = None) -> None:
        """Speaks TLS from here on; nothing of it may have been read before."""
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=server, server_hostname=name)
        while True:
            try:
                self._tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                await self._flush()
                data = await self.read_raw()
                if not data:
                    raise EOFError("the other side left within the TLS handshake") from None
                self._incoming.write(data)
        await self._flush()

    def certificate(self) -> bytes:
        """What the other side has shown, in DER; empty if nothing."""
        return (self._tls.getpeercert(binary_form=True) if self._tls is not None else None) or b""

    async def read(self, most: int = _READ) -> bytes:
        """What has come; empty at the end."""
        if self._tls is None:
            return await self.read_raw(most)
        while True:
            try:
                data = self._tls.read(most)
            except ssl.SSLWantReadError:
                await self._flush()
                raw = await self.read_raw()
                if not raw:
                    return b""
                self._incoming.write(raw)
                continue
            if not data:
                self.close_notified = True
                await asyncio.Event().wait()
            return data

    async def read_some(self, most: int = _READ) -> bytes:
        """What has come, at least one byte: EOFError at the end."""
        data = await self.read(most)
        if not data:
            raise EOFError("the other side left")
        return data

    async def read_raw(self, most: int = _READ) -> bytes:
        """What has come on the socket, whatever it means; empty at the end."""
        return await asyncio.get_running_loop().sock_recv(self.sock, most)

    async def left(self) -> NoReturn:
        """Says nothing and hears nothing until the other side leaves, and then raises EOFError."""
        while await self.read_raw():
            pass
        raise EOFError("the other side left, after silence")

    @property
    def busy(self) -> bool:
        """Whether somebody is sending."""
        return self._lock.locked()

    async def send(self, data: bytes) -> None:
        """Sends all; waits where the other side does not read."""
        async with self._lock:
            if self._tls is not None:
                self._tls.write(data)
                data = self._outgoing.read()
            await self._send_raw(data)

    async def say_close_notify(self) -> None:
        """Ends TLS by its book; the connection is still there. Nothing without TLS."""
        if self._tls is None:
            return
        with suppress(ssl.SSLError):  # it has said so, and does not wait for the other side
            self._tls.unwrap()
        await self._flush()

    async def finish(self, within_s: float = 1.0) -> None:
        """A FIN behind what was sent; then hears the other side out, for a close with bytes unread is a reset."""
        with suppress(OSError):
            self.sock.shutdown(socket.SHUT_WR)
            async with asyncio.timeout(within_s):
                while await self.read_raw():
                    pass

    def end(self) -> None:
        """A FIN in both directions: whoever reads here gets the end. Safe to repeat."""
        with suppress(OSError):  # gone already
            self.sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Gives the descriptor back; nobody may be reading or sending. Safe to repeat."""
        self.sock.close()

    async def _flush(self) -> None:
        if self._outgoing.pending:
            async with self._lock:
                await self._send_raw(self._outgoing.read())

    async def _send_raw(self, data: bytes) -> None:
        loop = asyncio.get_running_loop()
        if not self.pause_s:
            await loop.sock_sendall(self.sock, data)
            return
        for byte in data:
            await loop.sock_sendall(self.sock, bytes([byte]))
            await asyncio.sleep(self.pause_s)


_NO_BIO: Final = ssl.MemoryBIO()
