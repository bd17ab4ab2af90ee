"""A peer that vanishes without a word, and what a session holds while nothing happens."""

import asyncio
import socket
from pathlib import Path

import pytest

from broker.demo.sim.misbehaviour import vanish
from broker.domain.ids import AgentId
from broker.gateway.presence import Presence
from tests.integration.gateway.world import World, until

A1 = AgentId("id-a1")
QUICK = Presence(idle_s=1, interval_s=1, probes=2)


@pytest.mark.parametrize("speaks", [False, True], ids=["silent", "in the middle of data"])
@pytest.mark.parametrize("who", ["agent", "controller"])
async def test_a_peer_that_vanishes_is_noticed(tmp_path: Path, who: str, speaks: bool) -> None:
    async with World(tmp_path).running(presence=QUICK) as world:
        agent = await world.knock("a1", world.mint())
        await agent.say(b"hello")
        writers = {"agent": agent.writer, "controller": world.controller.writers[-1]}
        vanish(socket.socket(fileno=socket.dup(writers[who].get_extra_info("socket").fileno())))
        if speaks:
            other = writers["controller" if who == "agent" else "agent"]
            other.write(b"are you there?")
        await until(lambda: world.control.live(A1) is None, 15)
        await until(lambda: world.control.counts().disconnects, 15)
        assert world.control.counts().disconnects == {("websocket", "ping_timeout"): 1}


@pytest.mark.parametrize("who", ["agent", "controller"])
async def test_a_peer_that_has_no_room_for_longer_than_that_but_answers_keeps_its_session(
    tmp_path: Path, who: str
) -> None:
    async with World(tmp_path).running(presence=QUICK) as world:
        agent = await world.knock("a1", world.mint())
        await agent.say(b"hello")
        ends = {"agent": agent.writer, "controller": world.controller.writers[-1]}
        ends[who].transport.pause_reading()  # type: ignore[attr-defined]
        ends["controller" if who == "agent" else "agent"].write(bytes(16 * 1024 * 1024))
        await asyncio.sleep(2 * QUICK.lost_after_s + 1)
        assert world.control.live(A1) is not None
        assert not world.control.counts().disconnects


async def test_a_session_has_no_task_and_one_that_ends_leaves_nothing(tmp_path: Path) -> None:
    async with World(tmp_path).running() as world:
        assert world.gateway is not None
        tasks = {task.get_name() for task in asyncio.all_tasks()}
        agents = [await world.knock(f"a{n}", world.mint(f"a{n}")) for n in range(10)]
        gateways = {name for task in asyncio.all_tasks() if (name := task.get_name()).startswith(("gateway:", "door:"))}
        assert gateways <= tasks
        for agent in agents:
            agent.writer.close()
        await until(lambda: world.control.counts().disconnects == {("websocket", "agent"): 10})
        assert len(world.gateway._live) == 0
        assert world.gateway._reactor._ready == {}
