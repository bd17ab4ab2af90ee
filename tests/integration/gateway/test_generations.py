"""A gateway is replaced under its sessions: a new generation beside the old one, which leaves with its last session."""

import asyncio
import os
import signal
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from broker.demo.sim.agents import State
from broker.gateway.sockets import process_started
from tests.integration.gateway.crowd import KEPT, LISTENS, Crowd, crowd, ended, free_port
from tests.integration.gateway.world import until

FIFTY = [f"a{number}" for number in range(50)]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[Crowd]:
    async with crowd(tmp_path) as world:
        yield world


async def leave(world: Crowd, *names: str) -> None:
    """Agents end their sessions."""
    for name in names:
        channel = world.swarm.agents[name].channel
        assert channel is not None
        channel.wire.end()
        await until(lambda: world.swarm.agents[name].state is State.ENDED)  # noqa: B023 - awaited here


async def test_a_gateway_is_replaced_under_fifty_sessions_and_cuts_none(world: Crowd) -> None:
    process = await world.start()
    await world.enter(FIFTY)
    old = world.gateways(accepting=True)[0]
    before = world.received()
    await world.renew(process)
    await until(lambda: [one.id for one in world.gateways(accepting=False)] == [old.id])
    new = world.gateways(accepting=True)[0]
    assert (old.generation, new.generation) == (1, 2)
    assert process_started(process.pid) is not None
    await world.enter(["late1", "late2"])
    assert world.relayed() == {old.id: 50, new.id: 2}
    await until(lambda: world.received() - before > 500_000, 30)
    await world.settle([*FIFTY, "late1", "late2"])


async def test_who_connects_while_it_is_replaced_is_not_turned_away(world: Crowd) -> None:
    world.change(processes=2)
    process = await world.start()
    answered, replaced = 0, asyncio.Event()

    async def visit() -> None:
        nonlocal answered
        while not replaced.is_set():
            reader, writer = await asyncio.open_connection("127.0.0.1", world.settings.listen_port)
            writer.write(b"GET /c/main/login HTTP/1.1\r\nHost: gw\r\n\r\n")
            assert b" 200 " in await asyncio.wait_for(reader.read(), 20)
            writer.close()
            answered += 1

    async with asyncio.TaskGroup() as group:
        for _ in range(10):
            group.create_task(visit())
        await world.renew(process)
        await until(lambda: [one.generation for one in world.control.linked_gateways()] == [2, 2], 30)
        replaced.set()
    assert answered > 100


async def test_the_old_one_leaves_with_its_last_session(world: Crowd) -> None:
    process = await world.start()
    await world.enter(["a1", "a2"], streams=False)
    old = world.gateways(accepting=True)[0].pid
    await world.renew(process)
    await leave(world, "a1")
    await asyncio.sleep(0.5)
    assert process_started(old) is not None
    await leave(world, "a2")
    await ended(old)
    assert [one.generation for one in world.control.linked_gateways()] == [2]
    assert world.control.known()


async def test_an_old_one_without_sessions_leaves_at_once(world: Crowd) -> None:
    process = await world.start()
    old = world.gateways(accepting=True)[0].pid
    await world.renew(process)
    await ended(old, 5)


async def test_after_the_drain_timeout_the_sessions_that_are_left_end(world: Crowd) -> None:
    world.change(drain_timeout_s=1.0)
    process = await world.start()
    await world.enter(["a1", "a2"])
    old = world.gateways(accepting=True)[0].pid
    await world.renew(process)
    await ended(old, 10)
    await world.swarm.until(State.ENDED, 2, within_s=10)
    assert world.said("gateway_drain_ended") == 1
    assert process.returncode is None


async def test_two_processes_share_the_new_connections(world: Crowd) -> None:
    world.change(processes=2)
    await world.start()
    await until(lambda: len(world.gateways(accepting=True)) == 2)
    await world.enter(FIFTY, streams=False)
    shares = world.relayed()
    assert sum(shares.values()) == 50
    assert min(shares.values()) >= 5  # 25 are expected: with a fair hash, fewer than 5 in one of 10^9 runs


async def test_one_process_of_two_that_is_killed_is_started_again_and_the_other_goes_on(world: Crowd) -> None:
    world.change(processes=2)
    await world.start()
    await until(lambda: len(world.gateways(accepting=True)) == 2)
    await world.enter(FIFTY)
    victim, other = world.gateways(accepting=True)
    shares = world.relayed()
    os.kill(victim.pid, signal.SIGKILL)
    await world.swarm.until(State.ENDED, shares[victim.id], within_s=10)
    await until(lambda: len(world.gateways(accepting=True)) == 2)
    await until(world.control.known)
    assert world.relayed()[other.id] == shares[other.id]
    await world.enter(["late"])
    alive = [name for name, agent in world.swarm.agents.items() if agent.state is State.CONNECTED]
    assert len(alive) == shares[other.id] + 1
    await world.settle(alive)


async def test_a_new_one_that_cannot_start_leaves_the_old_one_accepting(world: Crowd) -> None:
    process = await world.start()
    await world.enter(["a1"])
    had = world.settings.listen_port
    with socket.create_server(("127.0.0.1", 0)) as taken:
        world.change(listen_port=taken.getsockname()[1])
        await world.renew(process, KEPT)
    world.change(listen_port=had, tls_cert=Path("/none"), tls_key=Path("/none"))
    await world.renew(process, KEPT)
    world.file.write_text("{")
    await world.renew(process, KEPT)
    assert len(world.gateways(accepting=True)) == 1
    assert world.gateways(accepting=False) == []
    await world.enter(["a2"])
    world.change(tls_cert=None, tls_key=None)
    await world.renew(process)
    await world.enter(["a3"])
    await world.settle(["a1", "a2", "a3"])


async def test_a_new_one_that_finds_no_control_plane_where_the_old_one_has_it_leaves_the_old_one_accepting(
    world: Crowd, tmp_path: Path
) -> None:
    process = await world.start()
    world.change(control=tmp_path / "nowhere.sock")
    await world.renew(process, KEPT)
    assert world.said("has no link to the control plane") > 0
    assert len(world.gateways(accepting=True)) == 1
    await world.enter(["a1"])


async def test_told_to_end_it_keeps_its_sessions_until_they_end(world: Crowd) -> None:
    process = await world.start()
    await world.enter(["a1", "a2"])
    process.terminate()
    await until(lambda: len(world.gateways(accepting=False)) == 1)
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", world.settings.listen_port)
    before = world.received()
    await until(lambda: world.received() - before > 100_000, 30)
    assert process.returncode is None
    await world.settle(["a1", "a2"])
    await leave(world, "a1", "a2")
    assert await asyncio.wait_for(process.wait(), 10) == 0


@pytest.mark.parametrize("numbers", [[signal.SIGINT], [signal.SIGTERM, signal.SIGTERM]])
async def test_told_to_end_now_it_ends_its_sessions(world: Crowd, numbers: list[signal.Signals]) -> None:
    process = await world.start()
    await world.enter(["a1"])
    for number in numbers:
        process.send_signal(number)
        await asyncio.sleep(0.3)
    assert await asyncio.wait_for(process.wait(), 10) == 0
    await world.swarm.until(State.ENDED, 1, within_s=5)


@pytest.mark.parametrize("after_s", [0.0, 0.4, 0.8, 1.2, 1.6])
async def test_told_to_end_while_it_replaces_itself_it_ends(world: Crowd, after_s: float) -> None:
    process = await world.start()
    process.send_signal(signal.SIGHUP)
    await asyncio.sleep(after_s)
    process.terminate()
    assert await asyncio.wait_for(process.wait(), 30) == 0
    await until(lambda: world.control.linked_gateways() == ())


async def test_a_killed_supervisor_cuts_nobody_off_and_another_takes_its_place(world: Crowd) -> None:
    process = await world.start()
    await world.enter(["a1", "a2"])
    old = world.gateways(accepting=True)[0].pid
    process.kill()
    await process.wait()
    await until(lambda: len(world.gateways(accepting=False)) == 1)
    await world.start()
    await world.enter(["a3"])
    await world.settle(["a1", "a2", "a3"])
    await leave(world, "a1", "a2")
    await ended(old)


async def test_no_core_of_a_worker_is_ever_written(world: Crowd) -> None:
    await world.start()
    await until(lambda: world.gateways(accepting=True))
    limits = Path(f"/proc/{world.gateways(accepting=True)[0].pid}/limits").read_text().splitlines()
    assert [line.split()[4:6] for line in limits if line.startswith("Max core")] == [["0", "0"]]


async def test_a_second_gateway_at_the_same_address_is_refused(world: Crowd) -> None:
    await world.start()
    with pytest.raises(AssertionError, match="Address already in use"):
        await world.start()


async def test_as_the_first_process_of_a_container_it_is_replaced_and_drains_likewise(world: Crowd) -> None:
    container = ("unshare", "--fork", "--pid", "--mount-proc", "--kill-child")
    if subprocess.run([*container, "true"], capture_output=True, check=False, timeout=30).returncode:
        return  # this user may make none
    outside = await world.start(within=container)
    (inner,) = map(int, Path(f"/proc/{outside.pid}/task/{outside.pid}/children").read_text().split())
    await world.enter(["a1", "a2"])
    said = world.said(LISTENS)
    os.kill(inner, signal.SIGHUP)
    await until(lambda: world.said(LISTENS) > said, 60)
    await until(lambda: len(world.gateways(accepting=False)) == 1)
    assert world.gateways(accepting=True)[0].pid < 100, "its own numbers"
    await world.enter(["a3", "a4"])
    os.kill(inner, signal.SIGTERM)
    await until(lambda: len(world.gateways(accepting=False)) == 2)
    await world.settle(["a1", "a2", "a3", "a4"])
    await leave(world, "a1", "a2", "a3", "a4")
    assert await asyncio.wait_for(outside.wait(), 20) == 0


async def test_one_that_is_started_beside_another_takes_over_when_that_drains(world: Crowd) -> None:
    first = await world.start()
    await world.enter(["a1", "a2"])
    await world.start("--beside")
    await until(lambda: len(world.gateways(accepting=True)) == 2)
    first.terminate()
    await until(lambda: len(world.gateways(accepting=False)) == 1)
    await world.enter(["a3", "a4", "a5", "a6"])
    assert first.returncode is None
    await world.settle(["a1", "a2", "a3", "a4", "a5", "a6"])


async def test_its_pages_tell_of_all_its_processes(world: Crowd) -> None:
    http = free_port()
    world.change(processes=2, http_port=http)
    process = await world.start()
    await until(lambda: len(world.gateways(accepting=True)) == 2)
    await world.enter(["a1", "a2", "a3", "a4"], streams=False)

    def shows(*lines: str) -> bool:
        return {f"agentbroker_gateway_{line}" for line in lines} <= set(_page(http, "metrics").splitlines())

    both = ('connections{protocol="websocket"} 2', 'connections{protocol="jnlp4"} 2')
    await _until_in_thread(lambda: shows(*both, "accepting_processes 2", "draining_connections 0"))
    await world.renew(process)
    await _until_in_thread(lambda: shows(*both, "accepting_processes 2", "draining_connections 4"))
    await leave(world, "a1", "a2", "a3", "a4")
    await _until_in_thread(lambda: shows('disconnects_total{protocol="jnlp4",reason="agent"} 2'))
    assert await asyncio.to_thread(_page, http, "readyz") == "ok\n"


@pytest.mark.parametrize("options", [(), ("--beside",)])
async def test_one_that_drains_leaves_the_address_of_its_pages_to_its_successor(
    world: Crowd, options: tuple[str, ...]
) -> None:
    http = free_port()
    world.change(http_port=http)
    first = await world.start()
    await world.enter(["a1"], streams=False)
    if options:
        await world.start(*options)
    first.terminate()
    await until(lambda: len(world.gateways(accepting=False)) == 1)
    if not options:
        await world.start()
    await _until_in_thread(lambda: _page(http, "readyz") == "ok\n")
    assert first.returncode is None


def _page(port: int, path: str) -> str:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=5) as reply:
            return str(reply.read().decode())
    except urllib.error.HTTPError as error:
        return f"{error.code}"
    except OSError:  # between a supervisor and what it becomes
        return ""


async def _until_in_thread(condition: object) -> None:
    assert callable(condition)
    async with asyncio.timeout(20):
        while not await asyncio.to_thread(condition):  # noqa: ASYNC110 - another process has no event
            await asyncio.sleep(0.1)
