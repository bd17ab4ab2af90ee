"""What people search for when an agent does not get in: the same words over both transports."""

import asyncio
from pathlib import Path

import pytest

from broker.demo.sim.knocking import knock
from broker.demo.sim.misbehaviour import Behaviour, Kind
from broker.demo.sim.plans import Transport
from broker.domain.ids import AgentId
from tests.integration.gateway.bridge import Bridge, bridge
from tests.integration.gateway.test_bridges import BRIDGES
from tests.integration.gateway.world import read_head, until, upgrade

A1 = AgentId("id-a1")


async def told(there: Bridge) -> str:
    """What an agent of that name reads now: of JNLP4 what its log shows, of WebSocket the body of the answer."""
    if there.agents is Transport.TCP:
        with pytest.raises(Exception) as refused:  # noqa: PT011 - its type is the simulator's
            await knock(there.plan("a1"), "")
        return str(refused.value)
    host, port = there.gateway.address.rsplit(":", 1)
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(upgrade("a1", there.minted["a1"]))
    _, rest = await read_head(reader)
    body = rest + await reader.read()
    writer.close()
    return body.decode().strip()


@BRIDGES
async def test_a_second_agent_of_a_name_reads_jenkins_own_words(
    agents: Transport, controllers: Transport, tmp_path: Path
) -> None:
    async with bridge(tmp_path, agents, controllers) as there:
        await there.knocks("a1")
        await until(lambda: there.control.live(A1))
        assert await told(there) == "a1 is already connected to this controller. Rejecting this connection."


@BRIDGES
async def test_what_the_controller_says_reaches_the_agent(
    agents: Transport, controllers: Transport, tmp_path: Path
) -> None:
    async with bridge(tmp_path, agents, controllers) as there:
        there.plan("a1")
        there.controller.behaviour = Behaviour(kind=Kind.REFUSES, text="a1 is not an inbound agent")
        assert "main said: a1 is not an inbound agent" in await told(there)


@BRIDGES
async def test_an_agent_whose_sessions_are_all_short_reads_who_ended_them_and_when_to_come_again(
    agents: Transport, controllers: Transport, tmp_path: Path
) -> None:
    async with bridge(tmp_path, agents, controllers) as there:
        for _ in range(3):
            agent = await there.knocks("a1")
            assert agent.channel is not None
            await until(lambda: there.control.live(A1))
            agent.channel.wire.end()
            await until(lambda: not there.control.live(A1) and not there.controller.live)
        words = "its last 3 connections ended within 10 s each, the last one by the agent; try again in 10 s"
        assert await told(there) == words
