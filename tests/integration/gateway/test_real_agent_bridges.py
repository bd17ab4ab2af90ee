"""The real agent.jar across the gateway over either transport, to a controller of either, which speaks no remoting."""

from pathlib import Path

import pytest

from broker.demo.sim.controller import SimController
from broker.demo.sim.plans import Transport
from broker.domain.ids import AgentId
from broker.gateway.identity import load_identity
from tests.integration.gateway.bridge import Bridge, bridge
from tests.integration.gateway.test_bridges import BRIDGES
from tests.integration.gateway.world import until
from tests.integration.sim.test_real_agent import agent_jar

pytestmark = [pytest.mark.agentjar, pytest.mark.timeout(120)]
A1 = AgentId("id-a1")


def at(there: Bridge) -> SimController:
    """What the agent takes for its controller: the gateway's URL and the minted secret."""
    front = SimController(identity=there.controller.identity)
    front.url = there.url
    front.nodes["a1"] = there.plan("a1").secret
    return front


def how(there: Bridge) -> list[str]:
    return ["-url", there.url, *(["-webSocket"] if there.agents is Transport.WEBSOCKET else [])]


@BRIDGES
async def test_the_real_agent_gets_in_and_takes_over_after_the_controller_went(
    agents: Transport, controllers: Transport, tmp_path: Path
) -> None:
    async with bridge(tmp_path, agents, controllers) as there, agent_jar(at(there), tmp_path, *how(there)) as log:
        await until(lambda: "INFO: Connected" in log.read_text(), 40)
        await until(lambda: there.control.live(A1), 10)
        cookie = there.controller.live["a1"].cookie
        there.controller.cut()
        await until(lambda: there.controller.sessions["a1"] == 2, 40)
        assert there.controller.shown[-1].cookie == cookie
        if agents is Transport.TCP:
            ours = load_identity(tmp_path / "keys" / "gateway-identity.pem").fingerprint
            assert f"Remote identity confirmed: {ours}" in log.read_text()


async def test_the_real_agent_over_tcp_logs_why_it_is_refused_and_waits(tmp_path: Path) -> None:
    async with bridge(tmp_path, Transport.TCP, Transport.TCP) as there:
        front = at(there)
        front.nodes["a1"] = "f" * 64
        async with agent_jar(front, tmp_path, *how(there)) as log:
            await until(lambda: "a1 is not expected with this secret" in log.read_text(), 40)
            await until(lambda: "reconnect rejected, sleeping 10s" in log.read_text(), 10)
            assert len(there.doorkeeper.knocks) == 1
