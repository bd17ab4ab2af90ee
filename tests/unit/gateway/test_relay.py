"""The relay of a session: what passes, what waits, and how it ends."""

import errno
import select
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from broker.gateway.relay import Relay
from broker.gateway.side import Side
from broker.inbound.descriptor import Descriptor
from tests.unit.gateway.relaying import HandReactor, Peer, Rig, client_context, connected, seeded

Build = Callable[..., Rig]
KINDS = {"plain": None, "tls1.2": ssl.TLSVersion.TLSv1_2, "tls1.3": ssl.TLSVersion.TLSv1_3}


@pytest.fixture(params=KINDS.values(), ids=[*KINDS])
def build(request: pytest.FixtureRequest) -> Iterator[Build]:
    with ExitStack() as stack:

        def build(*, buffer: int = 0) -> Rig:
            rig = Rig(request.param, buffer=buffer)
            stack.callback(rig.close)
            return rig

        yield build


@pytest.fixture
def plain() -> Iterator[Rig]:
    rig = Rig()
    yield rig
    rig.close()


@pytest.fixture
def tls() -> Iterator[Rig]:
    rig = Rig(ssl.TLSVersion.TLSv1_3)
    yield rig
    rig.close()


def deliver(rig: Rig, source: Peer, sink: Peer, data: bytes) -> None:
    sent = 0

    def done() -> bool:
        nonlocal sent
        sent += source.say(data[sent:])
        return len(sink.listen()) >= len(data)

    rig.until(done, 60)
    assert sink.heard == data


def test_bytes_pass_whole_in_both_directions_and_are_counted(build: Build) -> None:
    rig = build().started()
    deliver(rig, rig.agent, rig.controller, seeded(3_000_000, 1))
    deliver(rig, rig.controller, rig.agent, seeded(1_000_000, 2))
    assert (rig.relay.received_bytes, rig.relay.sent_bytes) == (3_000_000, 1_000_000)
    assert rig.relay.why == ""


def test_a_message_in_pieces_of_any_size_arrives_without_the_next_one(build: Build) -> None:
    rig = build().started()
    for size in (1, 4095, 4096, 10_000, 65_536, 70_000):
        rig.controller.heard.clear()
        deliver(rig, rig.agent, rig.controller, seeded(size))


@pytest.mark.parametrize("record", [1000, 8192, 10_000, 16_384])
def test_records_of_any_size_arrive_whole(tls: Rig, record: int) -> None:
    sent = b""
    while len(sent) < 150_000:
        sent += seeded(record, len(sent))
        tls.agent.say(sent[-record:])
    tls.started()
    tls.until(lambda: tls.controller.listen() == sent)


def test_what_was_read_past_the_handshakes_comes_first(build: Build) -> None:
    rig = build()
    rig.near[0].surplus, rig.near[1].surplus = b"<agent>", b"<controller>" * 100_000
    rig.agent.say(b"then")
    rig.started()
    rig.until(lambda: rig.controller.listen() == b"<agent>then")
    rig.until(lambda: rig.agent.listen() == b"<controller>" * 100_000)
    assert rig.relay.received_bytes == 11


def test_what_openssl_holds_of_a_record_is_passed_on_without_an_event(tls: Rig) -> None:
    tls.agent.say(b"headers and the first command")
    sock = tls.near[0].sock
    select.select([sock], [], [], 5)
    assert sock.recv(7) == b"headers"
    tls.started()
    tls.until(lambda: tls.controller.listen() == b" and the first command")


def test_a_side_that_does_not_read_pauses_the_other_and_nothing_is_lost(build: Build) -> None:
    rig = build(buffer=8192).started()
    data, sent = memoryview(seeded(20_000_000)), 0
    for _ in range(50):
        sent += rig.agent.say(data[sent:])
        rig.reactor.turn(0)
    rig.quiet()
    assert sent < len(data)
    kept = rig.relay.controller.unsent
    assert kept
    assert len(kept) <= 256 * 1024
    assert rig.reactor.watched[rig.relay.agent.descriptor] == 0
    expected = data[:sent]
    rig.until(lambda: rig.controller.listen() == expected, 60)
    rig.agent.heard.clear()
    deliver(rig, rig.controller, rig.agent, b"the other way goes on")


def test_the_other_direction_goes_on_while_one_is_paused(build: Build) -> None:
    rig = build(buffer=8192).started()
    data = seeded(5_000_000)
    for _ in range(50):
        rig.agent.say(data)
        rig.reactor.turn(0)
    rig.quiet()
    deliver(rig, rig.controller, rig.agent, seeded(100_000))


def test_what_is_pending_arrives_before_the_end(build: Build) -> None:
    rig = build(buffer=8192).started()
    data = seeded(2_000_000)
    sent = 0
    while more := rig.agent.say(data[sent:]):
        sent += more
        rig.quiet()
    rig.agent.sock.close()
    rig.quiet()
    assert rig.relay.why in {"", "agent"}
    expected = data[:sent]
    rig.until(lambda: rig.controller.listen() == expected and rig.controller.ended, 30)
    rig.controller.sock.close()
    rig.until(lambda: rig.over)
    assert rig.over == ["agent"]


@pytest.mark.parametrize("first", ["agent", "controller"])
def test_the_end_of_one_side_is_passed_on_and_the_other_has_time_for_its_last_words(build: Build, first: str) -> None:
    rig = build().started()
    leaves, stays = (rig.agent, rig.controller) if first == "agent" else (rig.controller, rig.agent)
    leaves.say(b"goodbye")
    leaves.half_close()
    rig.until(lambda: stays.listen() == b"goodbye" and stays.ended)
    assert (rig.endings, rig.over) == ([first], [])
    stays.say(b"and goodbye to you")
    rig.until(lambda: leaves.listen() == b"and goodbye to you")
    stays.half_close()
    rig.until(lambda: rig.over == [first])
    assert leaves.listen() == b"and goodbye to you"
    rig.until(lambda: (leaves.listen(), leaves.ended)[1])


def test_a_side_that_does_not_end_after_the_other_is_cut_off_after_its_grace(build: Build) -> None:
    rig = build().started()
    rig.agent.half_close()
    rig.until(lambda: rig.endings)
    assert [timer.seconds for timer in rig.reactor.timers] == [2.0]
    rig.reactor.let_time_pass()
    assert rig.over == ["agent"]
    rig.until(lambda: (rig.controller.listen(), rig.controller.ended)[1])
    assert rig.reactor.readies == {}


def test_both_sides_may_end_at_once(build: Build) -> None:
    rig = build().started()
    rig.agent.half_close()
    rig.controller.half_close()
    rig.until(lambda: rig.over)
    assert len(rig.over) == len(rig.endings) == 1
    assert all(timer.cancelled for timer in rig.reactor.timers)


def test_a_side_that_ended_before_the_relay_began_is_noticed(build: Build) -> None:
    rig = build()
    rig.agent.say(b"only this")
    rig.agent.half_close()
    rig.started()
    rig.until(lambda: rig.controller.listen() == b"only this" and rig.controller.ended)
    assert rig.endings == ["agent"]


def test_an_end_from_outside_delivers_what_is_pending_and_closes_both(build: Build) -> None:
    rig = build(buffer=8192).started()
    data, sent = seeded(1_000_000), 0
    while more := rig.controller.say(data[sent:]):
        sent += more
        rig.quiet()
    rig.relay.end()
    rig.relay.end()
    rig.until(lambda: (rig.agent.listen(), rig.agent.ended)[1])
    assert len(rig.agent.heard) >= rig.relay.sent_bytes > 0
    assert rig.agent.heard == data[: len(rig.agent.heard)]
    assert rig.over == ["shutdown"]
    rig.until(lambda: (rig.controller.listen(), rig.controller.ended)[1])


def test_an_end_from_outside_does_not_wait_for_sides_that_are_quiet(build: Build) -> None:
    rig = build().started()
    rig.relay.end("takeover")
    assert rig.over == rig.endings == ["takeover"]
    rig.until(lambda: (rig.agent.listen(), rig.agent.ended)[1])
    assert rig.reactor.readies == {}


def test_a_close_notify_of_a_peer_is_its_end_and_is_not_answered(tls: Rig) -> None:
    tls.started()
    assert isinstance(tls.agent.sock, ssl.SSLSocket)
    with pytest.raises(ssl.SSLWantReadError):
        tls.agent.sock.unwrap()
    tls.until(lambda: (tls.controller.listen(), tls.controller.ended)[1])
    assert tls.endings == ["agent"]
    tls.controller.half_close()
    tls.until(lambda: tls.over)
    assert socket.socket.recv(tls.agent.sock, 100) == b"", "a bare FIN"


def test_a_reset_ends_the_session_and_what_the_other_side_says_is_dropped(build: Build) -> None:
    rig = build().started()
    rig.controller.say(b"are you there?" * 10_000)
    rig.agent.reset()
    rig.until(lambda: (rig.controller.listen(), rig.controller.ended)[1])
    rig.controller.sock.close()
    rig.until(lambda: rig.over == ["agent"])


def test_last_words_arrive_although_nothing_can_be_sent_to_who_said_them(plain: Rig) -> None:
    plain.started()
    plain.agent.say(b"not to be read")
    plain.quiet()
    plain.controller.say(b"last words")
    plain.controller.sock.close()  # with something unread: a reset
    plain.agent.say(b"more")
    plain.until(lambda: plain.agent.listen() == b"last words")


def test_a_side_that_vanishes_while_it_is_paused_is_noticed(build: Build) -> None:
    rig = build(buffer=8192).started()
    for _ in range(50):
        rig.agent.say(bytes(1_000_000))
        rig.reactor.turn(0)
    rig.quiet()
    assert rig.relay.controller.unsent
    rig.agent.reset()
    rig.until(lambda: rig.endings == ["agent"])
    before = rig.reactor.events
    for _ in range(20):
        rig.reactor.turn()
    assert rig.reactor.events < before + 20, "it does not spin"


class Scripted(socket.socket):
    """One end of a connection whose reads do as a test says."""

    def __init__(self, sock: socket.socket, read: Callable[[int], int]) -> None:
        super().__init__(fileno=sock.detach())
        self.read = read
        self.reads = 0

    def recv_into(self, buffer: object, nbytes: int = 0, flags: int = 0) -> int:
        self.reads += 1
        return self.read(len(buffer))  # type: ignore[arg-type]


class Sieve(Relay):
    """Lets nothing through."""

    __slots__ = ()

    def carry(self, source: Side, data: memoryview) -> None:
        pass


def scripted(read: Callable[[int], int]) -> tuple[Relay, Scripted, list[str], HandReactor]:
    (agent, _), (controller, _) = connected(), connected()
    sock, over, reactor = Scripted(agent, read), list[str](), HandReactor()
    relay = Sieve(Descriptor(sock), Descriptor(controller), reactor, lambda relay: over.append(relay.why))
    relay._bare = False  # what it reads is to be seen
    return relay, sock, over, reactor


def test_a_peer_that_no_longer_answers_has_timed_out() -> None:
    def read(_size: int) -> int:
        raise OSError(errno.ETIMEDOUT, "timed out")

    relay, _, over, reactor = scripted(read)
    relay.start()
    reactor.let_time_pass()
    assert over == ["ping_timeout"]


def test_who_sends_without_end_lets_the_others_have_their_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broker.gateway.relay._TURN_S", 60.0)
    relay, sock, _, reactor = scripted(lambda _size: 65_536)
    relay.act(relay.agent, 1)
    assert sock.reads == 16
    relay.end()
    reactor.let_time_pass()


def test_who_sends_what_takes_long_lets_the_others_have_their_turn_sooner(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broker.gateway.relay._TURN_S", 0.0)
    relay, sock, _, reactor = scripted(lambda _size: 65_536)
    relay.act(relay.agent, 1)
    assert sock.reads == 1
    relay.end()
    reactor.let_time_pass()


class Records(ssl.SSLSocket):
    """Has records of 16 300 bytes without end, and gives no more of one at a time than is asked for, as OpenSSL."""

    held = 16_300

    def read(self, len: int = 1024, buffer: Any = None) -> Any:  # noqa: A002 - its name in ssl
        got = min(self.held, len, memoryview(buffer).nbytes)
        self.held = self.held - got or 16_300
        return got


def test_no_record_is_left_half_read_when_it_is_the_others_turn() -> None:
    """OpenSSL would hold its rest, and no event would tell of it."""
    context = client_context(ssl.TLSVersion.TLSv1_3)
    context.sslsocket_class = Records
    (agent, _), (controller, _) = connected(), connected()
    sock, reactor = context.wrap_socket(agent, do_handshake_on_connect=False), HandReactor()
    relay = Sieve(Descriptor(sock), Descriptor(controller), reactor, lambda _relay: None)
    relay.act(relay.agent, 1)
    assert isinstance(sock, Records)
    assert sock.held == 16_300
    reactor.let_time_pass()
    relay._close()


def test_a_fault_of_ours_ends_its_session_and_is_told() -> None:
    def read(_size: int) -> int:
        raise ZeroDivisionError

    relay, sock, over, _ = scripted(read)
    with pytest.raises(ZeroDivisionError):
        relay.start()
    assert over == ["error"]
    assert sock.fileno() == -1
