"""Who comes from a network that is not allowed gets nothing, on either listener."""

from pathlib import Path

import pytest

from broker.demo.sim.agents import State
from broker.demo.sim.plans import Transport
from tests.integration.gateway.bridge import bridge

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
