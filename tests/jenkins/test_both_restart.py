"""Broker and controller go down together: what ran is not started again, what waits is served, and nothing stays."""

import time
from collections.abc import Callable

import pytest

from tests.jenkins.controller import wait_for
from tests.jenkins.rig import Rig, our_names_in
from tests.jenkins.test_kills import agents_in, kill

pytestmark = [pytest.mark.jenkins, pytest.mark.component("jenkins"), pytest.mark.timeout(400)]

ROOM = 4
POLICY = {"limits": {"agents": ROOM}}
UP = "fully up and running"


@pytest.fixture(autouse=True)
def _fresh(rig: Rig) -> None:
    rig.controller.script("jenkins.model.Jenkins.get().items.each { it.delete() }")


def running(rig: Rig, job: str) -> set[str]:
    return {build["builtOn"] for build in rig.controller.builds(job) if build["builtOn"] and not build["result"]}


def nothing_stays(rig: Rig) -> None:
    rig.wait_until_nothing_is_left(90)
    wait_for("no node is left", lambda: not rig.controller.nodes())
    assert rig.controller.queue() == 0
    assert our_names_in(rig) == []


@pytest.mark.parametrize("back", ["during-its-restart", "after-its-restart"])
def test_a_safe_restart_with_the_broker_dead_keeps_running_builds_and_serves_the_queue_once_it_is_back(
    rig: Rig, back: str
) -> None:
    controller = rig.controller
    before = len(rig.launched())
    controller.create_job("long", "linux", "sleep 20")
    controller.create_job("waiting", "linux", "sleep 1")
    controller.build("long", ROOM)
    wait_for("they run", lambda: len(running(rig, "long")) == ROOM, 90)
    agents = running(rig, "long")
    controller.build("waiting", 3)
    wait_for("the broker knows of those that wait", lambda: agents_in(rig, "requested") == 3)
    boots = controller.log().count(UP)
    kill(rig.stack.broker)
    controller.post("safeRestart")
    if back == "during-its-restart":
        wait_for("the builds have ended", lambda: not running_or_down(rig, "long"), 90)
        rig.stack.start_broker()
    wait_for("it is up again", lambda: controller.log().count(UP) > boots, seconds=150)
    wait_for("it answers", controller.is_up)
    if back == "after-its-restart":
        wait_for("it misses the broker", lambda: "not reachable" in controller.log().rpartition("Starting version")[2])
        assert controller.script("print jenkins.model.Jenkins.get().clouds.size()") == "0"
        assert controller.queue() == 3
        time.sleep(3)
        rig.stack.start_broker()
    assert {build["result"] for build in controller.finished("waiting", 3, 180)} == {"SUCCESS"}
    builds = controller.builds("long")
    assert [(build["result"], build["builtOn"] in agents) for build in builds] == [("SUCCESS", True)] * ROOM
    nothing_stays(rig)
    launched = rig.launched()[before:]
    assert len(launched) == len(set(launched)) == ROOM + 3


def running_or_down(rig: Rig, job: str) -> bool:
    """Whether builds run, as far as the controller answers; one that is going down has none."""
    try:
        return bool(running(rig, job))
    except (OSError, AssertionError):
        return False


def broker_first(rig: Rig) -> None:
    rig.stack.start_broker()
    time.sleep(3)  # agents knock, and nobody is there
    rig.controller.start()


def controller_first(rig: Rig) -> None:
    """The broker is away during the whole boot, and comes later."""
    rig.controller.start()
    wait_for("it misses the broker", lambda: "not reachable" in rig.controller.log())
    assert rig.controller.script("print jenkins.model.Jenkins.get().clouds.size()") == "0"
    assert (rig.controller.nodes(), rig.controller.queue()) == ({}, 2)
    time.sleep(5)
    rig.stack.start_broker()


@pytest.mark.parametrize("start", [broker_first, controller_first])
def test_both_killed_at_once_start_no_agent_again_and_serve_what_the_queue_has_kept(
    rig: Rig, start: Callable[[Rig], None]
) -> None:
    controller = rig.controller
    before = len(rig.launched())
    controller.create_job("lost", "linux", "sleep 300")
    controller.create_job("kept", "linux", "sleep 1")
    controller.build("lost", 2)
    wait_for("they run", lambda: len(running(rig, "lost")) == 2, 90)
    rig.slow.touch()
    controller.build("kept", 2)
    wait_for("two more start", lambda: len(rig.launched()) - before == 4)
    controller.script("jenkins.model.Jenkins.get().queue.save()")
    names = rig.launched()[before:]
    kill(rig.stack.broker)
    controller.kill()
    rig.slow.unlink()
    start(rig)
    rig.wait_until_connected()
    kept = controller.finished("kept", 2, 180)
    assert {build["result"] for build in kept} == {"SUCCESS"}
    assert {build["builtOn"] for build in kept} == set(names[2:]), "on the agents that were starting for them"
    nothing_stays(rig)
    assert rig.launched()[before:] == names, "an agent was started again"
