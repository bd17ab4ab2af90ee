"""Real brokers that SIGKILL themselves at their points: nothing is left in /proc, nothing is started twice."""

from pathlib import Path

import pytest

from tests.crash.containers import Containers
from tests.crash.ground import Killing
from tests.crash.plans import CONTAINED, REAL
from tests.crash.processes import Processes
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
