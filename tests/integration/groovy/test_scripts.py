"""The Groovy side asks for what is needed, once, and gives back what is not."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.groovy.double import CLASS_PATH, GROOVY, World, until

pytestmark = [pytest.mark.component("groovy"), pytest.mark.timeout(180)]


@pytest.fixture
def world(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[World]:
    world = World(tmp_path, **getattr(request, "param", {}))
    try:
        yield world
    finally:
        world.stop()


def run(script: str, *arguments: Path) -> str:
    """What a Groovy script of ours says on the double of Jenkins; an assertion in it that fails is one here."""
    tests = GROOVY / "src/test/groovy"
    folders = f"{CLASS_PATH}:{GROOVY / 'src'}:{tests}:{GROOVY / 'target/agentbroker-client.jar'}"
    command = ["java", "-cp", folders, "groovy.ui.GroovyMain", str(tests / script), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_link_survives_what_goes_wrong_and_tells_the_truth() -> None:
    assert "link: 34 passed" in run("LinkTest.groovy")


def test_what_comes_at_just_the_wrong_moment_cuts_no_build_and_loses_none() -> None:
    assert "race: 11 passed" in run("RaceTest.groovy")


def test_what_comes_from_outside_is_held_to_what_may_come() -> None:
    assert "edge: 10 passed" in run("EdgeTest.groovy")


def test_a_nodes_log_tells_each_event_once_whenever_jenkins_empties_it() -> None:
    assert "journal: 5 passed" in run("JournalTest.groovy")


def test_our_cloud_is_not_saved_though_another_plugin_saves_just_when_jenkins_is_told_so() -> None:
    assert "clouds: 2 passed" in run("CloudsTest.groovy")


def test_a_build_that_waits_is_told_in_words_that_help_and_a_slow_log_holds_up_nobody() -> None:
    assert "build log: 11 passed" in run("BuildLogTest.groovy")


def test_an_agent_is_kept_while_a_pipeline_that_is_being_read_may_come_back_to_it() -> None:
    assert "resumption: 5 passed" in run("ResumptionTest.groovy")


def test_what_a_build_asks_for_itself_goes_with_its_agent_and_a_refusal_holds_up_nobody_else() -> None:
    assert "overrides: 8 passed" in run("OverridesTest.groovy")


def test_two_expressions_at_once_get_one_agent_a_build_and_each_ends_after_it(world: World) -> None:
    double = world.start()
    double.tell("queue", "linux", 4)
    double.tell("queue", "linux && docker", 4)
    until("there are nodes", lambda: len(double.nodes()) == 8)
    until("there are agents", lambda: world.agents() == 8)
    for name in double.nodes():
        assert name.startswith("linux-")
        double.tell("online", name)
    until("all builds run", lambda: double.tell("state")["waiting"] == 0)
    assert len(double.nodes()) == 8
    assert all(node["busy"] for node in double.nodes().values())
    for name in double.nodes():
        double.tell("finish", name)
    until("no node is left", lambda: not double.nodes())
    until("no agent is left", lambda: world.agents() == 0)


def test_a_broker_that_is_away_is_asked_once_it_is_back_and_no_agent_is_started_twice(world: World) -> None:
    double = world.start()
    assert world.stack.broker is not None
    world.stack.broker.kill()
    double.tell("queue", "linux", 3)
    until("it was noticed", lambda: "not reachable" in double.log())
    world.stack.start_broker()
    until("there are agents", lambda: world.agents() == 3, seconds=60)
    assert len(double.nodes()) == 3
    assert double.log().count("not reachable") == 1


def test_a_controller_that_starts_again_has_its_nodes_again(world: World) -> None:
    double = world.start()
    double.tell("queue", "linux", 2)
    until("there are agents", lambda: world.agents() == 2)
    names = until("there are nodes", lambda: double.nodes().keys() if len(double.nodes()) == 2 else None)
    double.kill()
    again = world.start_double()
    assert until("the nodes are back", lambda: again.nodes().keys() == names)
    assert world.agents() == 2


def test_a_used_up_agent_takes_the_build_that_a_restart_has_interrupted(world: World) -> None:
    double = world.start()
    double.tell("queue", "linux", 1)
    [name] = until("there is a node", double.nodes)
    double.tell("online", name)
    until("its build runs", lambda: double.nodes()[name]["busy"])
    time.sleep(1)  # the broker hears of it
    double.kill()
    again = world.start_double()
    until("the node is back", again.nodes)
    again.tell("queue", name, 1)  # the step of the build that wants just this node; anonymous visitors do not see it
    time.sleep(2)  # several exchanges with the broker look at the queue
    again.tell("online", name)
    until("it goes on", lambda: again.nodes()[name]["busy"])
    assert again.tell("state")["waiting"] == 0


def test_a_deleted_node_ends_its_agent(world: World) -> None:
    double = world.start()
    double.tell("queue", "linux", 1)
    until("there is an agent", lambda: world.agents() == 1)
    [name] = until("there is a node", double.nodes)
    double.tell("cancel")
    double.tell("delete", name)
    until("it has ended", lambda: world.agents() == 0)


@pytest.mark.parametrize("world", [{"limits": {"agents": 2}}], indirect=True)
def test_what_waits_for_room_counts_as_nothing_and_all_is_given_back_when_the_builds_are_cancelled(
    world: World,
) -> None:
    double = world.start()
    double.tell("queue", "linux", 5)
    until("two start", lambda: sum(node["connecting"] for node in double.nodes().values()) == 2)
    until("the others wait", lambda: sum("AtLimit" in node["cause"] for node in double.nodes().values()) == 3)
    assert world.agents() == 2
    double.tell("cancel")
    until("all are given back, those that start too", lambda: not double.nodes())
    until("and ended", lambda: world.agents() == 0)


def test_a_build_that_no_policy_serves_is_left_alone(world: World) -> None:
    double = world.start()
    double.tell("queue", "windows", 2)
    double.tell("queue", "linux", 1)
    until("the other has its agent", lambda: world.agents() == 1)
    until("and its node", double.nodes)
    assert len(double.nodes()) == 1
    assert double.tell("state")["waiting"] == 3
