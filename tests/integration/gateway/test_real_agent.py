"""The real agent.jar through the gateway, as far as a controller that speaks no remoting can go."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from broker.domain.ids import AgentId
from broker.domain.reason import Reason
from broker.inbound.discovery import agent_url
from broker.ports import Refused
from tests.integration.gateway.agent_jar import real_agent
from tests.integration.gateway.world import World, until

pytestmark = [pytest.mark.agentjar, pytest.mark.timeout(120)]
A1 = AgentId("id-a1")


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with World(tmp_path).running() as world:
        world.controller.deaf = "a1"  # an echo would be no remoting
        yield world


@asynccontextmanager
async def agent_jar(world: World, directory: Path, secret: str, *options: str) -> AsyncIterator[Path]:
    """Runs the real agent; gives the file that it logs to."""
    assert world.gateway is not None
    url = agent_url(f"ws://{world.gateway.address}", "main")
    async with real_agent(directory, secret, url, *options) as log:
        yield log


async def test_the_real_agent_connects_though_its_name_is_not_known_at_first(world: World, tmp_path: Path) -> None:
    minted = world.mint(known=False)
    async with agent_jar(world, tmp_path, minted, "-webSocket") as log:
        await until(lambda: world.controller.requests, 30)
        world.controller.nodes["a1"] = world.doorkeeper.agents["a1"][1].secret
        await until(lambda: "INFO: Connected" in log.read_text(), 30)
        assert world.control.live(A1) is not None
        assert "Failed to connect" not in log.read_text()


async def test_the_real_agent_backs_off_from_a_refusal_after_its_session(world: World, tmp_path: Path) -> None:
    async with agent_jar(world, tmp_path, world.mint(), "-webSocket") as log:
        await until(lambda: "INFO: Connected" in log.read_text(), 30)
        world.doorkeeper.refusal = Refused(reason=Reason.COMPLETED, message="its last build is done")
        await world.control.end(A1, "its last build is done")
        await until(lambda: "Waiting 3 seconds before retry" in log.read_text(), 30)
        assert world.control.live(A1) is None
        assert 2 <= len(world.doorkeeper.knocks) - 1 <= 3


async def test_the_real_agent_ends_itself_when_its_attempt_is_over(world: World, tmp_path: Path) -> None:
    async with agent_jar(world, tmp_path, world.mint(), "-webSocket", "-noReconnectAfter", "10m") as log:
        await until(lambda: "INFO: Connected" in log.read_text(), 30)
        world.doorkeeper.refusal = Refused(reason=Reason.COMPLETED, message="its work is done", over=True)
        await world.control.end(A1, "its work is done")
        await until(lambda: "the-work-of-this-agent-is-over" in log.read_text(), 10)
        await until(lambda: str(log) not in holders_of(log), 10)
        assert len(world.doorkeeper.knocks) == 2


def holders_of(log: Path) -> set[str]:
    """The log, if a living process writes to it."""
    found = set()
    for descriptor in Path("/proc").glob("[0-9]*/fd/1"):
        try:
            found.add(str(descriptor.readlink()))
        except OSError:
            continue
    return found & {str(log)}


async def test_the_real_agent_takes_over_after_the_controller_went(world: World, tmp_path: Path) -> None:
    async with agent_jar(world, tmp_path, world.mint(), "-webSocket") as log:
        await until(lambda: world.control.live(A1), 30)
        first = world.control.live(A1)
        world.controller.writers[-1].transport.abort()
        await until(lambda: world.control.live(A1) not in {None, first}, 30)
        assert world.doorkeeper.knocks[-1].cookie == (first.cookie if first else "")
        assert "Terminated" in log.read_text()


async def test_the_real_agent_without_websocket_is_told_what_is_wrong(world: World, tmp_path: Path) -> None:
    async with agent_jar(world, tmp_path, world.mint()) as log:
        await until(lambda: "start the agent with -webSocket" in log.read_text(), 30)
