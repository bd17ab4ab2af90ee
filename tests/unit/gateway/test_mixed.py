"""The relay between WebSocket and TCP: one chunk a message, pings answered and sent, an end that is told."""

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest

from broker.gateway.mixed import BEAT_S, MixedRelay
from broker.gateway.presence import Presence
from broker.gateway.relay import PING_TIMEOUT
from broker.inbound.chunks import chunk
from broker.inbound.descriptor import Descriptor
from broker.inbound.frames import BINARY, CLOSE, PING, PONG, Frame, FrameReader, close_payload, frame
from tests.unit.gateway.relaying import HandReactor, Peer, connected

SIDES = pytest.mark.parametrize("agents", [True, False], ids=["websocket agent", "websocket controller"])


@dataclass
class Rig:
    """A started relay; `web` speaks WebSocket, `bare` does not."""

    agents: bool
    reactor: HandReactor = field(default_factory=HandReactor)
    over: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        ends = [connected(), connected()]
        agent, controller = (Peer(far) for _, far in ends)
        self.web, self.bare = (agent, controller) if self.agents else (controller, agent)
        self.relay = MixedRelay(
            Descriptor(ends[0][0]),
            Descriptor(ends[1][0]),
            self.reactor,
            lambda relay: self.over.append(relay.why),
            agents=self.agents,
        )
        self.relay.start()
        self._reader = FrameReader(masked=not self.agents, most=1 << 24)
        self.frames: list[Frame] = []

    def say(self, opcode: int, payload: bytes) -> None:
        self.web.say(frame(opcode, payload, os.urandom(4) if self.agents else None))

    def heard(self) -> list[Frame]:
        self.frames += self._reader.feed(bytes(self.web.listen()))
        self.web.heard.clear()
        return self.frames

    def close(self) -> None:
        self.relay.end()
        for peer in (self.web, self.bare):
            peer.sock.close()
        self.reactor.let_time_pass()


@pytest.fixture
def build() -> Iterator[Callable[[bool], Rig]]:
    with ExitStack() as stack:

        def build(agents: bool) -> Rig:
            rig = Rig(agents)
            stack.callback(rig.close)
            return rig

        yield build


class Full(socket.socket):
    """An end of a connection that takes nothing until it is told to."""

    takes = False

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(fileno=sock.detach())

    def send(self, data: Any, flags: int = 0) -> int:
        if not self.takes:
            raise BlockingIOError
        return super().send(data, flags)


@SIDES
def test_what_comes_in_pieces_goes_on_as_a_message_a_chunk(build: Callable[[bool], Rig], *, agents: bool) -> None:
    rig = build(agents)
    chunks = [chunk(b"a" * 10, more=True), chunk(b""), chunk(b"b" * 32767)]
    stream = b"".join(chunks)
    for piece in (stream[:1], stream[1:13], stream[13:20_000], stream[20_000:]):
        rig.bare.say(piece)
        rig.reactor.turn()
    rig.reactor.until(lambda: len(rig.heard()) == 3)
    assert rig.frames == [(BINARY, one) for one in chunks]


@SIDES
def test_messages_go_on_as_bytes(build: Callable[[bool], Rig], *, agents: bool) -> None:
    rig = build(agents)
    for payload in (chunk(b"one"), chunk(b"x" * 8192)):
        rig.say(BINARY, payload)
    rig.reactor.until(lambda: len(rig.bare.listen()) == 5 + 8194)
    assert rig.bare.heard == chunk(b"one") + chunk(b"x" * 8192)


@SIDES
def test_a_ping_is_answered_and_goes_no_further(build: Callable[[bool], Rig], *, agents: bool) -> None:
    rig = build(agents)
    rig.say(PING, b"there?")
    rig.reactor.until(rig.heard)
    assert rig.frames == [(PONG, b"there?")]
    assert rig.bare.listen() == b""


@SIDES
def test_who_pings_and_does_not_read_is_owed_one_pong(build: Callable[[bool], Rig], *, agents: bool) -> None:
    rig = build(agents)
    rig.relay.give(rig.relay._websocket, frame(BINARY, b"y" * 10_000_000, None if agents else bytes(4)))
    assert rig.relay._websocket.unsent
    kept = len(rig.relay._websocket.unsent)
    for number in range(1000):
        rig.say(PING, b"%d" % number)
        rig.reactor.turn(0)
    rig.reactor.until(lambda: rig.relay._owed == b"999")
    assert len(rig.relay._websocket.unsent or b"") <= kept + 131
    rig.reactor.until(lambda: rig.heard()[-1:] == [(PONG, b"999")])
    assert len(rig.frames) <= 3


@SIDES
def test_a_pong_that_is_not_taken_at_once_goes_out_when_it_can(build: Callable[[bool], Rig], *, agents: bool) -> None:
    rig = build(agents)
    websocket = rig.relay._websocket
    websocket.sock = full = Full(websocket.sock)
    rig.say(PING, b"there?")
    rig.reactor.until(lambda: websocket.unsent)
    full.takes = True
    rig.reactor.until(rig.heard)
    assert rig.frames == [(PONG, b"there?")]


@SIDES
def test_the_websocket_hears_something_even_while_the_other_side_takes_nothing(
    build: Callable[[bool], Rig], *, agents: bool
) -> None:
    rig = build(agents)
    assert [timer.seconds for timer in rig.reactor.timers] == [BEAT_S]
    rig.say(BINARY, chunk(b"x" * 32767))
    rig.relay.give(
        rig.relay.agent if rig.relay.agent is not rig.relay._websocket else rig.relay.controller, b"y" * 10_000_000
    )
    for _ in range(9):
        rig.reactor.timers[-1].call()
    rig.reactor.until(rig.heard)
    assert {one.opcode for one in rig.frames} == {PING}
    assert [timer.seconds for timer in rig.reactor.timers] == [BEAT_S, *[10] * 9]
    assert not rig.relay.why


@SIDES
def test_a_websocket_without_pongs_is_lost_as_soon_as_one_without_a_machine(
    build: Callable[[bool], Rig], *, agents: bool
) -> None:
    rig = build(agents)
    for _ in range(3):
        rig.reactor.timers[-1].call()
    assert not rig.relay.why
    lost_after_s = sum(timer.seconds for timer in rig.reactor.timers)
    rig.reactor.timers[-1].call()
    assert str(rig.relay.why) == PING_TIMEOUT
    assert lost_after_s == Presence().lost_after_s
    rig.reactor.until(lambda: rig.bare.listen() == b"" and rig.bare.ended)


@SIDES
@pytest.mark.parametrize("opcode", [PONG, PING, BINARY])
def test_a_websocket_that_says_anything_is_there(build: Callable[[bool], Rig], opcode: int, *, agents: bool) -> None:
    rig = build(agents)
    for _ in range(12):
        rig.say(opcode, chunk(b"x") if opcode == BINARY else b"")
        rig.reactor.turn()
        rig.reactor.timers[-1].call()
    assert not rig.relay.why
    assert [timer.seconds for timer in rig.reactor.timers[:3]] == [BEAT_S, 10, 10]


@SIDES
def test_the_end_of_the_other_side_is_told_in_a_close_frame(build: Callable[[bool], Rig], *, agents: bool) -> None:
    rig = build(agents)
    rig.bare.say(chunk(b"last words"))
    rig.bare.half_close()
    rig.reactor.until(lambda: len(rig.heard()) == 2)
    assert rig.frames == [(BINARY, chunk(b"last words")), (CLOSE, close_payload(1000))]
    rig.web.sock.shutdown(socket.SHUT_WR)
    rig.reactor.until(lambda: rig.over)
    assert rig.over == ["controller" if agents else "agent"]


@SIDES
def test_a_close_frame_ends_the_session(build: Callable[[bool], Rig], *, agents: bool) -> None:
    rig = build(agents)
    rig.say(BINARY, chunk(b"last words"))
    rig.say(CLOSE, close_payload(1000))
    rig.reactor.until(lambda: rig.bare.listen() and rig.bare.ended)
    assert rig.bare.heard == chunk(b"last words")
    assert rig.relay.why == ("agent" if agents else "controller")


@SIDES
def test_what_is_no_websocket_ends_the_session_and_is_told_so(build: Callable[[bool], Rig], *, agents: bool) -> None:
    rig = build(agents)
    rig.web.say(b"\xff\xff\xff\xff")
    rig.reactor.until(lambda: rig.heard() and rig.bare.listen() == b"" and rig.bare.ended)
    assert rig.frames == [(CLOSE, close_payload(1002))]
    assert rig.bare.heard == b""
