"""What passes through the pipe arrives, and the pipe is empty afterwards."""

import errno
import os
import socket
from collections.abc import Iterator
from contextlib import suppress

import pytest

from broker.gateway.pipe import Pipe
from broker.gateway.relay import Relay
from broker.inbound.descriptor import Descriptor
from tests.unit.gateway.relaying import HandReactor, Peer, connected

SIZE = 256 * 1024
Ends = tuple[socket.socket, socket.socket]


@pytest.fixture
def source() -> Iterator[Ends]:
    yield from ends(connected())


@pytest.fixture
def sink() -> Iterator[Ends]:
    yield from ends(connected(8192))


def ends(pair: Ends) -> Iterator[Ends]:
    for sock in pair:
        sock.setblocking(False)
    yield pair
    for sock in pair:
        sock.close()


def filled(pipe: Pipe, source: Ends, data: bytes) -> None:
    source[1].setblocking(True)
    source[1].sendall(data)
    count = 0
    while count < len(data):
        with suppress(BlockingIOError):
            count += pipe.fill(source[0].fileno())


def test_what_a_sink_does_not_take_is_given_back_and_nothing_stays(source: Ends, sink: Ends) -> None:
    pipe, data = Pipe(SIZE), os.urandom(100_000)
    while sink[0].send(b"z" * 4096, socket.MSG_DONTWAIT) == 4096:
        pass
    filled(pipe, source, data)
    assert pipe.empty(len(data), sink[0].fileno()) == data
    filled(pipe, source, b"next")
    assert pipe.empty(4, sink[0].fileno()) == b"next"


def test_a_sink_that_is_gone_leaves_nothing_for_the_next_one(source: Ends, sink: Ends) -> None:
    pipe = Pipe(SIZE)
    filled(pipe, source, b"for one that is gone")
    sink[0].shutdown(socket.SHUT_WR)
    with pytest.raises(BrokenPipeError):
        pipe.empty(20, sink[0].fileno())
    filled(pipe, source, b"next")
    other = connected()
    assert pipe.empty(4, other[0].fileno()) == b""
    assert other[1].recv(100) == b"next"
    for sock in other:
        sock.close()


def test_an_end_is_told_as_of_any_read(source: Ends) -> None:
    pipe = Pipe(SIZE)
    with pytest.raises(BlockingIOError):
        pipe.fill(source[0].fileno())
    source[1].close()
    assert pipe.fill(source[0].fileno()) == 0


def test_where_sockets_cannot_be_spliced_nothing_is_lost(
    source: Ends, sink: Ends, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_given: object, **_more: object) -> int:
        raise OSError(errno.EINVAL, "invalid")

    monkeypatch.setattr(os, "splice", refuse)
    monkeypatch.setattr("broker.gateway.relay._pipe", pipe := Pipe(SIZE))
    reactor, data = HandReactor(), os.urandom(3_000_000)
    relay = Relay(Descriptor(source[0]), Descriptor(sink[0]), reactor, lambda relay: None)
    relay.start()
    agent, controller, sent = Peer(source[1]), Peer(sink[1]), 0

    def done() -> bool:
        nonlocal sent
        sent += agent.say(memoryview(data)[sent:])
        return len(controller.listen()) == len(data)

    reactor.until(done, 60)
    assert controller.heard == data
    assert relay.received_bytes == len(data)
    assert not pipe.works
    relay.end()
    reactor.let_time_pass()
