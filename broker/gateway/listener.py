"""Accepts connections, within bounds, and gives each to a page; one that fails does not touch the others."""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from broker.errors import GatewayError
from broker.gateway.legs import Leg, accept_leg
from broker.gateway.settings import Limits
from broker.inbound.http import HeadTooLarge, MalformedHead, RequestHead, parse_request, text_reply
from broker.telemetry.events import CONNECTION_FAILED

BACKLOG: Final = 1024
Serve = Callable[[Leg, RequestHead], Awaitable[None]]


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises `GatewayError` that names the address."""
    try:
        infos = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, proto, _, address = infos[0]
        sock = socket.socket(family, kind, proto)
    except OSError as error:
        raise GatewayError(f"cannot listen at {host}:{port}: {error.strerror}") from error
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise GatewayError(f"cannot listen at {host}:{port}: {error.strerror}") from error
    sock.setblocking(False)
    return sock


class Listener:
    """One listening socket; every connection carries one request."""

    def __init__(self, sock: socket.socket, tls: ssl.SSLContext | None, limits: Limits, serve: Serve) -> None:
        """Takes the socket over. `serve` closes the leg that it is given."""
        self._sock = sock
        self._tls = tls
        self._limits = limits
        self._serve = serve
        self._heads = 0
        self._open = 0

    async def run(self) -> None:
        """Accepts until cancelled; then the connections end, their relays with a FIN."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.TaskGroup() as group:
                while True:
                    try:
                        accepted, _ = await loop.sock_accept(self._sock)
                    except OSError:  # no descriptor is free, or the peer has left already
                        await asyncio.sleep(0.05)
                        continue
                    if self._open >= self._limits.connections:
                        self._turn_away(accepted)
                        continue
                    self._open += 1
                    group.create_task(self._connection(accepted), name="gateway:connection")
        finally:
            self._sock.close()

    def _turn_away(self, sock: socket.socket) -> None:
        """Without waiting: what the socket takes at once. Under TLS there is nobody yet who could read it."""
        with sock, suppress(OSError):
            if self._tls is None:
                sock.setblocking(False)
                sock.send(text_reply(503, "too many connections: try again\n"))

    async def _connection(self, sock: socket.socket) -> None:
        leg: Leg | None = None
        try:
            leg = await accept_leg(sock, self._tls, self._limits.head_s)
            request = await self._request(leg)
            if request is not None:
                await self._serve(leg, request)
        except OSError:
            pass  # the other side went away
        except Exception as error:
            CONNECTION_FAILED.emit(error=type(error).__name__, message=str(error))
        finally:
            self._open -= 1
            if leg is not None:
                await leg.close()
            else:
                sock.close()

    async def _request(self, leg: Leg) -> RequestHead | None:
        """The request, None if it was answered here already: too many, too slow, too large, malformed."""
        if self._heads >= self._limits.handshakes:
            await leg.reply(text_reply(503, "too many connections: try again\n"), self._limits.reply_s)
            return None
        self._heads += 1
        try:
            head = await leg.read_head(self._limits.head_s)
            return None if head is None else parse_request(head)
        except EOFError:
            return None
        except TimeoutError:
            refusal = text_reply(408, f"no whole request within {self._limits.head_s:g} s\n")
        except HeadTooLarge as error:
            refusal = text_reply(431, f"{error}\n")
        except MalformedHead as error:
            refusal = text_reply(400, f"{error}\n")
        finally:
            self._heads -= 1
        await leg.reply(refusal, self._limits.reply_s)
        return None
