"""Which agents are asked for: kinds of jobs, labels, executors, what is no demand, and what policies say meanwhile."""

import time
from collections import Counter

import pytest

from tests.jenkins.controller import wait_for
from tests.jenkins.kinds import run_stand_in, stand_ins_run
from tests.jenkins.policies import FLEET, known_policies, reload, use_policies, write_policies
from tests.jenkins.rig import Rig

pytestmark = [pytest.mark.jenkins, pytest.mark.component("jenkins"), pytest.mark.timeout(300)]

# What is high comes first; the rig's own policy `linux` (linux, docker) has priority 0.
POLICIES: dict[str, dict[str, object]] = {
    "odd": {"labels": ["gpu/a100", "c++:17", "50%"]},
    "any": {"labels": ["whatever"], "accept_unlabelled": True},
    "wide": {"labels": ["wide"], "template": {"executors": 3, "retention": {"max_uses": 6}}},
    "low": {"labels": ["shared", "plain"], "priority": 1},
    "high": {"labels": ["shared", "fast"], "priority": 9},
}


@pytest.fixture(scope="module", autouse=True)
def _policies(rig: Rig) -> None:
    use_policies(rig, POLICIES)


def build(rig: Rig, job: str, label: str | None, times: int = 1, command: str = "true") -> None:
    rig.controller.create_job(job, label, command)
    rig.controller.build(job, times)


def new_agents(rig: Rig, before: int) -> Counter[str]:
    """Policies of the agents that were started since, by their names' beginning."""
    return Counter(name.rpartition("-")[0] for name in rig.launched()[before:])


def nothing_is_started(rig: Rig, before: int, seconds: float = 3) -> bool:
    time.sleep(seconds)
    return len(rig.launched()) == before


def test_policies_are_asked_in_the_order_of_their_priority(rig: Rig) -> None:
    assert known_policies(rig)[:2] == ["high", "low"]


@pytest.mark.parametrize(
    ("name", "expression", "policy"),
    [
        ("and", "linux && docker", "linux"),
        ("or", "windows || docker", "linux"),
        ("not", "linux && !windows", "linux"),
        ("parentheses", "(windows || linux) && !(docker && mac)", "linux"),
        ("quoted", '"gpu/a100"', "odd"),
        ("odd", "c++:17 && 50%", "odd"),
        ("implied", "docker -> linux && !wide && fast", "high"),
    ],
)
def test_a_label_expression_gets_an_agent_of_the_policy_that_it_matches(
    rig: Rig, name: str, expression: str, policy: str
) -> None:
    before = len(rig.launched())
    build(rig, f"label-{name}", expression)
    [done] = rig.controller.finished(f"label-{name}", 1)
    assert done["result"] == "SUCCESS"
    assert new_agents(rig, before) == {policy: 1}
    assert done["builtOn"] == rig.launched()[-1]


def test_builds_without_a_label_get_agents_of_the_policy_that_accepts_them_and_no_other_label_does(rig: Rig) -> None:
    before = len(rig.launched())
    build(rig, "roams", None, 2)
    build(rig, "strange", "nobody-has-it")
    assert {b["result"] for b in rig.controller.finished("roams", 2)} == {"SUCCESS"}
    assert new_agents(rig, before) == {"any": 2}
    assert rig.controller.queue() == 1
    rig.controller.script("jenkins.model.Jenkins.get().queue.clear()")


def test_of_two_policies_for_a_label_the_one_of_higher_priority_serves_it(rig: Rig) -> None:
    before = len(rig.launched())
    build(rig, "both", "shared", 2)
    build(rig, "only-low", "shared && plain")
    rig.controller.finished("both", 2)
    rig.controller.finished("only-low", 1)
    assert new_agents(rig, before) == {"high": 2, "low": 1}


def test_an_agent_with_executors_serves_as_many_builds_as_its_uses_allow(rig: Rig) -> None:
    before = len(rig.launched())
    build(rig, "wide", "wide", 5, "sleep 4")
    assert {b["result"] for b in rig.controller.finished("wide", 5)} == {"SUCCESS"}
    assert new_agents(rig, before) == {"wide": 2}
    build(rig, "wide-again", "wide", 7, "sleep 2")
    builds = rig.controller.finished("wide", 5) + rig.controller.finished("wide-again", 7)
    assert {b["result"] for b in builds} == {"SUCCESS"}
    uses = Counter(b["builtOn"] for b in builds)
    assert max(uses.values()) <= 6
    assert len(rig.launched()) - before <= 3
    rig.controller.script(FLEET + "fleet.all().each { it.terminate() }")
    rig.wait_until_nothing_is_left()


def test_jobs_of_other_shapes_get_an_agent_each(rig: Rig) -> None:
    """Stand-ins of core alone: see kinds.py."""
    before = len(rig.launched())
    run_stand_in(rig, "StandIns.step('pipeline', 'linux && docker')")
    run_stand_in(rig, "StandIns.matrix('matrix', null, 'linux', 3)")
    run_stand_in(rig, "MavenLikeJob.make('maven', 'docker').scheduleBuild2(0)")
    wait_for("all run", lambda: len(stand_ins_run(rig)) == 5, seconds=60)
    ran = stand_ins_run(rig)
    [maven] = rig.controller.finished("maven", 1)
    assert ran["matrix"] == ""  # a light task without a label runs on the controller
    ours = [ran[name] for name in ("pipeline-step", "matrix-1", "matrix-2", "matrix-3")]
    ours.append(maven["builtOn"])
    assert sorted(ours) == sorted(rig.launched()[before:]), "not one agent a build"
    rig.wait_until_nothing_is_left()


def test_a_light_task_that_is_tied_to_a_label_has_an_agent_as_its_parts_have(rig: Rig) -> None:
    before = len(rig.launched())
    run_stand_in(rig, "StandIns.matrix('tied', 'linux', 'linux', 2)")
    wait_for("all run", lambda: {"tied", "tied-1", "tied-2"} <= set(stand_ins_run(rig)), seconds=60)
    ran = stand_ins_run(rig)
    assert sorted(ran[n] for n in ("tied", "tied-1", "tied-2")) == sorted(rig.launched()[before:])
    rig.wait_until_nothing_is_left()


def test_a_job_tied_to_a_nodes_own_name_is_no_demand(rig: Rig) -> None:
    before = len(rig.launched())
    rig.controller.add_static_node("old-box", "linux")
    build(rig, "to-the-box", "old-box")
    assert nothing_is_started(rig, before)
    rig.controller.script("def j = jenkins.model.Jenkins.get(); j.queue.clear(); j.removeNode(j.getNode('old-box'))")
    name = rig.controller.script(FLEET + "print fleet.launch(fleet.policyNamed('linux'), 'ana').nodeName")
    build(rig, "to-the-agent", name)
    [done] = rig.controller.finished("to-the-agent", 1)
    assert done["builtOn"] == name
    assert rig.launched()[before:] == [name]
    rig.wait_until_nothing_is_left()


def test_builds_that_are_blocked_are_no_demand(rig: Rig) -> None:
    before = len(rig.launched())
    rig.controller.create_job("one-by-one", "linux", "sleep 3")
    rig.controller.script("jenkins.model.Jenkins.get().getItem('one-by-one').concurrentBuild = false")
    rig.controller.build("one-by-one", 2)
    wait_for("the first runs", lambda: [b for b in rig.controller.builds("one-by-one") if b["builtOn"]])
    assert len(rig.launched()) - before == 1
    rig.controller.finished("one-by-one", 2)
    assert len(rig.launched()) - before == 2
    rig.wait_until_nothing_is_left()


def test_before_a_shutdown_no_agent_is_asked_for_and_after_it_is_called_off_one_is(rig: Rig) -> None:
    before = len(rig.launched())
    rig.controller.script("jenkins.model.Jenkins.get().doQuietDown(false, 0, '', false)")
    try:
        build(rig, "later", "linux")
        assert nothing_is_started(rig, before)
    finally:
        rig.controller.script("jenkins.model.Jenkins.get().doCancelQuietDown()")
    assert rig.controller.finished("later", 1)[0]["result"] == "SUCCESS"
    assert len(rig.launched()) - before == 1


def test_a_build_gets_its_agent_when_a_policy_for_it_comes_and_none_when_it_has_gone(rig: Rig) -> None:
    before = len(rig.launched())
    build(rig, "early", "mac")
    assert nothing_is_started(rig, before)
    write_policies(rig, {**POLICIES, "mac": {"labels": ["mac"]}})
    came = time.monotonic()
    reload(rig)
    wait_for("an agent is started", lambda: len(rig.launched()) > before, seconds=10)
    assert time.monotonic() - came < 10
    assert rig.controller.finished("early", 1)[0]["result"] == "SUCCESS"
    use_policies(rig, POLICIES)
    rig.controller.build("early")
    assert nothing_is_started(rig, before + 1, 6)
    rig.controller.script("jenkins.model.Jenkins.get().queue.clear()")
    rig.wait_until_nothing_is_left()


def test_an_agent_launched_by_hand_serves_the_next_build(rig: Rig) -> None:
    before = len(rig.launched())
    name = rig.controller.script(FLEET + "print fleet.launch(fleet.policyNamed('linux'), 'ana').nodeName")
    wait_for("it is online", lambda: name in rig.noted("online"))
    build(rig, "by-hand", "linux")
    assert rig.controller.finished("by-hand", 1)[0]["builtOn"] == name
    assert rig.launched()[before:] == [name]
    rig.wait_until_nothing_is_left()


def test_agents_that_the_broker_keeps_ready_are_named_and_replaced_when_a_build_takes_one(rig: Rig) -> None:
    before = len(rig.launched())
    use_policies(rig, {**POLICIES, "warm": {"labels": ["warm"], "warm": {"min_idle": 2}}})
    wait_for("two are online", lambda: len(set(rig.launched()[before:]) & set(rig.noted("online"))) == 2, seconds=30)
    assert nothing_is_started(rig, before + 2, 6)
    build(rig, "uses-warm", "warm")
    assert rig.controller.finished("uses-warm", 1)[0]["builtOn"] in rig.launched()[before:]
    wait_for("it is replaced", lambda: len(rig.launched()) - before == 3, seconds=15)
    assert new_agents(rig, before) == {"warm": 3}
    assert nothing_is_started(rig, before + 3, 6)
    use_policies(rig, POLICIES)
    rig.wait_until_nothing_is_left()


def test_nothing_of_it_was_a_warning_and_nothing_was_saved(rig: Rig) -> None:
    assert rig.controller.lines("agentbroker", "WARNING", "SEVERE") == []
