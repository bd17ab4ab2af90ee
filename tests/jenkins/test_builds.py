"""Builds get their agents: as many as they need, each in time, and nothing stays."""

import pytest

from tests.jenkins.controller import wait_for
from tests.jenkins.rig import CONNECTED, Rig, our_names_in

pytestmark = [pytest.mark.jenkins, pytest.mark.component("jenkins"), pytest.mark.timeout(300)]


def test_the_controller_boots_and_has_our_cloud_and_our_strategy_first(rig: Rig) -> None:
    controller = rig.controller
    assert controller.script("jenkins.model.Jenkins.get().clouds.each { println it.class.name }") == "BrokerCloud"
    strategies = "hudson.ExtensionList.lookup(hudson.slaves.NodeProvisioner.Strategy).each { println it.class.name }"
    assert controller.script(strategies).splitlines()[0] == "BrokerStrategy"
    connected = [line for line in controller.lines("agentbroker") if "connected to" in line]
    assert len(connected) == 1
    assert 'cloud "agentbroker", 1 policies: linux' in connected[0]
    assert controller.lines("agentbroker", "WARNING", "SEVERE") == []


def test_twenty_one_shot_builds_have_twenty_agents(rig: Rig) -> None:
    before = len(rig.launched())
    rig.controller.create_job("twenty", "linux", "sleep 1")
    rig.controller.build("twenty", 20)
    builds = rig.controller.finished("twenty", 20, seconds=200)
    assert {build["result"] for build in builds} == {"SUCCESS"}
    names = rig.launched()[before:]
    assert len(names) == 20, "an agent too many or too few"
    assert {build["builtOn"] for build in builds} == set(names)
    texts = rig.agent_texts()
    assert len(texts) == before + 20
    # Until its connection ends: an agent whose node is being removed knocks once more before it is told to stop.
    assert {text.partition("INFO: Terminated")[0].count(CONNECTED) for text in texts} == {1}
    assert rig.retries() == []
    assert rig.noted("launch-failures") == []
    rig.wait_until_nothing_is_left()


def test_two_label_expressions_over_one_policy_get_an_agent_a_build(rig: Rig) -> None:
    before = len(rig.launched())
    rig.controller.create_job("one", "linux", "sleep 1")
    rig.controller.create_job("both", "linux && docker", "sleep 1")
    rig.controller.build("one", 5)
    rig.controller.build("both", 5)
    builds = rig.controller.finished("one", 5) + rig.controller.finished("both", 5)
    assert {build["result"] for build in builds} == {"SUCCESS"}
    assert len(rig.launched()) - before == 10
    rig.wait_until_nothing_is_left()


def test_a_node_deleted_by_hand_ends_its_agent(rig: Rig) -> None:
    rig.controller.create_job("long", "linux", "sleep 600")
    rig.controller.build("long")
    wait_for("the build runs", lambda: [b for b in rig.controller.builds("long") if b["builtOn"]])
    name = rig.controller.builds("long")[0]["builtOn"]
    rig.controller.post(f"computer/{name}/doDelete")
    assert rig.controller.finished("long", 1)[0]["result"] in {"FAILURE", "ABORTED"}
    rig.wait_until_nothing_is_left()


def test_nothing_of_ours_is_in_the_home_outside_of_our_own_files(rig: Rig) -> None:
    rig.controller.script("jenkins.model.Jenkins.get().save(); jenkins.model.Jenkins.get().queue.save()")
    assert our_names_in(rig) == []
    assert rig.controller.lines("", "SEVERE") == []
