"""kill -9 of the control plane and of the gateway, with ten agents that start and ten that run a build."""

import re
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from broker.demo.processes import Child
from tests.jenkins.conftest import new_rig
from tests.jenkins.controller import wait_for
from tests.jenkins.rig import Rig

pytestmark = [pytest.mark.jenkins, pytest.mark.component("jenkins"), pytest.mark.timeout(420)]

TEN = 10
LONG = "sleep 75"
STARTING = "requested|launching|booting|connecting"


@pytest.fixture
def rig(jenkins_root: Path, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rig]:
    """One of its own for each kill, so that launches and leftovers are those of this test alone."""
    rig = new_rig(tmp_path, request)
    try:
        rig.start()
        yield rig
    finally:
        rig.stop()


def test_builds_do_not_notice_that_the_control_plane_is_killed(rig: Rig) -> None:
    ten_run_and_ten_start(rig)
    running = {build["builtOn"] for build in rig.controller.builds("long")}
    kill(rig.stack.broker)
    rig.stack.start_broker()
    long, short = rig.controller.finished("long", TEN, 240), rig.controller.finished("short", TEN, 240)
    assert {build["result"] for build in (*long, *short)} == {"SUCCESS"}
    assert {build["builtOn"] for build in long} == running, "a build moved to another agent"
    assert {name: rig.noted("online").count(name) for name in running} == dict.fromkeys(running, 1), "a channel closed"
    launched = rig.launched()
    assert len(launched) == len(set(launched)) == 2 * TEN
    rig.wait_until_nothing_is_left(60)
    wait_for("no node is left", lambda: not rig.controller.nodes())


def test_only_running_freestyle_builds_notice_that_the_gateway_is_killed(rig: Rig) -> None:
    ten_run_and_ten_start(rig)
    kill(rig.stack.gateway)
    rig.stack.start_gateway()
    long, short = rig.controller.finished("long", TEN, 240), rig.controller.finished("short", TEN, 240)
    assert {build["result"] for build in long} == {"FAILURE"}, "the channel of a freestyle build is gone for good"
    assert {build["result"] for build in short} == {"SUCCESS"}
    launched = rig.launched()
    assert len(launched) == len(set(launched)) == 2 * TEN
    rig.wait_until_nothing_is_left(60)
    wait_for("no node is left", lambda: not rig.controller.nodes())


def ten_run_and_ten_start(rig: Rig) -> None:
    rig.controller.create_job("long", "linux", LONG)
    rig.controller.create_job("short", "linux", "sleep 1")
    rig.controller.build("long", TEN)
    wait_for("ten builds run", lambda: sum(bool(b["builtOn"]) for b in rig.controller.builds("long")) == TEN, 120)
    rig.controller.build("short", TEN)
    wait_for("ten agents start", lambda: agents_in(rig, STARTING) == TEN, 30, every=0.05)
    wait_for("some have been launched", lambda: len(rig.launched()) > TEN, 30, every=0.05)
    assert not any(b["builtOn"] for b in rig.controller.builds("short")), "a build was faster than the kill"


def agents_in(rig: Rig, phases: str) -> int:
    """How many agents are in one of these phases, by the broker's own metrics."""
    with urllib.request.urlopen(f"{rig.stack.http_url}metrics", timeout=10) as reply:
        text = reply.read().decode()
    numbers = re.findall(rf'^agentbroker_agents{{[^}}]*phase="(?:{phases})"[^}}]*}} (\S+)$', text, re.MULTILINE)
    return sum(int(float(number)) for number in numbers)


def kill(child: Child | None) -> None:
    assert child is not None
    child.kill()
