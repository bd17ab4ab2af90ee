"""What the TCP port of a gateway says to those who are no agents, or no welcome ones."""

import asyncio
import base64
import os
from dataclasses import replace
from pathlib import Path

import pytest

from broker.demo.sim.agents import State
from broker.demo.sim.misbehaviour import Behaviour, Kind, Step
from broker.demo.sim.plans import Transport
from broker.errors import GatewayError
from broker.gateway.facts import Facts
from broker.gateway.identity import load_identity
from broker.gateway.link import Controllers
from broker.inbound.http import ResponseHead, parse_response
from broker.inbound.ping import PAGE_REQUEST, REPLY, REQUEST, read_page
from broker.inbound.preamble import UNKNOWN
from tests.integration.gateway.bridge import Bridge, bridge
from tests.integration.gateway.world import QUICK, read_head, until, upgrade


async def said(there: Bridge, data: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(*there.port)
    writer.write(data)
    try:
        return await asyncio.wait_for(reader.read(), 10)
    except ConnectionError:
        return b""
    finally:
        writer.close()


async def test_who_is_no_agent_is_answered_as_by_jenkins_and_closed(tmp_path: Path) -> None:
    async with bridge(tmp_path, Transport.TCP, Transport.TCP) as there:
        assert await said(there, REQUEST) == REPLY
        assert await said(there, b"\x00\x1cProtocol:JNLP4-connect-proxy"[:30]) == UNKNOWN
        assert "JNLP4-connect" in read_page(await said(there, PAGE_REQUEST))["Jenkins-Agent-Protocols"]
        assert await said(there, b"\xff" * 64) == b""
        assert (await there.knocks("a1")).state is State.CONNECTED


@pytest.mark.parametrize("controllers", list(Transport))
@pytest.mark.parametrize("step", [Step.CONNECTED, Step.CUT, Step.NAMED, Step.SECURED, Step.SHOWN])
async def test_an_agent_that_goes_silent_within_its_handshake_is_dropped_and_holds_no_name(
    step: Step, controllers: Transport, tmp_path: Path
) -> None:
    async with bridge(tmp_path, Transport.TCP, controllers) as there:
        silent = await there.knocks("a1", misbehaviour=Behaviour(kind=Kind.SILENT, step=step))
        assert silent.state is State.FAILED
        await until(lambda: not there.controller.live)
        assert (await there.knocks("a1")).state is State.CONNECTED


async def test_headers_of_more_than_8_kib_are_refused(tmp_path: Path) -> None:
    async with bridge(tmp_path, Transport.TCP, Transport.TCP) as there:
        agent = await there.knocks("a1", misbehaviour=Behaviour(kind=Kind.BIG_HEADER))
        assert agent.state in {State.REFUSED, State.FAILED}
        assert there.doorkeeper.knocks == []


async def test_discovery_says_try_again_while_the_control_plane_is_away(tmp_path: Path) -> None:
    async with bridge(tmp_path, Transport.TCP, Transport.TCP) as there:
        await there.control.close()
        await until(lambda: not there.gateway._link.up)
        agent = await there.knocks("a1")
        assert (agent.state, "503" in agent.why) == (State.FAILED, True)


async def test_who_asks_for_the_port_while_the_control_plane_is_away_is_held_and_let_in_when_it_is_back(
    tmp_path: Path,
) -> None:
    async with bridge(tmp_path, Transport.TCP, Transport.TCP, limits=replace(QUICK, admit_s=20.0)) as there:
        there.told(away=True)  # as of a controller that has not synced yet
        await until(lambda: there.gateway._upstream.facts("main").away)
        there.swarm.start([there.plan("a1")])
        await asyncio.sleep(0.3)
        await there.control.close()
        await until(lambda: not there.gateway._link.up)
        assert (await discovered(there, "/c/main/", "Prefer: wait=0\r\n")).status == 503
        await asyncio.sleep(0.3)
        agent = there.swarm.agents["a1"]
        assert agent.state is State.KNOCKING
        await there.control.start()
        await until(lambda: there.gateway._link.up)
        await asyncio.sleep(0.3)
        assert agent.state is State.KNOCKING
        there.told()
        await until(lambda: agent.state is State.CONNECTED, 2)


async def discovered(there: Bridge, path: str, fields: str = "") -> ResponseHead:
    host, port = there.gateway.address.rsplit(":", 1)
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"GET {path}tcpSlaveAgentListener/ HTTP/1.1\r\nHost: gw\r\n{fields}\r\n".encode())
    head, _ = await asyncio.wait_for(read_head(reader), 10)
    writer.close()
    return parse_response(head)


async def test_an_agent_with_websocket_hears_the_oldest_remoting_of_a_controller_over_tcp(tmp_path: Path) -> None:
    async with bridge(tmp_path, Transport.WEBSOCKET, Transport.TCP) as there:
        there.told(minimum_version="3176.v207ec082a_8c0")
        await until(lambda: there.gateway._upstream.facts("main").minimum_version)
        there.plan("a1")
        host, port = there.gateway.address.rsplit(":", 1)
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(upgrade("a1", there.minted["a1"]))
        head, _ = await asyncio.wait_for(read_head(reader), 10)
        assert parse_response(head).fields.one("X-Remoting-Minimum-Version") == "3176.v207ec082a_8c0"
        writer.close()


async def test_discovery_says_whose_key_is_on_which_port_and_which_agents_are_too_old(tmp_path: Path) -> None:
    advertised = ("agents.example.com", 7072)
    async with bridge(tmp_path, Transport.TCP, Transport.TCP, tcp_advertise=advertised) as there:
        there.told(minimum_version="3176.v207ec082a_8c0")
        await until(lambda: there.gateway._upstream.facts("main").minimum_version)
        head = await discovered(there, "/c/main/")
        assert head.status == 200
        assert {name: head.fields.one(name) for name, _ in head.fields.pairs if name.startswith("X-")} == {
            "X-Hudson-JNLP-Port": "7072",
            "X-Jenkins-JNLP-Port": "7072",
            "X-Jenkins-JNLP-Host": "agents.example.com",
            "X-Instance-Identity": base64.b64encode(there.identity).decode(),
            "X-Jenkins-Agent-Protocols": "JNLP4-connect, Ping",
            "X-Remoting-Minimum-Version": "3176.v207ec082a_8c0",
        }


async def test_discovery_says_try_again_while_the_controller_that_is_asked_for_is_away(tmp_path: Path) -> None:
    async with bridge(tmp_path, Transport.TCP, Transport.TCP) as there:
        urls = dict.fromkeys(("main", "other"), there.controller.url)
        paths = {"/c/main/": "main", "/c/other/": "other"}
        facts = {"main": Facts(away=True), "other": Facts()}
        there.control.tell_controllers(Controllers(urls=urls, paths=paths, facts=facts))
        await until(lambda: there.gateway._upstream.facts("main").away)
        away = await discovered(there, "/c/main/")
        assert (away.status, away.fields.one("X-Jenkins-JNLP-Port")) == (503, None)
        assert (await discovered(there, "/c/other/")).status == 200
        there.told()
        await until(lambda: not there.gateway._upstream.facts("main").away)
        assert (await discovered(there, "/c/main/")).status == 200


def test_the_identity_is_made_once_and_is_for_nobody_else(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "gateway-identity.pem"
    assert load_identity(path).spki == load_identity(path).spki
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o640)
    with pytest.raises(GatewayError, match="others may read it"):
        load_identity(path)
    path.write_bytes(os.urandom(64))
    path.chmod(0o600)
    with pytest.raises(GatewayError, match="holds no private key"):
        load_identity(path)
