"""Who knocks while the control plane is away is held, and is in soon after its return."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from broker.gateway.settings import Limits
from tests.integration.gateway.world import World, until

PATIENT = Limits(head_s=1.0, admit_s=15.0, dial_s=2.0)
SOON_S = 2.0


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with World(tmp_path, PATIENT).running() as world:
        yield world


async def returned(world: World) -> float:
    """When the next control plane listens."""
    world.control = world.new_control()
    await world.control.start()
    return time.monotonic()


@pytest.mark.parametrize("away_s", [0.3, 3.0])
async def test_agents_that_knock_while_the_control_plane_is_away_are_in_within_two_seconds_of_its_return(
    world: World, away_s: float
) -> None:
    await world.control.close()
    names = [f"a{number}" for number in range(20)]
    async with asyncio.TaskGroup() as group:
        knocks = [group.create_task(world.knock(name, world.mint(name))) for name in names]
        await asyncio.sleep(away_s)
        assert not any(knock.done() for knock in knocks)
        back = await returned(world)
    assert time.monotonic() - back < SOON_S
    assert {knock.result().head.status for knock in knocks} == {101}


async def test_a_knock_that_the_former_control_plane_did_not_decide_is_asked_of_the_next(world: World) -> None:
    world.doorkeeper.decides.clear()
    async with asyncio.TaskGroup() as group:
        knock = group.create_task(world.knock("a1", world.mint()))
        await until(lambda: world.doorkeeper.knocks)
        await world.control.close()
        world.doorkeeper.decides.set()
        back = await returned(world)
    assert knock.result().head.status == 101
    assert time.monotonic() - back < SOON_S
    assert len(world.doorkeeper.knocks) == 2


async def test_what_a_lost_link_left_undecided_holds_no_name(world: World) -> None:
    world.doorkeeper.decides.clear()
    async with asyncio.TaskGroup() as group:
        knock = group.create_task(world.knock("a1", world.mint()))
        await until(lambda: world.doorkeeper.knocks)
        for link in world.control._links.values():
            link.writer.transport.abort()
        await until(lambda: len(world.doorkeeper.knocks) == 2)
        world.doorkeeper.decides.set()
    assert knock.result().head.status == 101


async def test_a_knock_is_not_held_for_ever(tmp_path: Path) -> None:
    async with World(tmp_path, Limits(admit_s=0.5)).running() as world:
        await world.control.close()
        refused = await world.knock("a1", world.mint())
        assert refused.head.status == 503
        assert "try again" in await refused.body()
