"""The gateway as a process of its own: started, adopted, started again, ended; and the control plane killed."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from broker.clock import SystemClock
from broker.domain.ids import AgentId
from broker.errors import GatewayError
from broker.gateway.sockets import process_started
from broker.gateway.spawn import KEPT, LISTENS, GatewayProcess
from tests.integration.gateway.world import Connection, World, until


class ServedWorld(World):
    """A world whose gateway is a process, started as `serve` starts it."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.state_dir = directory
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.config = directory / "broker.yaml"

    def write_config(self) -> None:
        self.config.write_text(
            f"""
version: 1
server: {{ state_dir: {self.state_dir} }}
controllers:
  main: {{ url: "{self.controller.url}", token_sha256: {"ab" * 32} }}
gateway:
  websocket: {{ listen: "127.0.0.1:{self.port}" }}
  control: "unix:{self.socket}"
"""
        )
        self.config.chmod(0o600)

    def process(self, fingerprint: str = "") -> GatewayProcess:
        return GatewayProcess(self.state_dir, ["gateway", "--config", str(self.config)], SystemClock(), fingerprint)

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", self.port


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[ServedWorld]:
    world = ServedWorld(tmp_path)
    async with world.controller.running():
        world.write_config()
        try:
            yield world
        finally:
            for connection in world.connections:
                connection.writer.transport.abort()
            await world.control.close()
            if (world.state_dir / "gateway.json").exists():  # a test that failed has left it
                left = world.process()._read()
                if left is not None and left.alive():
                    os.killpg(left.pid, signal.SIGKILL)


def parent(pid: int) -> int:
    stat = Path(f"/proc/{pid}/stat").read_text()
    return int(stat[stat.rindex(")") + 2 :].split()[1])


async def linked(world: ServedWorld) -> None:
    await until(world.control.known, 30)


async def test_a_gateway_is_started_and_found_again(world: ServedWorld) -> None:
    await world.control.start()
    process = world.process()
    await process.start_or_adopt()
    await linked(world)
    assert parent(world.control.linked_gateways()[0].pid) == process.pid
    assert os.getsid(process.pid or 0) == process.pid
    assert (await world.knock("a1", world.mint())).head.status == 101
    again = world.process()
    await again.start_or_adopt()
    assert again.pid == process.pid
    await again.stop()
    assert not process.alive()
    assert not (world.state_dir / "gateway.json").exists()


async def test_a_gateway_that_was_started_for_other_settings_is_replaced_and_cuts_nobody_off(
    world: ServedWorld,
) -> None:
    await world.control.start()
    first = world.process("old")
    await first.start_or_adopt()
    await linked(world)
    old = world.control.linked_gateways()[0]
    agent = await world.knock("a1", world.mint())
    second = world.process("new")
    await second.start_or_adopt()
    assert second.pid == first.pid
    await until(lambda: {g.id: g.accepting for g in world.control.linked_gateways()}.get(old.id) is False)
    assert len(world.control.linked_gateways()) == 2
    assert await agent.say(b"still here") == b"STILL HERE"
    again = world.process("new")
    await again.start_or_adopt()
    assert (await world.knock("a2", world.mint("a2"))).head.status == 101
    agent.writer.transport.abort()
    await until(lambda: [g.accepting for g in world.control.linked_gateways()] == [True])
    await second.stop()


async def test_a_gateway_that_cannot_be_replaced_goes_on_and_says_why(world: ServedWorld) -> None:
    await world.control.start()
    first = world.process("old")
    await first.start_or_adopt()
    await linked(world)
    good = world.config.read_text()
    world.config.write_text(good.replace("controllers:", "controlers:"))
    with pytest.raises(GatewayError, match=r"(?s)was not replaced: .*'controlers' is not a key"):
        await world.process("new").start_or_adopt()
    assert (await world.knock("a1", world.mint())).head.status == 101
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        world.config.write_text(good.replace(str(world.port), str(other.getsockname()[1])))
        with pytest.raises(GatewayError, match=r"was not replaced: cannot listen at .*: Address already"):
            await world.process("new").start_or_adopt()
    assert [g.accepting for g in world.control.linked_gateways()] == [True]
    assert (await world.knock("a2", world.mint("a2"))).head.status == 101
    await first.stop()


async def test_what_the_gateway_says_is_found_in_a_long_log_and_is_no_agents_name(tmp_path: Path) -> None:
    process = GatewayProcess(tmp_path, [], SystemClock())
    many = 500 * "2026-01-01T00:00:00Z [info] session_opened agent=a1\n"
    strange = f"2026-01-01T00:00:00Z [warning] handshake_refused agent='{KEPT} ha'\n"
    (tmp_path / "gateway.log").write_text(strange + many)
    assert (process._said(KEPT), process._said(LISTENS)) == (None, None)
    (tmp_path / "gateway.log").write_text(f"{strange}{LISTENS} 127.0.0.1:7080\n{many}")
    assert process._said(KEPT) is None
    assert (process._said(LISTENS) or "").startswith("127.0.0.1:7080")
    (tmp_path / "gateway.log").write_text(f"{KEPT} no certificate\n{many}")
    assert (process._said(KEPT) or "").startswith("no certificate")


async def test_a_gateway_that_drains_is_left_alone(world: ServedWorld) -> None:
    await world.control.start()
    first = world.process()
    await first.start_or_adopt()
    await linked(world)
    pid = first.pid or 0
    agent = await world.knock("a1", world.mint())
    first.drain()
    second = world.process()
    await second.start_or_adopt()
    assert second.pid != pid
    await until(world.control.known)
    assert (await world.knock("a2", world.mint("a2"))).head.status == 101
    assert await agent.say(b"still here") == b"STILL HERE"
    assert process_started(pid) is not None
    agent.writer.transport.abort()
    await until(lambda: process_started(pid) is None)
    await second.stop()


async def test_a_gateway_that_dies_is_started_again(world: ServedWorld) -> None:
    await world.control.start()
    process = world.process()
    await process.start_or_adopt()
    await linked(world)
    minted = world.mint()
    agent = await world.knock("a1", minted)
    async with asyncio.TaskGroup() as group:
        supervising = group.create_task(process.supervise())
        first = process.pid
        os.killpg(first or 0, signal.SIGKILL)
        assert await agent.ended()
        await until(lambda: world.control.live(AgentId("id-a1")) is None)
        await until(lambda: process.pid != first)
        await linked(world)
        assert (await world.knock("a1", minted, agent.cookie)).head.status == 101
        supervising.cancel()
    await process.stop()


async def test_a_gateway_that_cannot_listen_says_why(world: ServedWorld) -> None:
    with socket.socket() as other:
        other.bind(world.address)
        other.listen()
        with pytest.raises(GatewayError, match=f"cannot listen at 127.0.0.1:{world.port}: Address already in use"):
            await world.process().start_or_adopt()


async def test_a_killed_control_plane_cuts_nobody_off(world: ServedWorld) -> None:
    minted = world.mint()
    arguments = [str(world.socket), str(world.state_dir), str(world.config), "a1", minted, world.controller.nodes["a1"]]
    module = "tests.integration.gateway.control_plane"
    plane = await asyncio.create_subprocess_exec(sys.executable, "-m", module, *arguments)
    try:
        agent = await _connected(world, minted)
        pid = world.process()._read()
        plane.kill()
        await plane.wait()
        assert await agent.say(b"nobody noticed") == b"NOBODY NOTICED"
    finally:
        if plane.returncode is None:
            plane.kill()
            await plane.wait()
    await world.control.start()
    await linked(world)
    session = world.control.live(AgentId("id-a1"))
    assert session is not None
    assert session.cookie == agent.cookie
    adopted = world.process()
    await adopted.start_or_adopt()
    assert pid is not None
    assert adopted.pid == pid.pid
    await adopted.stop()
    assert await agent.ended()


async def _connected(world: ServedWorld, minted: str) -> Connection:
    async with asyncio.timeout(30):
        while True:
            try:
                agent = await world.knock("a1", minted)
            except OSError:
                await asyncio.sleep(0.1)
                continue
            if agent.head.status == 101:
                return agent
            await asyncio.sleep(0.1)
