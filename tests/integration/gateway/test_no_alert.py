"""However a session ends, no TLS alert is sent after the handshake: a Java peer would not notice the end then."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from broker.demo.authority import Authority
from broker.domain.ids import AgentId
from broker.inbound.http import parse_response
from tests.integration.gateway.tap import Tap
from tests.integration.gateway.world import Connection, World, read_head, until, upgrade

VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
ALERT, APPLICATION_DATA = 21, 23
ALERT_1_3 = 2 + 1 + 16
"""Bytes of an encrypted alert: level and description, its true type, and the tag (RFC 8446 sections 5.2 and 6)."""


def records(raw: bytes | bytearray) -> list[tuple[int, int]]:
    """The type and the length of each TLS record; fails on one that is cut."""
    found, at = [], 0
    while at < len(raw):
        kind, size = raw[at], int.from_bytes(raw[at + 3 : at + 5])
        at += 5 + size
        found.append((kind, size))
    assert at == len(raw), "the stream ends within a record"
    return found


def is_alert(record: tuple[int, int]) -> bool:
    """Nobody here sends two bytes as one message: an encrypted record of that size is an alert."""
    kind, size = record
    return kind == ALERT or (kind == APPLICATION_DATA and size == ALERT_1_3)


@dataclass
class Tapped:
    """A world with TLS and a tap on both sides."""

    world: World
    agents: Tap
    controllers: Tap
    trusting: ssl.SSLContext

    async def knock(self, raw: bytes) -> Connection:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.agents.port, ssl=self.trusting)
        writer.write(raw)
        head, rest = await read_head(reader)
        connection = Connection(reader, writer, parse_response(head), rest)
        self.world.connections.append(connection)
        return connection

    async def session(self) -> Connection:
        agent = await self.knock(upgrade("a1", self.world.mint()))
        assert agent.head.status == 101
        assert await agent.say(b"hello" * 10_000) == b"HELLO" * 10_000
        return agent

    def alerts(self) -> list[tuple[int, int]]:
        sent = [*self.agents.sent, *self.controllers.sent]
        return [record for raw in sent for record in records(raw) if is_alert(record)]


@asynccontextmanager
async def tapped(directory: Path, version: ssl.TLSVersion) -> AsyncIterator[Tapped]:
    authority, world = Authority(), World(directory)
    pair = authority.issue(directory / "pair", "both")
    ca = directory / "ca.pem"
    ca.write_bytes(authority.pem)
    world.controller.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    world.controller.tls.load_cert_chain(pair.certificate, pair.key)
    world.controller.tls.maximum_version = version
    trusting = ssl.create_default_context(cadata=authority.pem.decode())
    trusting.maximum_version = version
    agents = Tap(lambda: world.address, dials=False)
    controllers = Tap(lambda: ("127.0.0.1", world.controller.port), dials=True)
    async with agents.running(), controllers.running():
        urls = {"main": f"https://127.0.0.1:{controllers.port}/jenkins/"}
        files = {"tls_cert": pair.certificate, "tls_key": pair.key, "controller_ca": ca}
        async with world.running(controllers=urls, **files):
            yield Tapped(world, agents, controllers, trusting)


async def the_agent_leaves(tap: Tapped) -> None:
    agent = await tap.session()
    agent.writer.transport.abort()


async def the_agent_leaves_with_a_close_notify(tap: Tapped) -> None:
    agent = await tap.session()
    agent.writer.close()


async def the_controller_leaves(tap: Tapped) -> None:
    await tap.session()
    tap.world.controller.writers[-1].transport.abort()


async def the_controller_leaves_with_a_close_notify(tap: Tapped) -> None:
    await tap.session()
    tap.world.controller.writers[-1].close()


async def the_broker_ends_it(tap: Tapped) -> None:
    await tap.session()
    await tap.world.control.end(AgentId("id-a1"), "used up")


async def the_same_agent_takes_over(tap: Tapped) -> None:
    agent = await tap.session()
    minted = tap.world.doorkeeper.agents["a1"][0]
    again = await tap.knock(upgrade("a1", minted, agent.cookie))
    assert again.head.status == 101
    again.writer.transport.abort()


async def the_gateway_ends(tap: Tapped) -> None:
    await tap.session()
    assert tap.world.running_gateway is not None
    tap.world.running_gateway.cancel()


async def the_agent_is_refused(tap: Tapped) -> None:
    assert (await tap.knock(upgrade("a1", "wrong"))).head.status == 403


async def the_controller_refuses(tap: Tapped) -> None:
    minted = tap.world.mint()
    tap.world.controller.nodes["a1"] = "another"
    assert (await tap.knock(upgrade("a1", minted))).head.status == 403


async def the_agent_is_too_slow(tap: Tapped) -> None:
    assert (await tap.knock(b"GET /c/main/login HTTP/1.1\r\n")).head.status == 408


async def a_page_is_read(tap: Tapped) -> None:
    page = await tap.knock(b"GET /c/main/jnlpJars/agent.jar HTTP/1.1\r\n\r\n")
    assert await page.body() == "jar " * 50_000


ENDS = [
    the_agent_leaves,
    the_agent_leaves_with_a_close_notify,
    the_controller_leaves,
    the_controller_leaves_with_a_close_notify,
    the_broker_ends_it,
    the_same_agent_takes_over,
    the_gateway_ends,
    the_agent_is_refused,
    the_controller_refuses,
    the_agent_is_too_slow,
    a_page_is_read,
]


@pytest.mark.parametrize("version", VERSIONS.values(), ids=[*VERSIONS])
@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.__name__)
async def test_no_alert_record_is_sent(
    tmp_path: Path, version: ssl.TLSVersion, end: Callable[[Tapped], Awaitable[None]]
) -> None:
    async with tapped(tmp_path, version) as tap:
        await end(tap)
        await until(lambda: tap.agents.ended == len(tap.agents.sent) > 0)
        await until(lambda: tap.controllers.ended == len(tap.controllers.sent))
    assert all(len(records(raw)) > 3 for raw in tap.agents.sent)
    assert tap.alerts() == []


@pytest.mark.parametrize("version", VERSIONS.values(), ids=[*VERSIONS])
async def test_the_tap_sees_an_alert(tmp_path: Path, version: ssl.TLSVersion) -> None:
    """One that the agent sends: the other direction, by the same rule."""
    async with tapped(tmp_path, version) as tap:
        tap.agents.dials = True  # now it keeps what agents send
        agent = await tap.session()
        agent.writer.close()
        await until(lambda: tap.agents.ended)
        assert len(tap.alerts()) == 1
