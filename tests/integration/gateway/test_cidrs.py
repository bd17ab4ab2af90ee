"""Who comes from a network that is not allowed gets nothing, on either listener."""

import asyncio
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from broker.demo.sim.agents import State
from broker.demo.sim.plans import Transport
from tests.integration.gateway.bridge import bridge
from tests.integration.gateway.world import until

AGENTS = pytest.mark.parametrize("agents", list(Transport))


@AGENTS
@pytest.mark.parametrize("networks", [("127.0.0.0/8",), ("10.0.0.0/8", "127.0.0.1/32")])
async def test_an_agent_of_an_allowed_network_gets_in(
    agents: Transport, networks: tuple[str, ...], tmp_path: Path
) -> None:
    async with bridge(tmp_path, agents, agents, allow_cidrs=networks) as there:
        agent = await there.knocks("a1")
        assert agent.state is State.CONNECTED


async def test_an_agent_of_another_network_gets_nothing_at_all(tmp_path: Path) -> None:
    async with bridge(tmp_path, Transport.WEBSOCKET, Transport.WEBSOCKET, allow_cidrs=("10.0.0.0/8",)) as there:
        assert (await there.knocks("a1")).state is State.FAILED
        by_port = there.plan("a2", transport=Transport.TCP, url="", address=there.port, identity=there.identity)
        there.swarm.start([by_port])
        await there.swarm.until(State.FAILED, 2, within_s=20)
        assert there.doorkeeper.knocks == []
        await until(lambda: there.control.counts().dropped.get("not_allowed", 0) >= 2)


async def test_many_of_another_network_make_one_line_of_the_log(tmp_path: Path) -> None:
    with capture_logs() as logs:
        async with bridge(tmp_path, Transport.TCP, Transport.TCP, allow_cidrs=("10.0.0.0/8",)) as there:
            for _ in range(50):
                reader, writer = await asyncio.open_connection(*there.port)
                assert await reader.read() == b""
                writer.close()
            await until(lambda: there.control.counts().dropped.get("not_allowed") == 50)
    told = [entry for entry in logs if entry["event"] == "connection_not_allowed"]
    assert [(entry["peer"], entry["connections"]) for entry in told] == [("127.0.0.1", 1)]
