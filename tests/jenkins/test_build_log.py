"""What a pipeline that waits for an agent says in its own log, on a real controller with the pipeline plugins."""

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.jenkins.conftest import new_rig
from tests.jenkins.controller import wait_for
from tests.jenkins.pipelines import abort, create_pipeline, needs_plugins, start_build, start_with_plugins
from tests.jenkins.rig import Rig, our_names_in

pytestmark = [
    pytest.mark.jenkins,
    pytest.mark.component("jenkins"),
    pytest.mark.timeout(300),
    needs_plugins(),
]

POLICY = {"labels": ["linux", "docker"], "limits": {"agents": 2}, "retry": {"attempts": 2, "backoff": "3s..3s"}}
FLEET = "def fleet = jenkins.model.Jenkins.get().clouds.find { it.class.name == 'BrokerCloud' }.fleet\n"
CANCEL = """
def queue = jenkins.model.Jenkins.get().queue
def item = queue.buildableItems.find { it.task.ownerTask.name == '%s' }
fleet.buildLog.cancelling(item, 'QueueTimeout', 'no place in 15 min')
queue.cancel(item)
"""
NODE = 'node("%s") { echo "it runs"; sleep %d }'


@pytest.fixture(scope="module")
def rig(jenkins_root: Path, request: pytest.FixtureRequest) -> Iterator[Rig]:
    rig = new_rig(jenkins_root, request)
    try:
        start_with_plugins(rig)
        yield rig
    finally:
        rig.stop()


def log_of(rig: Rig, job: str) -> str:
    """What the first build of a job has said; empty before there is one."""
    try:
        return rig.controller.console(job, 1)
    except OSError:
        return ""


def ours(rig: Rig, job: str) -> list[str]:
    """Our lines in it, without what stands before each and the time."""
    found = re.findall(r"^\[agentbroker] (.*)$", log_of(rig, job), re.M)
    return [re.sub(r"^\d\d:\d\d:\d\d ", "", line) for line in found]


def line(rig: Rig, job: str, pattern: str, seconds: float = 30) -> re.Match[str]:
    """The first of our lines in which the pattern is found, once it is there."""

    def look() -> re.Match[str] | None:
        return next((found for text in ours(rig, job) if (found := re.search(pattern, text))), None)

    try:
        found = wait_for(pattern, look, seconds, every=0.1)
    except AssertionError as error:
        raise AssertionError(f"{error}: {log_of(rig, job)}") from error
    assert found is not None
    return found


def build(rig: Rig, job: str, label: str, seconds: int = 0) -> None:
    create_pipeline(rig.controller, job, NODE % (label, seconds))
    start_build(rig.controller, job)


def test_a_waiting_build_tells_each_phase_of_its_agent_within_2_s_and_last_where_it_runs(rig: Rig) -> None:
    build(rig, "first-of-all", "linux")  # it loads classes, and is told later
    rig.controller.finished("first-of-all", 1)
    build(rig, "app", "linux && docker")
    wait_for("it waits", lambda: "[Pipeline] node" in log_of(rig, "app"), seconds=30, every=0.05)
    began = time.monotonic()
    name = line(rig, "app", r"^(linux-\w+): linux\s*&&\s*docker -> policy linux +http\S+$", seconds=5)[1]
    assert time.monotonic() - began < 2
    assert rig.controller.finished("app", 1)[0]["result"] == "SUCCESS"
    lines = ours(rig, "app")
    lines = lines[[name in text for text in lines].index(True) :]  # before it: that it waits for one, on a slow machine
    assert re.fullmatch(r"linux: launching \(attempt 1 of 2\)(, usually online in \d+ s)?", lines[1])
    assert lines[3].startswith("linux: connecting")
    assert re.fullmatch(r"linux: booting: [0-9a-f]{32}-1", lines[2]), "it names the instance"
    assert re.fullmatch(rf"online after \d+\.\d s: {name}   http\S+{name}", lines[4])
    assert len(lines) == 5
    log = log_of(rig, "app")
    assert log.index("online after") < log.index(f"Running on {name}") < log.index("it runs")
    assert "Still waiting to schedule" not in log or log.index("linux: launching") < log.index("Still waiting")


def test_a_build_that_nothing_can_run_says_what_each_policy_lacks_and_once_more_after_a_restart(rig: Rig) -> None:
    build(rig, "gpu", "linux && gpu")
    line(rig, "gpu", "ask an admin to add a policy, or use one of the labels: linux, docker$", seconds=10)
    told = ["no policy carries all of: gpu, linux", "  linux    has linux; lacks gpu"]
    assert ours(rig, "gpu")[:2] == told
    time.sleep(3)
    assert len(ours(rig, "gpu")) == 3, "it is told once"
    rig.controller.stop()
    rig.controller.start()
    rig.wait_until_connected()
    wait_for("it is told again", lambda: ours(rig, "gpu").count(told[0]) == 2, seconds=40)
    abort(rig.controller, "gpu")
    assert rig.controller.finished("gpu", 1)[0]["result"] == "ABORTED"
    wait_for("it says so", lambda: ours(rig, "gpu")[-1:] == ["cancelled: nothing is asked for it any more"], seconds=5)


def test_builds_that_wait_for_room_say_which_in_line_they_are_and_an_aborted_one_that_it_waits_no_more(
    rig: Rig,
) -> None:
    for job in ("first", "second"):
        build(rig, job, "linux", 60)
    for job in ("first", "second"):
        line(rig, job, "^online after", seconds=60)
    build(rig, "third", "linux")
    line(rig, "third", r"^waiting, 1st in line: PolicyAtLimit: .*linux.*2")
    build(rig, "fourth", "linux")
    line(rig, "fourth", r"^waiting, 2nd in line: PolicyAtLimit")
    name = line(rig, "fourth", r"^(linux-\w+): linux -> policy linux")[1]
    rig.controller.script(FLEET + "fleet.buildLog.heartbeatMs = 2000")
    line(rig, "third", r"^still linux-\w+: waiting, 1st in line: PolicyAtLimit.*\(\d+ s in all\)")
    rig.controller.script(FLEET + "fleet.buildLog.heartbeatMs = 60000")
    began = time.monotonic()
    abort(rig.controller, "fourth")
    line(rig, "fourth", rf"^cancelled: the request for {name} is withdrawn$", seconds=5)
    assert time.monotonic() - began < 3
    rig.controller.script(FLEET + CANCEL % "third")
    line(rig, "third", "^the build is cancelled: QueueTimeout: no place in 15 min$", seconds=5)
    wait_for("it has ended", lambda: "Finished" in log_of(rig, "third"))
    assert ours(rig, "third")[-1].startswith("the build is cancelled"), "the last word"
    for job in ("first", "second"):
        abort(rig.controller, job)
    rig.controller.script(FLEET + "fleet.all().each { it.end('CANCELLED', 'the test is over') }")
    rig.wait_until_nothing_is_left()


def test_an_agent_that_fails_is_told_with_its_own_words_and_what_to_do(rig: Rig) -> None:
    java = rig.root / "light-java"
    good = java.read_text()
    java.write_text("#!/bin/sh\necho 'cannot find the tool'\nexit 3\n")
    try:
        build(rig, "fails", "linux")
        line(rig, "fails", r"^linux: ContainerExited: exit code 3")
        line(rig, "fails", r"^  hint: \w")
        line(rig, "fails", r"^linux: launching \(attempt 2 of 2\)")
        line(rig, "fails", r"^  more: http")
    finally:
        java.write_text(good)
    assert any("cannot find the tool" in text for text in ours(rig, "fails"))
    assert rig.controller.finished("fails", 1)[0]["result"] == "SUCCESS", "another agent runs it"
    assert len(re.findall(r"linux-\w+: linux -> policy", log_of(rig, "fails"))) >= 2


def test_a_build_that_waits_is_told_that_the_broker_is_away_and_when_it_is_back(rig: Rig) -> None:
    rig.slow.touch()
    try:
        build(rig, "patient", "linux")
        line(rig, "patient", "^linux: connecting$")
        assert rig.stack.broker is not None
        rig.stack.broker.kill()
        line(
            rig,
            "patient",
            r"^the broker at \S+ is not reachable since \d\d:\d\d:\d\d \(.*\); it is tried again by itself",
        )
        rig.stack.start_broker()
        line(rig, "patient", "^the broker is reachable again$")
    finally:
        rig.slow.unlink()
    line(rig, "patient", "^online after", seconds=60)
    assert rig.controller.finished("patient", 1)[0]["result"] == "SUCCESS"
    told = ours(rig, "patient")
    assert len(told) == len(set(told)), "nothing is told twice"
    assert rig.controller.lines("agentbroker", "SEVERE") == []
    assert our_names_in(rig) == []
