"""A connection on its descriptor: what is read, what waits, and the handshake of TLS."""

import asyncio
import gc
import socket
import ssl
import weakref
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from broker.inbound.descriptor import Descriptor, dial
from broker.inbound.exchange import read_head, reply
from broker.inbound.http import HeadTooLarge
from broker.inbound.identity import Identity


def soon(seconds: float = 5.0) -> float:
    return asyncio.get_running_loop().time() + seconds


Pair = tuple[Descriptor, Descriptor]


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        near = await dial(listening.getsockname(), soon())
        far = Descriptor(listening.accept()[0], "far")
    yield near, far
    near.close()
    far.close()


@pytest.fixture
def identity() -> Identity:
    return Identity.new()


@pytest.fixture
def server(identity: Identity, tmp_path: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    (tmp_path / "both.pem").write_bytes(b"".join(identity.certificate(datetime.now(UTC))))
    context.load_cert_chain(tmp_path / "both.pem")
    return context


@pytest.fixture
def client() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def shake(pair: Pair, client: ssl.SSLContext, server: ssl.SSLContext) -> None:
    near, far = pair
    async with asyncio.TaskGroup() as group:
        group.create_task(near.start_tls(client, server=False, name=None, until=soon()))
        group.create_task(far.start_tls(server, server=True, name=None, until=soon()))


async def test_not_one_byte_more_than_asked_for_is_taken(pair: Pair) -> None:
    near, far = pair
    await near.send(b"ACKhello", soon())
    assert await far.read_exactly(3, soon()) == b"ACK"
    assert far.surplus == b""
    assert far.sock.recv(100) == b"hello"


async def test_surplus_is_read_first(pair: Pair) -> None:
    near, far = pair
    far.surplus = b"surplus"
    await near.send(b"later", soon())
    assert await far.read_exactly(3, soon()) == b"sur"
    assert await far.read_some(soon()) == b"plus"
    assert await far.read_some(soon()) == b"later"


async def test_much_is_sent_as_fast_as_the_other_side_reads(pair: Pair) -> None:
    near, far = pair
    data = bytes(range(256)) * 40_000
    async with asyncio.TaskGroup() as group:
        group.create_task(near.send(data, soon()))
        reading = group.create_task(far.read_exactly(len(data), soon()))
    assert reading.result() == data


async def test_a_silent_side_is_waited_for_until_a_time_and_not_longer(pair: Pair) -> None:
    with pytest.raises(TimeoutError):
        await pair[0].read_some(soon(0.05))
    pair[0].sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    with pytest.raises(TimeoutError):
        await pair[0].send(bytes(50_000_000), soon(0.1))


async def test_an_end_within_a_message_is_told(pair: Pair) -> None:
    near, far = pair
    await near.send(b"AC", soon())
    near.finish()
    with pytest.raises(EOFError):
        await far.read_exactly(3, soon())
    assert await far.read_some(soon()) == b""


async def test_tls_begins_on_a_plain_connection_and_ends_without_a_word(
    pair: Pair, client: ssl.SSLContext, server: ssl.SSLContext, identity: Identity
) -> None:
    near, far = pair
    await near.send(b"ACK", soon())
    assert await far.read_exactly(3, soon()) == b"ACK"
    await shake(pair, client, server)
    assert (near.secure, far.secure) == (True, True)
    assert near.peer_spki() == identity.spki
    with pytest.raises(OSError, match="no certificate"):
        far.peer_spki()
    await near.send(b"secret" * 20_000, soon())
    assert await far.read_exactly(120_000, soon()) == b"secret" * 20_000
    near.finish()
    assert await far.read_some(soon()) == b""
    await far.send(b"the other direction is open still", soon())
    assert await near.read_some(soon()) == b"the other direction is open still"


async def test_bytes_before_their_time_are_not_taken_into_tls(pair: Pair, server: ssl.SSLContext) -> None:
    pair[1].surplus = b"\x16\x03\x01"
    with pytest.raises(ssl.SSLError, match="before it was told to"):
        await pair[1].start_tls(server, server=True, name=None, until=soon())


async def test_a_handshake_that_does_not_go_on_ends_in_time(pair: Pair, server: ssl.SSLContext) -> None:
    with pytest.raises(TimeoutError):
        await pair[1].start_tls(server, server=True, name=None, until=soon(0.05))


async def test_a_hundred_handshakes_at_once_leave_turns_to_others(
    client: ssl.SSLContext, server: ssl.SSLContext
) -> None:
    loop, longest, last, done = asyncio.get_running_loop(), 0, 0, False
    sock = socket.create_server(("127.0.0.1", 0), backlog=200)
    pairs = [(await dial(sock.getsockname(), soon()), Descriptor(sock.accept()[0])) for _ in range(100)]
    steps = 0
    real = ssl.SSLSocket.do_handshake

    class Counting(ssl.SSLSocket):
        def do_handshake(self, block: bool = False) -> None:
            nonlocal steps
            steps += 1
            real(self, block)

    client.sslsocket_class = server.sslsocket_class = Counting

    def turn() -> None:
        nonlocal longest, last
        longest, last = max(longest, steps - last), steps
        if not done:
            loop.call_soon(turn)

    turn()
    async with asyncio.TaskGroup() as group:
        for both in pairs:
            group.create_task(shake(both, client, server))
    done = True
    assert 0 < longest <= 16
    for near, far in pairs:
        near.close()
        far.close()
    sock.close()


async def test_who_left_is_noticed_and_what_it_sent_is_kept_within_bounds(pair: Pair) -> None:
    near, far = pair
    await near.send(b"eager", soon())
    near.close()
    await asyncio.wait_for(far.gone(soon()), 5)
    assert far.surplus == b"eager"


async def test_who_sends_much_before_it_may_is_not_listened_to_any_more(pair: Pair) -> None:
    near, far = pair
    with pytest.raises(TimeoutError):
        await near.send(bytes(50_000_000), soon(0.3))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(far.gone(soon(1)), 0.2)
    assert len(far.surplus) <= 128 * 1024


async def test_a_connection_that_is_refused_or_has_no_address_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        address = sock.getsockname()
    with pytest.raises(ConnectionRefusedError):
        await dial(address, soon())
    with pytest.raises(OSError, match=r"."):
        await dial(("no-such-host.invalid", 1), soon(20))


async def test_a_name_that_is_none_is_a_failure_like_any_other() -> None:
    with pytest.raises(OSError, match="malformed"):
        await dial(("two..dots", 1), soon())


async def test_an_address_that_swallows_all_leaves_time_for_the_next_one(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, socket.create_server(("127.0.0.1", 0)) as there:
        waiting = [socket.socket() for _ in range(4)]
        for sock in waiting:
            sock.setblocking(False)
            sock.connect_ex(full.getsockname())
        kind = (socket.AF_INET, socket.SOCK_STREAM, 0, "")
        both = ((*kind, full.getsockname()), (*kind, there.getsockname()))
        monkeypatch.setattr("broker.inbound.descriptor._literal", lambda host, port: both)
        connection = await dial(("two", 1), soon(1))
        assert connection.sock.getpeername() == there.getsockname()
        connection.close()
        for sock in waiting:
            sock.close()


async def test_the_second_address_is_tried_when_the_first_one_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock, socket.create_server(("127.0.0.1", 0)) as closed:
        port, dead = sock.getsockname()[1], closed.getsockname()[1]
        closed.close()
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", p)) for p in (dead, port)]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_options: found)
        connection = await dial(("two", port), soon())
        assert connection.sock.getpeername()[1] == port
        connection.close()


async def test_a_head_is_read_and_what_follows_is_surplus(pair: Pair) -> None:
    near, far = pair
    await near.send(b"GET / HTTP/1.1\r\n", soon())
    await near.send(b"Host: x\r\n\r\nmore", soon())
    assert await read_head(far, soon()) == b"GET / HTTP/1.1\r\nHost: x"
    assert far.surplus == b"more"
    await near.send(b"x" * 20_000, soon())
    with pytest.raises(HeadTooLarge):
        await read_head(far, soon())


async def test_a_last_answer_can_be_read_by_who_is_still_sending(pair: Pair) -> None:
    near, far = pair
    await near.send(bytes(200_000), soon())
    async with asyncio.TaskGroup() as group:
        group.create_task(reply(far, b"no", 1.0))
        assert await near.read_some(soon()) == b"no"
        assert await near.read_some(soon()) == b""
        near.finish()
    assert far.sock.fileno() == -1


async def test_a_connection_that_was_too_slow_is_freed_with_its_last_name_and_not_by_a_collection() -> None:
    near, far = socket.socketpair()
    waits = Descriptor(near)

    async def too_slow(leg: Descriptor) -> None:
        with suppress(TimeoutError):
            await leg.read_exactly(10, soon(0.01))

    gc.disable()
    try:
        await too_slow(waits)
        left = weakref.ref(waits)
        waits.close()
        del waits
        assert left() is None
    finally:
        gc.enable()
        far.close()
