"""Real brokers that SIGKILL themselves at their points: nothing is left in /proc, nothing is started twice."""

from pathlib import Path

import pytest

from tests.crash.ground import Killing
from tests.crash.plans import REAL
from tests.crash.processes import Processes


@pytest.mark.timeout(300)
async def test_killed_brokers_leave_no_process_and_start_none_twice(tmp_path: Path) -> None:
    async with Killing(tmp_path, Processes(tmp_path)).running() as killing:
        found = await killing.run(REAL)
    assert {str(cell): broken for cell, broken in found.items() if broken} == {}
    assert len(found) == len(REAL)
