"""A connection on its descriptor, plain or TLS, without a transport and without a buffer of its own.

No TLS close_notify is ever sent: a Java peer that gets one goes on as if it were connected (jenkinsci/remoting,
SSLEngineFilterLayer and NetworkLayer.onRecvClosed). A connection ends with a bare FIN, and a peer's FIN without a
close_notify is its normal end.
"""

import asyncio
import os
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import lru_cache, partial
from typing import Any, Final, TypeVar

from broker.inbound.identity import spki_of
from broker.inbound.readiness import Turns, readiness

READ_AT_ONCE: Final = 64 * 1024

_KNOWN: Final = 256
"""Addresses of controllers that need not be looked at again."""

_T = TypeVar("_T")


class Descriptor:
    """A non-blocking connection that one coroutine reads and one writes, until it is given to a relay.

    `surplus` holds bytes that were read and not asked for: they are the first of the next read. `since`, when it was
    made, and `until` are times of the running loop. Every method that waits raises TimeoutError or OSError (which
    ssl.SSLError is); after either the connection is only good for `close`.
    """

    __slots__ = ("__weakref__", "peer", "secure", "since", "sock", "surplus", "waits")

    def __init__(self, sock: socket.socket, peer: str = "") -> None:
        """Takes a connected socket over; `peer` is its other end, for people."""
        sock.setblocking(False)
        self.sock = sock
        self.surplus = b""
        self.since = time.monotonic()  # the time of asyncio's loops
        self.peer = peer
        self.secure = False
        self.waits = False
        """Whether it is the other side whose turn it is now, and not this one's."""

    async def read_some(self, until: float) -> bytes:
        """What there is, at least a byte; empty at the end of the other side's direction."""
        return await self._read(READ_AT_ONCE, until)

    async def read_exactly(self, count: int, until: float) -> bytes:
        """So many bytes; not one more is taken from the connection. Raises EOFError if it ends before."""
        data = b""
        while len(data) < count:
            more = await self._read(count - len(data), until)
            if not more:
                raise EOFError("the connection ended within a message")
            data += more
        return data

    async def send(self, data: bytes, until: float) -> None:
        """Gives all bytes to the connection."""
        rest = data
        while rest:
            rest = rest[await self._when_ready(partial(self.sock.send, rest), until, writes=True) :]

    async def start_tls(self, context: ssl.SSLContext, *, server: bool, name: str | None, until: float) -> None:
        """Shakes hands; as a client with `name`, against which a context that checks names checks. Nothing was read
        past the last plain byte: `surplus` must be empty.
        """
        if self.surplus:
            raise ssl.SSLError("the other side began TLS before it was told to")
        context.options |= ssl.OP_IGNORE_UNEXPECTED_EOF  # or nothing could be sent any more to who has half-closed
        sock = context.wrap_socket(self.sock, server_side=server, server_hostname=name, do_handshake_on_connect=False)
        self.sock = sock
        self.secure = True
        await self._when_ready(sock.do_handshake, until, turns=readiness().handshakes)

    async def gone(self, until: float) -> None:
        """Returns when the other side has closed. What it sends before becomes surplus, up to `READ_AT_ONCE`."""
        with suppress(OSError):
            while len(self.surplus) < READ_AT_ONCE:
                data = await self._when_ready(partial(self.sock.recv, READ_AT_ONCE), until)
                if not data:
                    return
                self.surplus += data
            await asyncio.sleep(until - asyncio.get_running_loop().time())

    def peer_spki(self) -> bytes:
        """The public key in the certificate that the other side showed. Raises `Malformed`, or OSError without one."""
        certificate = self.sock.getpeercert(binary_form=True) if isinstance(self.sock, ssl.SSLSocket) else None
        if certificate is None:
            raise OSError("the other side has shown no certificate")
        return spki_of(certificate)

    def finish(self) -> None:
        """Sends a FIN: the end of our direction, under TLS too. Never raises; safe to repeat."""
        with suppress(OSError):
            # the socket's own: SSLSocket's would end the encryption
            socket.socket.shutdown(self.sock, socket.SHUT_WR)

    def close(self) -> None:
        """The connection is gone, with a FIN or, where bytes came that nobody read, a reset. Safe to repeat."""
        with suppress(OSError):
            self.sock.close()

    async def _read(self, most: int, until: float) -> bytes:
        if self.surplus:
            data, self.surplus = self.surplus[:most], self.surplus[most:]
            return data
        return await self._when_ready(partial(self.sock.recv, most), until)

    async def _when_ready(
        self, attempt: Callable[[], _T], until: float, *, writes: bool = False, turns: Turns | None = None
    ) -> _T:
        """The attempt's result, as soon as it does not have to wait; the first attempt is made at once."""
        while True:
            try:
                if turns is not None:
                    await turns.take()
                return attempt()
            except ssl.SSLWantReadError:
                wait = readiness().readable
            except ssl.SSLWantWriteError:
                wait = readiness().writable
            except BlockingIOError:
                wait = readiness().writable if writes else readiness().readable
            self.waits = True
            try:
                await wait(self.sock.fileno(), until)
            finally:
                self.waits = False


async def dial(address: tuple[str, int], until: float) -> Descriptor:
    """Connects, to the first of the host's addresses that answers: each has its share of the time that is left.

    Raises TimeoutError or OSError.
    """
    loop = asyncio.get_running_loop()
    host, port = address
    found = await _addresses(host, port, until)
    failure: OSError = OSError(f"{host} has no address")
    for tried, (family, kind, protocol, _, where) in enumerate(found):
        sock = socket.socket(family, kind, protocol)
        descriptor = Descriptor(sock, f"{host}:{port}")
        connected = False
        try:
            now = loop.time()
            await _connect(sock, where, now + (until - now) / (len(found) - tried))
            connected = True
            return descriptor
        except OSError as error:
            failure = error
        finally:
            if not connected:
                descriptor.close()
    raise failure


async def _addresses(host: str, port: int, until: float) -> Sequence[Any]:
    try:
        async with asyncio.timeout_at(until):
            loop = asyncio.get_running_loop()
            return _literal(host, port) or await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError:
        raise OSError("the name of a host is malformed") from None


@lru_cache(maxsize=_KNOWN)
def _literal(host: str, port: int) -> tuple[Any, ...]:
    """What needs no resolver, and so no thread."""
    try:
        return tuple(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST))
    except OSError:
        return ()


async def _connect(sock: socket.socket, where: Any, until: float) -> None:
    try:
        sock.connect(where)
    except BlockingIOError:
        await readiness().writable(sock.fileno(), until)
        error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            raise OSError(error, os.strerror(error)) from None
