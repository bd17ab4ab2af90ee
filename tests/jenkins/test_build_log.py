"""What a pipeline that waits for an agent says in its own log, on a real controller with the pipeline plugins."""

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.jenkins.conftest import new_rig
from tests.jenkins.controller import wait_for
from tests.jenkins.pipelines import create_pipeline, install_plugins, needs_plugins, start_build
from tests.jenkins.rig import Rig

pytestmark = [
    pytest.mark.jenkins,
    pytest.mark.component("jenkins"),
    pytest.mark.timeout(300),
    needs_plugins(),
]

POLICY = {"labels": ["linux", "docker"], "limits": {"agents": 2}}


@pytest.fixture(scope="module")
def rig(jenkins_root: Path, request: pytest.FixtureRequest) -> Iterator[Rig]:
    rig = new_rig(jenkins_root, request)
    install_plugins(rig.controller)
    try:
        rig.start()
        yield rig
    finally:
        rig.stop()


def ours(rig: Rig, job: str, number: int = 1) -> list[str]:
    """Our lines in a build's log, without what stands before each."""
    found = re.findall(r"^\[agentbroker] (.*)$", rig.controller.console(job, number), re.M)
    return [re.sub(r"^\d\d:\d\d:\d\d ", "", line) for line in found]


def test_a_waiting_build_tells_each_phase_of_its_agent_and_last_where_it_runs(rig: Rig) -> None:
    create_pipeline(rig.controller, "app", 'node("linux && docker") { echo "it runs" }')
    began = time.monotonic()
    start_build(rig.controller, "app")
    wait_for("its first line", lambda: "app" and _log(rig, "app"), seconds=10, every=0.05)
    first = time.monotonic() - began
    assert rig.controller.finished("app", 1)[0]["result"] == "SUCCESS"
    print(rig.controller.console("app", 1))
    assert first < 4


def _log(rig: Rig, job: str) -> list[str]:
    try:
        return ours(rig, job)
    except OSError:
        return []
