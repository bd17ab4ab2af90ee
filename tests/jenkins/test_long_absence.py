"""A controller that answers nobody for long while its agents are busy: no build is cut, but by the age of its agent."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.jenkins.conftest import new_rig
from tests.jenkins.controller import wait_for
from tests.jenkins.reuse import agent, set_policies, wait_until_gone
from tests.jenkins.rig import Rig

pytestmark = [pytest.mark.jenkins, pytest.mark.component("jenkins"), pytest.mark.timeout(300)]

RECONNECT_S = 3
AWAY_S = 13 * RECONNECT_S
"""Shorter than the minute after which Jetty gives a silent connection up."""
IN_A_HURRY = {"reconnect": f"{RECONNECT_S}s", "drain": f"{RECONNECT_S}s"}


@pytest.fixture
def rig(jenkins_root: Path, request: pytest.FixtureRequest) -> Iterator[Rig]:
    """Agents of the policy `aging` grow old while the controller is away, those of `busy` do not."""
    rig = new_rig(jenkins_root, request)
    templates = {"busy": {}, "aging": {"retention": {"max_lifetime": "45s", "max_uses": 0, "idle_timeout": "10m"}}}
    set_policies(rig, templates, {label: {"timeouts": IN_A_HURRY} for label in templates})
    try:
        rig.start()
        yield rig
    finally:
        rig.stop()


def test_builds_go_on_while_the_controller_is_away_and_only_an_old_agent_ends(rig: Rig) -> None:
    rig.controller.create_job("busy", "busy", "sleep 90")
    rig.controller.create_job("aging", "aging", "sleep 600")
    rig.controller.build("busy", 2)
    rig.controller.build("aging")
    builds = wait_for("they run", lambda: running(rig), seconds=60)
    old = builds.pop("aging")[0]
    wait_for("the broker knows", lambda: all(agent(rig, name)["uses"] for name in (*builds["busy"], old)), seconds=20)
    stop = time.monotonic()
    with frozen(rig):
        row = wait_until_gone(rig, old, seconds=90)
        assert (row["reason"], row["outcome"]) == ("MaxLifetime", "failed")
        time.sleep(max(0.0, stop + AWAY_S - time.monotonic()))
        assert [agent(rig, name)["phase"] for name in builds["busy"]] == ["online"] * 2
    ended = rig.controller.finished("busy", 2, seconds=120)
    assert {(build["result"], build["builtOn"]) for build in ended} == {("SUCCESS", name) for name in builds["busy"]}
    assert rig.controller.finished("aging", 1)[0]["result"] in {"FAILURE", "ABORTED"}
    rig.wait_until_nothing_is_left()
    launched = rig.launched()
    assert sorted(launched) == sorted([*builds["busy"], old])


def running(rig: Rig) -> dict[str, list[str]]:
    """The agents of each job, once all three have one."""
    found = {job: [str(b["builtOn"]) for b in rig.controller.builds(job) if b["builtOn"]] for job in ("busy", "aging")}
    return found if [*map(len, found.values())] == [2, 1] else {}


@contextmanager
def frozen(rig: Rig) -> Iterator[None]:
    """Within the block the controller does nothing at all; its connections stay."""
    process = rig.controller.process
    assert process is not None
    os.kill(process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process.pid, signal.SIGCONT)
