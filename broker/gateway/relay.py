"""The relay of one session: opaque bytes both ways between two connections, on their descriptors.

One buffer serves all relays of the process: what was read is sent at once, and only what a slow side does not take is
kept, until it does. A TLS record is always read whole, for OpenSSL would hold the rest of one and no event would tell
of it. Nothing here knows asyncio: a `Reactor` says when a descriptor is ready.
"""

import errno
import socket
import ssl
import time
from collections.abc import Callable
from select import EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT
from typing import Final

from broker.gateway.pipe import Pipe
from broker.gateway.side import Side
from broker.gateway.waiting import Reactor, Timer
from broker.inbound.descriptor import Descriptor

PING_TIMEOUT: Final = "ping_timeout"
SHUTDOWN: Final = "shutdown"
ERROR: Final = "error"

GRACE_S: Final = 2.0
"""How long the rest of a session may take once one side has ended it."""
_RECORD: Final = 16 * 1024
_TOGETHER: Final = 64 * 1024
"""Bytes of records that are sent as one piece."""
_SHORT: Final = 4 * 1024
"""A first record below this goes out at once: to look for another one costs more than it saves."""
_PLAIN: Final = 256 * 1024
_ROUNDS: Final = 16
"""Pieces that one side may send before it is the others' turn."""
_TURN_S: Final = 0.005
"""How long it may take for them, for pieces can be made so that they cost a thousand times what honest ones do."""
_GONE: Final = EPOLLERR | EPOLLHUP

_buffer: Final = memoryview(bytearray(_PLAIN))
_pipe: Final = Pipe(_PLAIN)
_records: Final = _buffer[: _TOGETHER + _RECORD]


class Relay:
    """Carries bytes until one side ends; a slow side pauses the other one.

    `received_bytes` are the agent's, `sent_bytes` go to it. `why` tells who or what ended it first: a side
    (`agent`, `controller`), `ping_timeout`, `error`, or what `end` was given; empty while it runs.
    """

    __slots__ = ("_bare", "_cut", "_over", "_reactor", "_timer", "agent", "controller", "received_bytes",
                 "sent_bytes", "why")  # fmt: skip

    def __init__(
        self, agent: Descriptor, controller: Descriptor, reactor: Reactor, over: Callable[["Relay"], None]
    ) -> None:
        """Takes both connections over. `over` is called once, when both are closed."""
        self.agent = Side("agent", agent, self.act)
        self.controller = Side("controller", controller, self.act)
        self.agent.other, self.controller.other = self.controller, self.agent
        self._reactor = reactor
        self._over: Callable[[Relay], None] | None = over
        self._timer: Timer | None = None
        self._cut = False
        self._bare = self.agent.tls is None and self.controller.tls is None  # bytes may pass unseen
        self.received_bytes = 0
        self.sent_bytes = 0
        self.why = ""

    def start(self) -> None:
        """Begins with what was read past both handshakes. May end at once."""
        for side in (self.agent, self.controller):
            surplus, side.connection.surplus = side.connection.surplus, b""
            if surplus:
                self._count(side, len(surplus))
                self.carry(side, memoryview(surplus))
        for side in (self.agent, self.controller):
            self.act(side, EPOLLIN | EPOLLOUT)

    def end(self, why: str = SHUTDOWN) -> None:
        """Begins the end from outside: what is pending goes out, then both close. Safe to repeat."""
        if self._over is None:
            return
        self._cut = True
        self._begin_to_end(why)
        for side in (self.agent, self.controller):
            self._finish(side)
            if not side.ended:
                self._pump(side)  # and drop it: unread, it would turn our FIN into a reset
        self._settle()

    def act(self, side: Side, events: int) -> None:
        """Does what a side is ready for. A fault of ours ends this relay and is raised."""
        if self._over is None:
            return
        try:
            if events & EPOLLERR and side.tls is not None and not self._paused(side):
                self._ask_why(side)
            if side.unsent is not None and (events & ~EPOLLIN or side.write_waits):
                self._flush(side)
            readable = events & ~EPOLLOUT or side.read_waits
            if readable and not side.ended and not self._paused(side):
                self._pump(side)
            elif events & _GONE and not side.ended:
                self._look_at_a_paused(side)
            waits = side.unsent or side.read_waits or side.other.unsent or side.other.watched != side.watched
            if waits or events != EPOLLIN or self.why:
                self._settle()
        except Exception:
            self._begin_to_end(ERROR)
            self._close()
            raise

    def carry(self, source: Side, data: memoryview) -> None:
        """Passes on what came from a side. The data is good until it returns."""
        self.give(source.other, data)

    def give(self, sink: Side, data: memoryview | bytes) -> bool:
        """Sends what the side takes now, keeps the rest and says whether there is none."""
        if sink.unsent is not None:
            sink.unsent += data
            return False
        sink.write_waits = False
        try:
            sent = sink.sock.send(data) if sink.tls is None else sink.tls.write(data)
        except (ssl.SSLWantWriteError, BlockingIOError):
            sent = 0
        except ssl.SSLWantReadError:
            sent, sink.write_waits = 0, True
        except OSError as error:
            self._cannot_send(sink, error)
            return True
        if sent == len(data):
            return True
        sink.unsent = bytes(data[sent:])
        return False

    def _pump(self, side: Side) -> None:
        until = time.perf_counter() + _TURN_S
        for _ in range(_ROUNDS):
            if side.streams and not side.other.finished and not self._cut:
                count = self._stream(side)
            else:
                count = self._read(side)
                if count and not side.other.finished and not self._cut:
                    self._count(side, count)
                    self.carry(side, _buffer[:count])
            side.streams = count >= _TOGETHER and self._bare and _pipe.works
            if side.ended:
                self._finish(side.other)
                return
            if count < _TOGETHER or self._paused(side) or time.perf_counter() > until:
                return

    def _stream(self, side: Side) -> int:
        """As `_read` and `carry`, but what passes is not copied."""
        try:
            count = _pipe.fill(side.descriptor)
        except OSError as error:
            if not isinstance(error, BlockingIOError):
                self._lost(side, error)
            return 0
        if not count:
            self._at_its_end(side)
        self._count(side, count)
        try:
            side.other.unsent = _pipe.empty(count, side.other.descriptor) or None
        except OSError as error:
            self._cannot_send(side.other, error)
        return count

    def _read(self, side: Side) -> int:
        """How many bytes are in the buffer now; the last ones may come together with the end."""
        side.read_waits = False
        try:
            return self._read_plain(side) if side.tls is None else self._read_records(side, side.tls)
        except BlockingIOError:
            pass
        except OSError as error:
            self._lost(side, error)
        return 0

    def _read_plain(self, side: Side) -> int:
        count = side.sock.recv_into(_buffer if side.other.tls is None else _buffer[:_TOGETHER])
        if not count:
            self._at_its_end(side)
        return count

    def _read_records(self, side: Side, tls: ssl.SSLSocket) -> int:
        count = 0
        try:
            while count < _TOGETHER:
                got: int = tls.read(_TOGETHER + _RECORD - count, _records[count:])  # type: ignore[assignment]
                if not got:
                    self._at_its_end(side)
                    break
                count += got
                if count < _SHORT:
                    break
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLWantWriteError:
            side.read_waits = True
        except OSError as error:
            self._lost(side, error)
        return count

    def _flush(self, side: Side) -> None:
        data, side.unsent = side.unsent or b"", None
        if not self.give(side, data):
            return
        if side.other.ended or self._cut:
            self._finish(side)
        else:
            self._pump(side.other)  # no event tells of what OpenSSL may hold

    def _paused(self, side: Side) -> bool:
        return side.other.unsent is not None and not self._cut

    def _finish(self, side: Side) -> None:
        if side.unsent is None and not side.finished:
            side.finished = True
            side.connection.finish()

    def _at_its_end(self, side: Side) -> None:
        side.ended = True
        self._begin_to_end(side.name)

    def _lost(self, side: Side, error: OSError) -> None:
        side.ended = True
        self._cannot_send(side, error)

    def _cannot_send(self, side: Side, error: OSError) -> None:
        """It is closed; what it had sent before can still be read."""
        side.finished = True
        side.unsent = None
        self._begin_to_end(PING_TIMEOUT if error.errno == errno.ETIMEDOUT else side.name)

    def _ask_why(self, side: Side) -> None:
        """Before TLS reads: an error of the connection is an end like any other to `SSLSocket` (CPython 115627)."""
        if side.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ETIMEDOUT:
            self._begin_to_end(PING_TIMEOUT)

    def _look_at_a_paused(self, side: Side) -> None:
        """It is not read, for the other one is slow; but it may be gone."""
        if number := side.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self._cannot_send(side, OSError(number, "the connection is gone"))

    def _begin_to_end(self, why: str) -> None:
        if not self.why:
            self.why = why
            self._timer = self._reactor.call_later(GRACE_S, self._close)

    def _settle(self) -> None:
        """Tells the reactor what is waited for; closes when nothing is."""
        if self._over is None:
            return
        done = True
        for side in (self.agent, self.controller):
            done = done and side.unsent is None and (side.ended or self._cut)
            wanted = self._wanted(side)
            if wanted == side.watched:
                continue
            side.watched = wanted
            if wanted is None:
                self._reactor.forget(side.descriptor)
            else:
                self._reactor.watch(side.descriptor, wanted, side.ready)
        if done:
            self._close()

    def _wanted(self, side: Side) -> int | None:
        events = 0
        if side.unsent is not None:
            events = EPOLLIN if side.write_waits else EPOLLOUT
        if side.read_waits:
            events |= EPOLLOUT
        elif not side.ended and not self._paused(side):
            events |= EPOLLIN
        if not events and (side.ended or side.finished):
            return None  # nothing is to come: not even the news that it is gone
        return events

    def _close(self) -> None:
        over, self._over = self._over, None
        if over is None:
            return
        if self._timer is not None:
            self._timer.cancel()
        for side in (self.agent, self.controller):
            self._reactor.forget(side.descriptor)
            side.connection.close()
            side.unsent = None
        del self.agent.other, self.controller.other, self.agent.act, self.controller.act  # no ring: memory is free now
        over(self)

    def _count(self, side: Side, count: int) -> None:
        self.received_bytes += count if side is self.agent else 0
        self.sent_bytes += count if side is self.controller else 0
