"""What happens to an agent stands in its node's log: each event once, whatever dies in between."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.groovy.double import Double, World, until

pytestmark = [pytest.mark.component("groovy"), pytest.mark.timeout(180)]

FAILS = "echo '  Cannot find the tool'; echo 'giving up' >&2; exit 3"


@pytest.fixture
def world(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[World]:
    world = World(tmp_path, **getattr(request, "param", {}))
    try:
        yield world
    finally:
        world.stop()


def words(double: Double, name: str) -> list[str]:
    """The event of each line of a node's log that has a time."""
    lines = (re.fullmatch(r"\[\d\d:\d\d:\d\d] (\w+)\b.*", line) for line in double.node_log(name))
    return [line[1] for line in lines if line]


def a_node_that_connects(double: Double) -> str:
    double.tell("queue", "linux", 1)
    [name] = until("there is a node", double.nodes)
    until("its agent runs", lambda: words(double, name)[-1:] == ["connecting"])
    return str(name)


START = ["requested", "launching", "booting", "connecting"]


def test_a_nodes_log_shows_every_phase_with_its_pool_and_still_does_once_the_agent_is_connected(world: World) -> None:
    double = world.start()
    name = a_node_that_connects(double)
    lines = double.node_log(name)
    assert lines[0] == f"[agentbroker] {name} for job (linux), policy linux"
    assert words(double, name) == START
    assert all(" linux" in line for line in lines[2:]), "the pool"
    double.tell("online", name)
    assert double.node_log(name) == [*lines, "Inbound agent connected"]


def test_a_broker_that_dies_and_comes_back_leaves_no_event_out_and_tells_none_twice(world: World) -> None:
    double = world.start()
    name = a_node_that_connects(double)
    for _ in range(2):
        assert world.stack.broker is not None
        world.stack.broker.kill()
        world.stack.start_broker()
    double.tell("queue", "linux", 1)
    [other] = until("there is another node", lambda: double.nodes().keys() - {name})
    until("it is told of", lambda: words(double, other) == START, seconds=60)
    assert words(double, name) == START


def test_a_controller_that_starts_again_has_the_whole_story_in_its_nodes_logs(world: World) -> None:
    double = world.start()
    name = a_node_that_connects(double)
    double.kill()
    again = world.start_double()
    until("the story is there", lambda: name in again.nodes() and words(again, name) == START)


@pytest.mark.parametrize("world", [{"agent": FAILS, "retry": {"attempts": 3, "backoff": "1s..1s"}}], indirect=True)
def test_an_agent_that_fails_says_why_in_its_own_words_at_each_attempt_and_at_last_in_the_system_log(
    world: World,
) -> None:
    double = world.start()
    double.tell("queue", "linux", 1)
    [name] = until("there is a node", double.nodes)
    until("it was tried again", lambda: words(double, name).count("failed") == 2)
    log = "\n".join(double.node_log(name))
    assert re.search(r"] failed       linux: ContainerExited: exit code 3\b", log)
    assert "             Cannot find the tool\n           giving up" in log
    assert "] launching    linux (attempt 2)" in log
    until("it has ended", lambda: name not in double.nodes())
    double.tell("cancel")
    ends = [line for line in double.log().splitlines() if f"agentbroker: {name}" in line]
    assert len(ends) == 1
    assert "ended: ContainerExited: exit code 3" in ends[0]
