"""The real agent.jar while its gateway is replaced, and while the control plane is away."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from broker.demo.sim.plans import Transport
from broker.domain.ids import AgentId
from tests.integration.gateway.agent_jar import real_agent
from tests.integration.gateway.crowd import Crowd, crowd, ended
from tests.integration.gateway.world import until

pytestmark = [pytest.mark.agentjar, pytest.mark.timeout(180)]
A1 = AgentId("id-a1")
BOTH = pytest.mark.parametrize("transport", list(Transport))
AWAY_S, SOON_S = 8.0, 5.0
"""An agent that is turned away comes again after 10 s. Two seconds are shown with agents that are no JVM."""


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[Crowd]:
    async with crowd(tmp_path, seed="") as world:  # a stream would be no remoting
        yield world


@asynccontextmanager
async def agent_jar(world: Crowd, transport: Transport) -> AsyncIterator[Path]:
    """Runs the real agent; gives the file that it logs to."""
    url = f"http://127.0.0.1:{world.settings.listen_port}/c/main/"
    options = ["-webSocket"] if transport is Transport.WEBSOCKET else []
    async with real_agent(world.directory, world.mint("a1"), url, *options) as log:
        yield log


@BOTH
async def test_the_real_agent_stays_while_its_gateway_is_replaced_and_comes_to_the_new_one_next_time(
    world: Crowd, transport: Transport
) -> None:
    process = await world.start()
    old = world.gateways(accepting=True)[0]
    async with agent_jar(world, transport) as log:
        await until(lambda: "INFO: Connected" in log.read_text(), 60)
        first = world.control.live(A1)
        await world.renew(process)
        await until(lambda: [one.id for one in world.gateways(accepting=False)] == [old.id], 30)
        await asyncio.sleep(3)
        assert world.control.live(A1) == first
        assert "Terminated" not in log.read_text()
        world.controller.cut()
        await until(lambda: world.controller.sessions["a1"] == 2, 60)
        await ended(old.pid)
        await until(lambda: world.relayed() == {world.gateways(accepting=True)[0].id: 1})


@BOTH
async def test_the_real_agent_that_starts_while_the_control_plane_is_away_is_in_soon_after_its_return(
    world: Crowd, transport: Transport
) -> None:
    await world.start()
    await world.control.close()
    async with agent_jar(world, transport) as log:
        await asyncio.sleep(AWAY_S)
        assert "INFO: Connected" not in log.read_text()
        await world.control.start()
        back = time.monotonic()
        await until(lambda: "INFO: Connected" in log.read_text(), 30)
        assert time.monotonic() - back < SOON_S
