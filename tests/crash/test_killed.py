"""Real brokers that SIGKILL themselves at their points: nothing is left in /proc, nothing is started twice."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from broker.demo.clouds.aws import FakeAws
from broker.demo.clouds.serving import serving
from tests.crash.containers import Containers
from tests.crash.ground import Killing
from tests.crash.plans import CONTAINED, REAL, Cell
from tests.crash.processes import Processes
from tests.crash.tasks import Tasks
from tests.podman import TestEngine


@pytest.mark.timeout(300)
async def test_killed_brokers_leave_no_process_and_start_none_twice(tmp_path: Path) -> None:
    async with Killing(tmp_path, Processes(tmp_path)).running() as killing:
        found = await killing.run(REAL)
    assert {str(cell): broken for cell, broken in found.items() if broken} == {}
    assert len(found) == len(REAL)


@pytest.mark.component("podman")
@pytest.mark.timeout(300)
async def test_neither_do_they_with_containers(tmp_path: Path, container_engine: TestEngine) -> None:
    async with Killing(tmp_path, Containers(tmp_path, container_engine)).running() as killing:
        found = await killing.run(CONTAINED)
    assert {str(cell): broken for cell, broken in found.items() if broken} == {}
    assert len(found) == len(CONTAINED)


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("secret_delivery", "cells"), [("env", CONTAINED), ("ssm", REAL)], ids=["env", "ssm"])
async def test_neither_do_they_with_tasks_of_amazon_ecs(
    secret_delivery: str, cells: Sequence[Cell], tmp_path: Path
) -> None:
    fake = FakeAws()
    async with serving(fake) as url:
        ground = Tasks(fake, url, secret_delivery)
        async with Killing(tmp_path, ground).running() as killing:
            found = await killing.run(cells)
            await until_tidy(ground)
    assert {str(cell): broken for cell, broken in found.items() if broken} == {}
    assert len(found) == len(cells)
    assert fake.ledger.problems == []


async def until_tidy(ground: Tasks) -> None:
    """The last broker has deleted the agents' secrets."""
    for _ in range(100):
        if not ground.secrets():
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"left behind: {ground.secrets()}")
