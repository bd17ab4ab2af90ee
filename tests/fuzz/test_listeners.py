"""Whatever comes over the network, a gateway lives on: a peer gets its time and no more, and leaves nothing behind."""

import asyncio
import random
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from broker.demo.sim.agents import State
from broker.demo.sim.plans import Transport
from broker.demo.sim.wire import Wire
from broker.inbound.blocks import Malformed, block
from broker.inbound.capability import USUAL
from broker.inbound.chunks import chunk
from broker.inbound.dialogue import OK
from broker.inbound.frames import BINARY, CLOSE, PING, frame
from broker.inbound.headers import NODE_NAME, SECRET_KEY, write_headers
from broker.inbound.pinned import client_context
from broker.inbound.preamble import ACK, AckReader, Protocol, request
from tests.fuzz.mutations import mutated, pieces
from tests.integration.gateway.bridge import Bridge, bridge
from tests.integration.gateway.world import QUICK, until, upgrade

CONNECTIONS: Final = 600
"""At each of three depths."""
AT_ONCE: Final = 50
NAMES: Final = 40
"""One alone would be refused: whose sessions end at once is made to wait."""
LIMITS: Final = replace(QUICK, head_s=0.5, admit_s=0.5, dial_s=1.0, unknown_name_s=0.5, reply_s=0.5)
LONGEST_S: Final = 8.0
"""All steps of a handshake together, on a slow machine."""
LOOK_S: Final = 0.5
MARK: Final = "zqxjkvbwm"
_PAGE: Final = b"GET / HTTP/1.0\r\n"
_DISCOVERY: Final = b"GET /c/main/tcpSlaveAgentListener/ HTTP/1.1\r\n\r\n"
_AFTER: Final = frame(BINARY, chunk(b"data" * 9), b"mask") + frame(PING, b"?", b"ping") + frame(CLOSE, b"", b"over")


def client_hello() -> bytes:
    """The first record of TLS, as it would come."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = client_context().wrap_bio(incoming, outgoing)
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    return outgoing.read()


Dial = Callable[[Bridge], Awaitable[Wire]]


async def dial_port(there: Bridge) -> Wire:
    return await Wire.dial(*there.port)


async def dial_tls(there: Bridge) -> Wire:
    """Where an agent shows its headers."""
    wire = await dial_port(there)
    try:
        await wire.send(request(Protocol.JNLP4) + ACK)
        ack = AckReader()
        while not ack.feed(await wire.read_some(ack.wants())):
            pass
        await wire.start_tls(client_context(), server=False)
    except BaseException:
        wire.close()
        raise
    return wire


async def dial_http(there: Bridge) -> Wire:
    host, port = there.gateway.address.rsplit(":", 1)
    return await Wire.dial(host, int(port))


async def visit(there: Bridge, dial: Dial, data: bytes, chance: random.Random) -> None:
    """Says it and leaves, or waits for what the gateway does about it."""
    leaves = chance.choice(("at once", "half", "silent", "silent"))
    wire = None
    try:
        async with asyncio.timeout(LONGEST_S):
            wire = await dial(there)
            for piece in pieces(data, chance) if chance.random() < 0.3 else [data]:
                if piece:
                    await wire.send(piece)
            if leaves == "half":
                await wire.finish(LONGEST_S)
            while leaves == "silent" and not is_session(there, wire) and await heard(wire):
                pass
    except TimeoutError:
        pytest.fail(f"the gateway waits for ever after {data[:100]!r}, {leaves}")
    except (OSError, EOFError, Malformed):
        pass  # the gateway has had enough
    finally:
        if wire is not None:
            wire.close()


async def heard(wire: Wire) -> bool:
    """Whether it is there still, after a while."""
    try:
        async with asyncio.timeout(LOOK_S):
            return await wire.read_raw() != b""
    except TimeoutError:
        return True


def is_session(there: Bridge, wire: Wire) -> bool:
    peer = "{}:{}".format(*wire.sock.getsockname()[:2])
    return any(live.peer == peer for live in there.gateway._live)


@pytest.mark.parametrize("controllers", list(Transport))
async def test_the_gateway_lives_on_and_keeps_nothing(
    controllers: Transport, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chance = random.Random("listeners")
    async with bridge(tmp_path, Transport.TCP, controllers, limits=LIMITS, lasts_s=200) as there:
        plans = [there.plan(f"fuzz{number}") for number in range(NAMES)]
        shown = [{NODE_NAME: plan.name, SECRET_KEY: plan.secret, "X-Mark": MARK} for plan in plans]
        headers = [block(write_headers(one)) + OK + block(USUAL.encode()) + chunk(b"command") for one in shown]
        asked = [upgrade(plan.name, plan.secret, changes={"X-Mark": MARK}) for plan in plans]
        depths: tuple[tuple[Dial, list[bytes]], ...] = (
            (dial_port, [request(Protocol.JNLP4) + ACK + client_hello(), request(Protocol.PING), _PAGE]),
            (dial_tls, headers),
            (dial_http, [*(one + _AFTER for one in asked), *asked, _DISCOVERY]),
        )
        before = counted(there)
        for dial, seeds in depths:
            gate = asyncio.Semaphore(AT_ONCE)

            async def one(data: bytes, dial: Dial = dial, gate: asyncio.Semaphore = gate) -> None:
                async with gate:
                    await visit(there, dial, data, chance)

            async with asyncio.TaskGroup() as group:
                for data in mutated(seeds, CONNECTIONS, dial.__name__):
                    group.create_task(one(data), name="fuzz")
        await until(lambda: all(now <= then for now, then in zip(counted(there), before, strict=True)), 20)
        for number, transport in enumerate(Transport):
            assert (await there.knocks(f"a{number}", transport=transport)).state is State.CONNECTED
        printed = capsys.readouterr()
    text = printed.out + printed.err
    assert text.count("session_opened") > 20  # what was changed little gets in
    assert "handshake_refused" in text
    for word in ("Traceback", "connection_failed", "Exception", MARK, *(plan.secret[:12] for plan in plans)):
        assert word not in text


def counted(there: Bridge) -> tuple[int, int, int, int]:
    """What a connection has: a task, a session, a descriptor, a callback. Its own tests' tasks are over by then."""
    tasks = [task for task in asyncio.all_tasks() if task.get_name().startswith(("gateway:connection", "door:"))]
    return (
        len(tasks),
        len(there.gateway._live),
        len(there.gateway._reactor._ready),
        sum(1 for _ in Path("/proc/self/fd").iterdir()),
    )
