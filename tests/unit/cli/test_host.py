"""`agentbroker host` and `get hosts`: what they print, what they refuse, and how they end."""

import asyncio
from pathlib import Path

from broker.cli import exits
from broker.domain.host import HostPhase
from broker.domain.host_order import HostPlace
from broker.domain.reason import Reason
from broker.errors import BackendRejected
from broker.testing.factories import POOL
from tests.host_core import HostCore, hosts_core
from tests.unit.cli.asking import Done, run
from tests.unit.web.api_world import Api, serving_core


async def test_hosts_are_asked_for_shown_and_deleted(tmp_path: Path) -> None:
    async with hosts_core(tmp_path) as world, serving_core(world.core) as api:
        await world.core.ask_for_offers()
        made = await run("host", "create", POOL, "--count", "2", "-o", "name", port=api.port)
        assert made.code == 0, made
        first, second = made.out.split()
        await world.until(HostPhase.READY, 2)
        table = await run("get", "hosts", port=api.port)
        wide = await run("get", "hosts", "-o", "wide", port=api.port)
        drained = await run("host", "drain", first, "--reason", "kernel update", port=api.port)
        deleted = await run("host", "delete", second, "--yes", port=api.port)
    heads, *rows = table.out.splitlines()
    assert heads.split() == ["ID", "POOL", "PHASE", "TYPE", "AGENTS", "AGE", "DOING"]
    assert {tuple(row.split()[:5]) for row in rows} == {(h, POOL, "ready", "-", "0/2") for h in (first, second)}
    assert wide.out.splitlines()[0].split()[-6:] == ["REF", "ADDRESS", "ZONE", "CAPACITY", "USES", "ASKED_BY"]
    assert drained.out == f"{first} takes no new agent, and ends with its last one\n"
    assert deleted.out == f"{second} takes no new agent, and ends with its last one\n"


async def test_create_waits_until_hosts_are_ready_or_says_why_they_are_not(tmp_path: Path) -> None:
    async with hosts_core(tmp_path) as world, serving_core(world.core) as api:
        await world.core.ask_for_offers()
        done = await _beside(world, api, "host", "create", POOL, "--wait")
        assert done.code == 0, done
        assert done.out.endswith(" is ready\n")
        world.cloud.check_prepare = _fail
        done = await _beside(world, api, "host", "create", POOL, "--wait")
    assert done.code == exits.REFUSED
    assert "SetupFailed" in done.err
    assert "exit code 3" in done.err


async def test_what_is_asked_twice_or_not_there_is_refused_with_the_next_step(tmp_path: Path) -> None:
    async with hosts_core(tmp_path) as world, serving_core(world.core) as api:
        unknown = await run("host", "drain", "h-000000000000", port=api.port)
        [host] = await world.ask()
        unasked = await run("host", "delete", host.id, port=api.port)
        too_many = await run("host", "create", POOL, "--count", "101", port=api.port)
    assert unknown.code != 0
    assert "no host is called 'h-000000000000'" in unknown.err
    assert "agentbroker get hosts" in unknown.err
    assert unasked.code == exits.REFUSED
    assert f"agentbroker host delete {host.id} --yes" in unasked.err
    assert too_many.code == exits.WRONG_USAGE


def _fail(_place: HostPlace) -> None:
    raise BackendRejected("", "init script: exit code 3", Reason.SETUP_FAILED)


async def _beside(world: HostCore, api: Api, *arguments: str) -> Done:
    """Runs a command while time passes in the world."""
    async with asyncio.TaskGroup() as group:
        command = group.create_task(run(*arguments, port=api.port), name="command")
        while not command.done():
            await world.advance(0.5)
            await asyncio.sleep(0.02)
    return command.result()
