"""The control link: sessions go on without the control plane, and are known to the next one."""

import asyncio
import os
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from broker.clock import SystemClock
from broker.domain.ids import AgentId, ControllerName
from broker.errors import GatewayError
from broker.gateway import linkserver
from broker.gateway.control import ControlServer
from broker.gateway.link import Admission, Admit, Leaving, Opened, encode
from broker.gateway.sockets import unix_address
from broker.ports import Admitted
from tests.integration.gateway.hand import HandGateway, a_process, linked
from tests.integration.gateway.world import FakeDoorkeeper, Nudges, World, until

A1 = AgentId("id-a1")


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with World(tmp_path).running() as world:
        yield world


async def test_sessions_go_on_without_the_control_plane_and_are_known_to_the_next_one(world: World) -> None:
    minted = world.mint()
    agent = await world.knock("a1", minted)
    session = world.control.live(A1)
    await world.control.close()
    assert await agent.say(b"alone") == b"ALONE"
    world.control = world.new_control()
    assert not world.control.known()
    await world.control.start()
    await until(world.control.known)
    assert world.control.live(A1) == session
    assert world.nudges.agents[-1] == A1
    assert await agent.say(b"together") == b"TOGETHER"
    assert (await world.knock("a1", minted)).head.status == 403
    assert (await world.knock("a1", minted, agent.cookie)).head.status == 101


async def test_a_session_that_ended_meanwhile_is_not_known_to_the_next_control_plane(world: World) -> None:
    minted = world.mint()
    agent = await world.knock("a1", minted)
    await world.control.close()
    agent.writer.close()
    await until(lambda: world.controller.live == {})
    world.control = world.new_control()
    await world.control.start()
    await until(world.control.known)
    assert world.control.live(A1) is None
    assert (await world.knock("a1", minted)).head.status == 101


async def test_the_controllers_cookie_outlives_the_control_plane(world: World) -> None:
    minted = world.mint()
    agent = await world.knock("a1", minted)
    held = world.controller.live["a1"]
    await world.control.close()
    world.control = world.new_control()
    await world.control.start()
    await until(world.control.known)
    again = await world.knock("a1", minted, agent.cookie)
    assert again.head.status == 101
    assert world.controller.requests[-1].fields.one("Connection-Cookie") == held


async def test_the_socket_is_for_this_user_alone(world: World) -> None:
    assert stat.S_IMODE(world.socket.stat().st_mode) == 0o600
    assert stat.S_IMODE(world.socket.parent.stat().st_mode) == 0o700


async def test_a_socket_of_a_killed_broker_is_replaced_and_one_in_use_is_not(world: World) -> None:
    second = world.new_control()
    with pytest.raises(GatewayError, match="another broker listens for gateways"):
        await second.start()
    await world.control.close()
    import socket

    with unix_address(world.socket) as address, socket.socket(socket.AF_UNIX) as stale:
        stale.bind(address)
    world.control = world.new_control()
    await world.control.start()
    await until(world.control.known)


async def test_a_path_too_long_for_a_socket_works(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100) / ("e" * 100)
    async with World(deep).running() as world:
        assert (await world.knock("a1", world.mint())).head.status == 101


@pytest.fixture
async def control(tmp_path: Path) -> AsyncIterator[tuple[ControlServer, Nudges, Path]]:
    nudges = Nudges()
    path = tmp_path / "control.sock"
    server = ControlServer(path, FakeDoorkeeper(), nudges, SystemClock())
    await server.start()
    yield server, nudges, path
    await server.close()


Setup = tuple[ControlServer, Nudges, Path]


async def test_a_dead_gateways_sessions_are_forgotten(control: Setup) -> None:
    server, nudges, path = control
    process = await a_process()
    gateway = HandGateway(path, "g1", process.pid)
    await gateway.link(linked("s1"))
    await until(lambda: server.live(A1))
    process.kill()
    await process.wait()
    gateway.writer.close()
    await until(lambda: server.live(A1) is None)
    assert not server.known()
    assert nudges.agents == [A1, A1]


async def test_a_gateway_that_hangs_is_away_though_its_process_lives(
    control: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, _, path = control
    monkeypatch.setattr(linkserver, "_HANGS_S", 0.3)
    gateway = HandGateway(path, "g1", pid=os.getpid())
    await gateway.link(linked("s1"))
    await until(server.linked_gateways)
    await until(lambda: not server.linked_gateways())
    assert await gateway.reader.read() == b"", "it links anew when it goes on"


async def test_a_gateway_that_leaves_is_not_waited_for_wherever_it_was(control: Setup) -> None:
    server, _, path = control
    leaving, staying = HandGateway(path, "g1"), HandGateway(path, "g2")
    await leaving.link(linked("s1"))
    await staying.link(linked("s2", "a2"))
    await until(lambda: len(server.linked_gateways()) == 2)
    leaving.writer.write(encode(Leaving()))
    leaving.writer.close()
    await until(lambda: server.live(A1) is None)
    assert server.known()
    assert server.live(AgentId("id-a2")) is not None


async def test_an_end_that_could_not_be_told_is_told_when_the_gateway_is_back(control: Setup) -> None:
    server, _, path = control
    gateway = HandGateway(path, "g1", pid=os.getpid())
    await gateway.link(linked("s1"))
    await until(server.known)
    gateway.writer.close()
    await until(lambda: not server.known())
    await server.end(A1, "used up")
    await gateway.link(linked("s1"))
    end = await gateway.hear()
    assert end is not None
    assert (getattr(end, "type", ""), getattr(end, "session", "")) == ("end", "s1")


async def test_of_two_sessions_of_one_name_the_older_one_stays(control: Setup) -> None:
    server, _, path = control
    gateway = HandGateway(path, "g1")
    await gateway.link(linked("s2", second=2), linked("s1", second=1))
    end = await gateway.hear()
    assert getattr(end, "session", "") == "s2"
    session = server.live(A1)
    assert session is not None
    assert session.id == "s1"


async def test_a_session_that_opens_beside_another_is_ended(control: Setup) -> None:
    _, _, path = control
    first, second = HandGateway(path, "g1"), HandGateway(path, "g2")
    await first.link(linked("s1"))
    await second.link()
    second.writer.write(encode(Opened(id="q", session=linked("s2"))))
    end = await second.hear()
    assert getattr(end, "session", "") == "s2"


async def test_nonsense_on_the_link_ends_that_link_only(control: Setup) -> None:
    server, _, path = control
    good, bad = HandGateway(path, "g1"), HandGateway(path, "g2")
    await good.link(linked("s1"))
    await bad.link()
    await until(lambda: len(server.linked_gateways()) == 2)
    bad.writer.write(b'{"type": "closed"}\n')
    assert await asyncio.wait_for(bad.reader.read(), 5) == b""
    await until(lambda: [g.id for g in server.linked_gateways()] == ["g1"])
    assert server.live(A1) is not None


async def test_a_message_of_a_newer_version_is_passed_over(control: Setup) -> None:
    _, _, path = control
    gateway = HandGateway(path, "g1")
    await gateway.link()
    gateway.writer.write(b'{"type": "weather", "sun": true}\n')
    gateway.writer.write(encode(Admit(id="q1", controller="main", name="a1", secret="x")))
    answer = await gateway.hear()
    assert (getattr(answer, "type", ""), getattr(answer, "id", "")) == ("refusal", "q1")


async def test_a_gateway_that_does_not_know_whose_an_agent_is_is_told(tmp_path: Path) -> None:
    doorkeeper, path = FakeDoorkeeper(), tmp_path / "control.sock"
    admitted = Admitted(agent_id=A1, attempt=1, secret="real", controller=ControllerName("other"))
    doorkeeper.agents["a1"] = ("minted", admitted)
    server = ControlServer(path, doorkeeper, Nudges(), SystemClock())
    await server.start()
    gateway = HandGateway(path, "g1")
    await gateway.link()
    gateway.writer.write(encode(Admit(id="q1", name="a1", secret="minted", protocol="jnlp4")))
    answer = await gateway.hear()
    await server.close()
    assert isinstance(answer, Admission)
    assert answer.controller == "other"
    assert doorkeeper.knocks[0].controller is None


async def test_a_hundred_agents_at_once_get_in_and_stay_through_a_new_control_plane(world: World) -> None:
    names = [f"a{number}" for number in range(100)]
    async with asyncio.TaskGroup() as group:
        knocks = [group.create_task(world.knock(name, world.mint(name))) for name in names]
    agents = [knock.result() for knock in knocks]
    assert {agent.head.status for agent in agents} == {101}
    await world.control.close()
    world.control = world.new_control()
    await world.control.start()
    await until(world.control.known)
    assert all(world.control.live(AgentId(f"id-{name}")) for name in names)
    async with asyncio.TaskGroup() as group:
        words = [group.create_task(agent.say(b"still here")) for agent in agents]
    assert {word.result() for word in words} == {b"STILL HERE"}
