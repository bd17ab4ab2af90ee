"""How long an agent stays: its builds, its idle time, its age; and no build is lost when one comes just then."""

import random
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.jenkins.conftest import new_rig
from tests.jenkins.controller import wait_for
from tests.jenkins.reuse import a_node, agent, runs_on, set_policies, wait_until_gone
from tests.jenkins.rig import Rig

pytestmark = [pytest.mark.jenkins, pytest.mark.component("jenkins"), pytest.mark.timeout(420)]

ROUNDS = 20
AT_ONCE = 3


@pytest.fixture(scope="module")
def rig(jenkins_root: Path, request: pytest.FixtureRequest) -> Iterator[Rig]:
    """Policy `linux` has one build an agent; the others keep them."""
    rig = new_rig(jenkins_root, request)
    set_policies(
        rig,
        {
            "thrice": {"retention": {"max_uses": 3, "idle_timeout": "10m"}},
            "brief": {"retention": {"max_uses": 0, "idle_timeout": "2s"}},
            "two": {"retention": {"max_uses": 3, "idle_timeout": "10m"}, "executors": 2},
            "old": {"retention": {"max_uses": 0, "idle_timeout": "10m", "max_lifetime": "80s"}},
            "hammer": {"retention": {"max_uses": 0, "idle_timeout": "1s"}},
        },
    )
    try:
        rig.start()
        yield rig
    finally:
        rig.stop()


@pytest.fixture(autouse=True)
def _each_begins_with_no_node(rig: Rig) -> Iterator[None]:
    yield
    for name in rig.controller.nodes():
        rig.controller.post(f"computer/{name}/doDelete")
    rig.wait_until_nothing_is_left()


def nodes_of(rig: Rig, job: str) -> Counter[str]:
    """How many builds of a job ran on each node."""
    return Counter(str(build["builtOn"]) for build in rig.controller.builds(job))


def results(builds: list[dict[str, Any]]) -> set[str]:
    return {str(build["result"]) for build in builds}


def test_by_default_an_agent_runs_one_build(rig: Rig) -> None:
    rig.controller.create_job("default", "linux")
    rig.controller.build("default", 3)
    assert results(rig.controller.finished("default", 3)) == {"SUCCESS"}
    assert sorted(nodes_of(rig, "default").values()) == [1, 1, 1]
    for name in nodes_of(rig, "default"):
        row = wait_until_gone(rig, name)
        assert (row["reason"], row["uses"], row["outcome"]) == ("Completed", 1, "succeeded")


def test_an_agent_that_is_reused_ends_after_its_last_build(rig: Rig) -> None:
    rig.controller.create_job("thrice", "thrice")
    for number in range(1, 5):
        rig.controller.build("thrice")
        rig.controller.finished("thrice", number)
    counted = nodes_of(rig, "thrice")
    assert sorted(counted.values()) == [1, 3]
    [first] = [name for name, count in counted.items() if count == 3]
    row = wait_until_gone(rig, first)
    assert (row["reason"], row["uses"]) == ("Completed", 3)
    [second] = counted.keys() - {first}
    assert agent(rig, second)["phase"] == "online"
    rig.controller.post(f"computer/{second}/doDelete")
    rig.wait_until_nothing_is_left()


def test_an_idle_agent_ends_when_its_idle_time_is_over_and_not_at_the_next_minute(rig: Rig) -> None:
    name = a_node(rig, "brief", "brief")
    rig.controller.finished("brief", 1)
    rig.controller.build("brief")
    assert rig.controller.finished("brief", 2)[1]["builtOn"] == name
    ended = time.monotonic()
    wait_for("its node is gone", lambda: name not in rig.controller.nodes(), seconds=20, every=0.05)
    assert 1.0 < time.monotonic() - ended < 8.0  # 2 s and what a loaded machine adds
    row = wait_until_gone(rig, name)
    assert (row["reason"], row["uses"], row["message"]) == ("IdleTimeout", 2, "idle for 2 s")
    rig.wait_until_nothing_is_left()


def test_several_executors_run_no_more_builds_than_the_agent_may(rig: Rig) -> None:
    rig.controller.create_job("pair", "two", "sleep 2")
    rig.controller.build("pair", 8)
    assert results(rig.controller.finished("pair", 8, seconds=200)) == {"SUCCESS"}
    counted = nodes_of(rig, "pair")
    assert max(counted.values()) <= 3
    for name, builds in counted.items():
        if builds == 3:
            row = wait_until_gone(rig, name)
            assert (row["reason"], row["uses"]) == ("Completed", 3)
        else:
            assert agent(rig, name)["uses"] == builds


def test_an_old_agent_takes_no_new_build_and_only_a_build_that_outlives_its_age_is_cut(rig: Rig) -> None:
    enough = rig.root / "enough"
    name = a_node(rig, "old", "old", f'until [ -e "{enough}" ]; do sleep 0.2; done')
    assert runs_on(rig, "old") == name
    other = a_node(rig, "endless", "old", "sleep 600")
    assert runs_on(rig, "endless") == other
    wait_for("it is old", lambda: agent(rig, name)["phase"] == "draining", seconds=90)
    enough.touch()
    assert rig.controller.finished("old", 1)[0]["result"] == "SUCCESS"
    row = wait_until_gone(rig, name)
    assert (row["reason"], row["outcome"]) == ("MaxLifetime", "succeeded")
    rig.controller.create_job("young", "old")
    rig.controller.build("young")
    [young] = rig.controller.finished("young", 1)
    assert young["builtOn"] not in {name, other}
    assert rig.controller.finished("endless", 1)[0]["result"] in {"FAILURE", "ABORTED"}
    assert f"[agentbroker] {other} ends: MaxLifetime" in rig.controller.console("endless", 1)
    assert wait_until_gone(rig, other)["reason"] == "MaxLifetime"
    rig.controller.post(f"computer/{young['builtOn']}/doDelete")
    rig.wait_until_nothing_is_left()


def test_builds_that_come_when_agents_end_are_neither_lost_nor_failed(rig: Rig) -> None:
    rig.controller.create_job("hammer", "hammer", "true")
    before = len(rig.launched())
    dice = random.Random(4)
    for number in range(1, ROUNDS + 1):
        rig.controller.build("hammer", AT_ONCE)
        rig.controller.finished("hammer", number * AT_ONCE, seconds=120)
        time.sleep(dice.uniform(0.7, 1.2))  # 1 s is when they end
    builds = rig.controller.builds("hammer")
    assert len(builds) == ROUNDS * AT_ONCE
    assert results(builds) == {"SUCCESS"}
    rig.wait_until_nothing_is_left()
    names = rig.launched()[before:]
    assert len(names) == len(set(names))
    counted = nodes_of(rig, "hammer")
    assert counted.keys() <= set(names)
    rows = [wait_until_gone(rig, name) for name in names]
    assert {row["reason"] for row in rows} == {"IdleTimeout"}
    assert sum(row["uses"] for row in rows) == len(builds)
    assert rig.controller.lines("agentbroker", "WARNING", "SEVERE") == []
    assert rig.controller.lines("", "SEVERE") == []
