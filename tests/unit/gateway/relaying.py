"""A relay between real sockets of this machine, with a reactor that goes on only when a test lets it."""

import hashlib
import select
import socket
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from broker.gateway.relay import Relay
from broker.inbound.descriptor import Descriptor
from broker.inbound.identity import Identity


@dataclass
class Later:
    """A call that waits for the test."""

    seconds: float
    call: Callable[[], None]
    cancelled: bool = False

    def cancel(self) -> None:
        self.cancelled = True


@dataclass
class HandReactor:
    """An epoll, and timers that only the test lets fire."""

    epoll: select.epoll = field(default_factory=select.epoll)
    readies: dict[int, Callable[[int], None]] = field(default_factory=dict)
    watched: dict[int, int] = field(default_factory=dict)
    timers: list[Later] = field(default_factory=list)
    events: int = 0

    def watch(self, descriptor: int, events: int, ready: Callable[[int], None]) -> None:
        change = self.epoll.modify if descriptor in self.readies else self.epoll.register
        change(descriptor, events)
        self.readies[descriptor], self.watched[descriptor] = ready, events

    def forget(self, descriptor: int) -> None:
        if self.readies.pop(descriptor, None) is not None:
            del self.watched[descriptor]
            self.epoll.unregister(descriptor)

    def call_later(self, seconds: float, call: Callable[[], None]) -> Later:
        self.timers.append(Later(seconds, call))
        return self.timers[-1]

    def let_time_pass(self) -> None:
        for timer in self.timers:
            if not timer.cancelled:
                timer.call()

    def turn(self, wait_s: float = 0.01) -> None:
        for descriptor, events in self.epoll.poll(wait_s):
            self.events += 1
            if descriptor in self.readies:
                self.readies[descriptor](events)

    def until(self, condition: Callable[[], object], seconds: float = 10.0) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, "it did not come about"
            self.turn()


def connected(buffer: int = 0) -> tuple[socket.socket, socket.socket]:
    """The two ends of a TCP connection, the first with small buffers if a size is given."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        near = socket.socket()
        if buffer:
            near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer)
            near.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        near.connect(listening.getsockname())
        far, _ = listening.accept()
    return near, far


@cache
def server_context() -> ssl.SSLContext:
    certificate, key = Identity.new().certificate(datetime.now(UTC))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.num_tickets = 0
    context.options |= ssl.OP_IGNORE_UNEXPECTED_EOF
    with TemporaryDirectory() as directory:
        file = Path(directory) / "both.pem"
        file.write_bytes(certificate + key)
        context.load_cert_chain(file)
    return context


def client_context(version: ssl.TLSVersion) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.options |= ssl.OP_IGNORE_UNEXPECTED_EOF
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = context.maximum_version = version
    return context


def encrypted(near: socket.socket, far: socket.socket, version: ssl.TLSVersion) -> tuple[ssl.SSLSocket, ssl.SSLSocket]:
    """Both ends after their handshake; the near one was the server."""
    near.setblocking(False)
    far.setblocking(False)
    ends = (
        server_context().wrap_socket(near, server_side=True, do_handshake_on_connect=False),
        client_context(version).wrap_socket(far, do_handshake_on_connect=False),
    )
    left = set(ends)
    while left:
        for end in tuple(left):
            with suppress(ssl.SSLWantReadError):
                end.do_handshake()
                left.remove(end)
    return ends


@dataclass
class Peer:
    """What a relay talks to: never waits."""

    sock: socket.socket
    heard: bytearray = field(default_factory=bytearray)
    ended: bool = False

    def __post_init__(self) -> None:
        self.sock.setblocking(False)

    def say(self, data: bytes | memoryview) -> int:
        """How many of the bytes it got rid of."""
        sent = 0
        with suppress(BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
            while sent < len(data):
                sent += self.sock.send(data[sent : sent + 65536])
        return sent

    def listen(self) -> bytearray:
        """All that it has heard until now."""
        try:
            while data := self.sock.recv(65536):
                self.heard += data
            self.ended = True
        except (BlockingIOError, ssl.SSLWantReadError):
            pass
        except OSError:
            self.ended = True
        return self.heard

    def half_close(self) -> None:
        socket.socket.shutdown(self.sock, socket.SHUT_WR)

    def reset(self) -> None:
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.sock.close()


class Rig:
    """A started relay with its two peers."""

    def __init__(self, version: ssl.TLSVersion | None = None, *, buffer: int = 0) -> None:
        self.reactor = HandReactor()
        self.over: list[str] = []
        ends = [connected(buffer), connected(buffer)]
        if version is not None:
            ends = [encrypted(near, far, version) for near, far in ends]
        self.near = [Descriptor(near) for near, _ in ends]
        self.agent, self.controller = (Peer(far) for _, far in ends)
        self.relay = Relay(self.near[0], self.near[1], self.reactor, lambda relay: self.over.append(relay.why))

    @property
    def endings(self) -> list[str]:
        """Who or what has begun the end."""
        return [self.relay.why] if self.relay.why else []

    def started(self) -> "Rig":
        self.relay.start()
        return self

    def until(self, condition: Callable[[], object], seconds: float = 10.0) -> None:
        self.reactor.until(condition, seconds)

    def quiet(self) -> None:
        """Goes on until nothing has happened for a while."""
        last = -1
        while last != self.reactor.events:
            last = self.reactor.events
            for _ in range(5):
                self.reactor.turn()

    def close(self) -> None:
        self.relay.end()
        self.reactor.let_time_pass()
        for peer in (self.agent, self.controller):
            peer.sock.close()
        self.reactor.epoll.close()


def seeded(size: int, seed: int = 0) -> bytes:
    """Bytes that differ everywhere."""
    return hashlib.shake_256(seed.to_bytes(4)).digest(size)
