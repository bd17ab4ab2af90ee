"""The relay between the two transports: the same chunks, bare over TCP and one a message over WebSocket."""

import errno
import os
from collections.abc import Callable
from typing import Final

from broker.gateway.masks import fast_masked
from broker.gateway.presence import Presence
from broker.gateway.relay import Relay
from broker.gateway.side import Side
from broker.gateway.waiting import Reactor, Timer
from broker.inbound.blocks import Malformed
from broker.inbound.chunks import ChunkReader
from broker.inbound.descriptor import Descriptor
from broker.inbound.frames import BINARY, CLOSE, PING, PONG, FrameReader, close_payload, frame, frame_head

BEAT_S: Final = 20.0
"""How often the WebSocket hears something at least: Jetty and proxies end one that is silent for 60 s."""
_MOST: Final = 64 * 1024
"""Bytes of a message, as Jetty takes them; chunks are shorter."""
_NORMAL: Final = 1000
_PROTOCOL_ERROR: Final = 1002


class MixedRelay(Relay):
    """One side is a WebSocket, whose pings are answered and which is pinged; it is told when the session is over.

    One that says nothing to our pings is lost, as one that says nothing to the kernel's: a proxy may stand between.
    """

    __slots__ = ("_beating", "_chunks", "_frames", "_heard", "_owed", "_presence", "_said", "_unheard", "_websocket")

    def __init__(
        self,
        agent: Descriptor,
        controller: Descriptor,
        reactor: Reactor,
        over: Callable[[Relay], None],
        *,
        agents: bool,
        presence: Presence | None = None,
    ) -> None:
        """As `Relay`; `agents`: it is the agent that speaks WebSocket, and masks its frames."""
        super().__init__(agent, controller, reactor, over)
        self._bare = False
        self._websocket = self.agent if agents else self.controller
        self._frames = FrameReader(masked=agents, most=_MOST, mask=fast_masked)
        self._chunks = ChunkReader()
        self._said = False
        self._owed: bytes | None = None
        """What the last ping said that has no pong yet."""
        self._presence = presence or Presence()
        self._heard = True
        self._unheard = 0
        self._beating: Timer | None = None

    def start(self) -> None:
        """As `Relay`."""
        self._beating = self._reactor.call_later(min(BEAT_S, self._presence.idle_s), self._ping)
        super().start()

    def carry(self, source: Side, data: memoryview) -> None:
        """Passes on what is whole."""
        if source is not self._websocket:
            found = self._chunks.feed(data)
            if found:
                self.give(source.other, self._messages(found))
            return
        self._heard = True
        try:
            frames = self._frames.feed(data)
        except Malformed:
            self._say_goodbye(_PROTOCOL_ERROR)
            self._end_of(source)
            return
        payload = b"".join([payload for opcode, payload in frames if opcode == BINARY])
        if payload:
            self.give(source.other, payload)
        for opcode, said in frames:
            if opcode == PING:
                self._owed = said
            elif opcode == CLOSE:
                self._say_goodbye(_NORMAL)
                self._end_of(source)
                return
        if self._owed is not None and source.unsent is None and not source.finished:
            self.give(source, self._pong(self._owed))

    def _pong(self, said: bytes) -> bytes:
        """One for all pings since the last one (RFC 6455 section 5.5.3): who only pings must not fill our memory."""
        self._owed = None
        return self._frame(PONG, said)

    def _flush(self, side: Side) -> None:
        if side is self._websocket and self._owed is not None and side.unsent is not None and not self._said:
            side.unsent += self._pong(self._owed)
        super()._flush(side)

    def _messages(self, found: list[bytes]) -> bytes:
        """A message for each."""
        if self._websocket is self.agent:
            return b"".join([part for one in found for part in (frame_head(BINARY, len(one), None), one)])
        parts: list[bytes] = []
        random = os.urandom(4 * len(found))
        for number, one in enumerate(found):
            mask = random[4 * number : 4 * number + 4]
            parts += (frame_head(BINARY, len(one), mask), fast_masked(bytearray(one), mask))
        return b"".join(parts)

    def _end_of(self, source: Side) -> None:
        self._at_its_end(source)
        self._finish(source.other)

    def _frame(self, opcode: int, payload: bytes) -> bytes:
        return frame(opcode, payload, None if self._websocket is self.agent else os.urandom(4))

    def _ping(self) -> None:
        if self.why:
            return
        self._heard = False
        self._beating = self._reactor.call_later(self._presence.interval_s, self._look)
        if self._websocket.unsent is None:
            self.give(self._websocket, self._frame(PING, b""))
            self._settle()

    def _look(self) -> None:
        """What could not be asked, or is not read because the other side is slow, counts as heard."""
        if self.why:
            return
        if self._heard or self._websocket.unsent is not None or self._paused(self._websocket):
            self._unheard = 0
            pause_s = min(BEAT_S, self._presence.idle_s) - self._presence.interval_s
            self._beating = self._reactor.call_later(max(0.0, pause_s), self._ping)
            return
        self._unheard += 1
        if self._unheard < self._presence.probes:
            self._ping()
            return
        self._lost(self._websocket, OSError(errno.ETIMEDOUT, "no pong"))
        self._finish(self._websocket.other)
        self._settle()

    def _say_goodbye(self, code: int) -> None:
        if not self._said and not self._websocket.finished:
            self._said = True
            self.give(self._websocket, self._frame(CLOSE, close_payload(code)))

    def _finish(self, side: Side) -> None:
        if side is self._websocket and side.unsent is None:
            self._say_goodbye(_NORMAL)
        super()._finish(side)

    def _close(self) -> None:
        if self._beating is not None:
            self._beating.cancel()
        super()._close()
