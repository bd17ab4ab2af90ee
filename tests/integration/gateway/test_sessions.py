"""An agent's way through the gateway to its controller, and its end."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from broker.domain.ids import AgentId
from broker.inbound.capability import USUAL
from broker.inbound.discovery import MINIMUM_VERSION
from broker.inbound.headers import SECRET_KEY
from broker.inbound.websocket import CAPABILITY, COOKIE
from tests.integration.gateway.world import QUICK, World, until, upgrade

A1 = AgentId("id-a1")


@pytest.fixture
async def world(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[World]:
    async with World(tmp_path, getattr(request, "param", QUICK)).running() as world:
        yield world


async def test_an_admitted_agent_talks_with_its_controller(world: World) -> None:
    agent = await world.knock("a1", world.mint())
    assert agent.head.status == 101
    assert agent.head.fields.one(CAPABILITY) == USUAL
    assert agent.head.fields.one(MINIMUM_VERSION) == "3176.v207ec082a_8c0"
    assert await agent.say(b"hello") == b"HELLO"
    session = world.control.live(A1)
    assert session is not None
    assert (session.name, session.attempt, session.cookie) == ("a1", 1, agent.cookie)


async def test_the_controller_gets_the_real_secret_and_its_own_cookie(world: World) -> None:
    minted = world.mint()
    agent = await world.knock("a1", minted)
    seen = world.controller.requests[-1]
    assert seen.target == "/jenkins/wsagents/"
    assert seen.fields.one(SECRET_KEY) == world.controller.nodes["a1"] != minted
    assert seen.fields.one("Host") == f"127.0.0.1:{world.controller.port}"
    assert seen.fields.one("Origin") == f"http://127.0.0.1:{world.controller.port}"
    assert seen.fields.one(COOKIE) not in {None, agent.cookie}


async def test_bytes_past_either_head_are_relayed(world: World) -> None:
    world.controller.greeting = b"<first>"
    agent = await world.knock("a1", world.mint(), tail=b"eager")
    assert await agent.hear(12) == b"<first>EAGER"


async def test_a_head_that_comes_byte_by_byte_is_understood(world: World) -> None:
    reader, writer = await asyncio.open_connection(*world.address)
    for byte in upgrade("a1", world.mint()):
        writer.write(bytes([byte]))
        await asyncio.sleep(0)
    assert (await asyncio.wait_for(reader.readline(), 5)).startswith(b"HTTP/1.1 101 ")
    writer.close()


async def test_much_data_passes_whole_in_both_directions(world: World) -> None:
    agent = await world.knock("a1", world.mint())
    data = bytes(range(97, 123)) * 80_000
    async with asyncio.TaskGroup() as group:
        heard = group.create_task(agent.hear(len(data)))
        agent.writer.write(data)
        await agent.writer.drain()
    assert heard.result() == data.upper()


async def test_a_controller_that_does_not_read_stops_the_agent_and_not_the_others(world: World) -> None:
    world.controller.deaf = "a1"
    slow = await world.knock("a1", world.mint())
    slow.writer.transport.set_write_buffer_limits(0)
    slow.writer.write(bytes(64 * 1024 * 1024))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(slow.writer.drain(), 1)
    other = await world.knock("a2", world.mint("a2"))
    assert await other.say(b"quick") == b"QUICK"
    world.controller.hears.set()
    await until(lambda: len(world.controller.received) >= 64 * 1024 * 1024, 30)


async def test_a_name_that_the_controller_does_not_know_yet_is_asked_again(world: World) -> None:
    minted = world.mint(known=False)
    real = world.doorkeeper.agents["a1"][1].secret
    async with asyncio.TaskGroup() as group:
        knock = group.create_task(world.knock("a1", minted))
        await until(lambda: len(world.controller.requests) >= 3)
        world.controller.nodes["a1"] = real
    assert knock.result().head.status == 101


async def test_when_the_agent_leaves_its_last_bytes_arrive_and_the_controller_sees_the_end(world: World) -> None:
    agent = await world.knock("a1", world.mint())
    agent.writer.write(b"goodbye")
    agent.writer.close()
    await until(lambda: world.control.live(A1) is None)
    await until(lambda: world.controller.live == {})
    assert bytes(world.controller.received) == b"goodbye"
    assert world.nudges.agents == [A1, A1]


async def test_when_the_controller_leaves_the_agent_sees_the_end(world: World) -> None:
    world.controller.greeting = b"last words"
    agent = await world.knock("a1", world.mint())
    world.controller.writers[-1].close()
    assert await agent.hear(10) == b"last words"
    assert await agent.ended()
    await until(lambda: world.control.live(A1) is None)


async def test_the_broker_ends_a_session(world: World) -> None:
    agent = await world.knock("a1", world.mint())
    await world.control.end(A1, "used up")
    assert await agent.ended()
    await until(lambda: world.control.live(A1) is None)
    await until(lambda: world.controller.live == {})


async def test_an_agent_that_leaves_during_its_handshake_lets_go_of_its_name(world: World) -> None:
    minted = world.mint()
    world.controller.pauses.clear()
    _, writer = await asyncio.open_connection(*world.address)
    writer.write(upgrade("a1", minted))
    await until(lambda: len(world.controller.requests) == 1)
    writer.close()
    world.controller.pauses.set()
    await until(lambda: world.controller.live == {})
    await until(lambda: world.control.counts().handshakes != {})
    assert (await world.knock("a1", minted)).head.status == 101


async def test_what_passed_is_counted(world: World) -> None:
    agent = await world.knock("a1", world.mint())
    await agent.say(b"12345")
    await world.knock("a1", "wrong")
    await until(lambda: world.control.counts().sent_bytes.get("websocket") == 5)
    counts = world.control.counts()
    assert counts.connections["websocket"] == 1
    assert counts.handshakes == {
        ("websocket", "succeeded", ""): 1,
        ("websocket", "failed", "HandshakeRejected"): 1,
    }
    agent.writer.close()
    await until(lambda: world.control.counts().disconnects == {("websocket", "agent"): 1})
    assert world.control.counts().connections["websocket"] == 0


async def test_an_agent_that_the_controller_drops_at_once_does_not_come_back_in_a_hot_loop(world: World) -> None:
    minted = world.mint()
    agent = await world.knock("a1", minted)
    world.controller.writers[-1].transport.abort()
    assert await agent.ended()
    agent.writer.transport.abort()
    await until(lambda: world.control.live(A1) is None)
    began = asyncio.get_running_loop().time()
    assert (await world.knock("a1", minted, agent.cookie)).head.status == 101
    assert asyncio.get_running_loop().time() - began > 0.5


@pytest.mark.parametrize("world", [replace(QUICK, admit_s=5.0)], indirect=True)
async def test_an_agent_whose_last_build_is_done_does_not_come_in_again_before_the_broker_knows(world: World) -> None:
    minted = world.mint()
    agent = await world.knock("a1", minted)
    await asyncio.sleep(2.1)  # a session of some length, not one that ends at once
    world.controller.writers[-1].transport.abort()
    assert await agent.ended()
    agent.writer.transport.abort()
    dials = len(world.controller.writers)
    async with asyncio.TaskGroup() as group:
        again = group.create_task(world.knock("a1", minted, agent.cookie))
        await asyncio.sleep(0.3)
        world.doorkeeper.agents.clear()  # the release arrives
    assert again.result().head.status == 403
    assert len(world.controller.writers) == dials
