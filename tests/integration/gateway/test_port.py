"""What the TCP port of a gateway says to those who are no agents, or no welcome ones."""

import asyncio
import os
from pathlib import Path

import pytest

from broker.demo.sim.agents import State
from broker.demo.sim.misbehaviour import Behaviour, Kind, Step
from broker.demo.sim.plans import Transport
from broker.errors import GatewayError
from broker.gateway.identity import load_identity
from broker.inbound.ping import PAGE_REQUEST, REPLY, REQUEST, read_page
from broker.inbound.preamble import UNKNOWN
from tests.integration.gateway.bridge import Bridge, bridge
from tests.integration.gateway.world import until


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


@pytest.mark.parametrize("step", [Step.CONNECTED, Step.NAMED, Step.SECURED])
async def test_an_agent_that_goes_silent_within_its_handshake_is_dropped(step: Step, tmp_path: Path) -> None:
    async with bridge(tmp_path, Transport.TCP, Transport.TCP) as there:
        silent = await there.knocks("a1", misbehaviour=Behaviour(kind=Kind.SILENT, step=step))
        assert silent.state is State.FAILED
        assert (await there.knocks("a2")).state is State.CONNECTED


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
