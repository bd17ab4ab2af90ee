"""Accepts connections, within bounds, and gives each to a page; one that fails does not touch the others."""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from functools import partial
from ipaddress import ip_address, ip_network
from typing import Final

from broker.errors import GatewayError
from broker.gateway.drops import DRIVEN_OUT, FULL, NOT_ALLOWED
from broker.gateway.handshakes import Handshakes
from broker.gateway.live import LiveSessions
from broker.gateway.presence import Presence
from broker.gateway.settings import Limits
from broker.inbound.descriptor import Descriptor
from broker.inbound.exchange import read_head, reply
from broker.inbound.http import HeadTooLarge, MalformedHead, RequestHead, parse_request, text_reply
from broker.telemetry.events import CONNECTION_FAILED

BACKLOG: Final = 1024
_AT_ONCE: Final = 64
"""Connections accepted before it is the others' turn."""
_FULL_S: Final = 0.05
"""How long nobody is accepted when no descriptor is free."""

Serve = Callable[[Descriptor, RequestHead], Awaitable[bool]]
"""Answers a request, and says whether it has given the connection to somebody who closes it."""


def listen(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """A listening socket; `shared` with others of this user that are too. Raises `GatewayError` that names the address.

    A shared one has to be accepted from until nobody waits before it is closed: who is in its queue is cut off.
    """
    try:
        infos = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, proto, _, address = infos[0]
        sock = socket.socket(family, kind, proto)
    except OSError as error:
        raise GatewayError(f"cannot listen at {host}:{port}: {error.strerror}") from error
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind(address)
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise GatewayError(f"cannot listen at {host}:{port}: {error.strerror}") from error
    sock.setblocking(False)
    return sock


class Listener:
    """One listening socket; every connection carries one request, and a task only until it is a session."""

    def __init__(
        self,
        sock: socket.socket,
        tls: ssl.SSLContext | None,
        limits: Limits,
        serve: Serve,
        presence: Presence | None = None,
        live: LiveSessions | None = None,
        allowed: Iterable[str] = (),
    ) -> None:
        """Takes the socket over. `live` are the connections that were given away, and where drops are counted.

        `allowed` are the networks that connections may come from; none: all. Raises ValueError for what is no network.
        """
        self._allowed = tuple(ip_network(one) for one in allowed)
        self._sock = sock
        self._tls = tls
        self._limits = limits
        self._serve = serve
        self._presence = presence or Presence()
        self._live = LiveSessions() if live is None else live
        self.handshakes = Handshakes(
            limits.handshakes, partial(self._live.drops.note, DRIVEN_OUT), newcomer_s=limits.newcomer_s
        )
        self._stopped = asyncio.Event()
        self.ended = 0
        """Connections that did not become a session."""
        self._open = 0

    async def run(self) -> None:
        """Accepts until it is stopped, and returns when its last connection is answered or given away.

        Cancelled, it drops those that are neither.
        """
        loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as group:
            loop.add_reader(self._sock, self._accept, group)
            try:
                await self._stopped.wait()
                self._accept(group)  # who waits in the queue would be cut off with the socket
            finally:
                loop.remove_reader(self._sock)
                self._sock.close()

    def stop(self) -> None:
        """Accepts nobody any more. Safe to repeat."""
        self._stopped.set()

    def _accept(self, group: asyncio.TaskGroup) -> None:
        for _ in range(BACKLOG if self._stopped.is_set() else _AT_ONCE):
            try:
                sock, address = self._sock.accept()
            except BlockingIOError:
                return
            except ConnectionError:  # it has left already
                continue
            except OSError:  # no descriptor is free
                self._pause(group)
                return
            if self._allowed and not self._is_allowed(address[0]):
                sock.close()  # without a word, and before it can cost anything
                self._live.drops.note(NOT_ALLOWED, address[0])
                continue
            if self._open + len(self._live) >= self._limits.connections:
                self._turn_away(sock)
                self._live.drops.note(FULL, address[0])
                continue
            self._open += 1
            peer = f"{address[0]}:{address[1]}"
            group.create_task(self._connection(Descriptor(sock, peer)), name="gateway:connection")

    def _is_allowed(self, host: str) -> bool:
        address = ip_address(host.partition("%")[0])
        address = getattr(address, "ipv4_mapped", None) or address
        return any(address in network for network in self._allowed)

    def _pause(self, group: asyncio.TaskGroup) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._sock)

        def go_on() -> None:
            if self._sock.fileno() >= 0:
                loop.add_reader(self._sock, self._accept, group)

        loop.call_later(_FULL_S, go_on)

    def _turn_away(self, sock: socket.socket) -> None:
        """Without waiting: what the socket takes at once. Under TLS there is nobody yet who could read it."""
        with sock, suppress(OSError):
            if self._tls is None:
                sock.setblocking(False)
                sock.send(text_reply(503, "too many connections: try again\n"))

    async def _connection(self, connection: Descriptor) -> None:
        given = False
        try:
            self._presence.watch(connection.sock)
            given = await self.receive(connection)
        except OSError:
            pass  # the other side went away
        except Exception as error:
            CONNECTION_FAILED.emit(error=type(error).__name__, message=str(error))
        finally:
            self._open -= 1
            if not given:
                self.ended += 1
                connection.close()

    async def receive(self, connection: Descriptor) -> bool:
        """Serves one connection, and says whether it was given away. Raises OSError where the other side went away."""
        with self.handshakes.waiting(connection):
            if self._tls is not None:
                until = asyncio.get_running_loop().time() + self._limits.head_s
                await connection.start_tls(self._tls, server=True, name=None, until=until)
            request = await self._request(connection)
        return request is not None and await self._serve(connection, request)

    async def _request(self, connection: Descriptor) -> RequestHead | None:
        """The request, None if it was answered here already: too slow, too large, malformed."""
        try:
            head = await read_head(connection, asyncio.get_running_loop().time() + self._limits.head_s)
            return None if head is None else parse_request(head)
        except EOFError:
            return None
        except TimeoutError:
            refusal = text_reply(408, f"no whole request within {self._limits.head_s:g} s\n")
        except HeadTooLarge as error:
            refusal = text_reply(431, f"{error}\n")
        except MalformedHead as error:
            refusal = text_reply(400, f"{error}\n")
        await reply(connection, refusal, self._limits.reply_s)
        return None
