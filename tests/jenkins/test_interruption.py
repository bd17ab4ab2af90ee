"""An agent whose instance the cloud takes back: the builds on it say why, and a pipeline's retry runs them again."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.jenkins.conftest import new_rig
from tests.jenkins.controller import wait_for
from tests.jenkins.interrupting_broker import MODULE, WORDS, interrupt
from tests.jenkins.pipelines import create_pipeline, install_plugins, needs_plugins, start_build
from tests.jenkins.reuse import a_node, agent, runs_on, wait_until_gone
from tests.jenkins.rig import Rig

pytestmark = [pytest.mark.jenkins, pytest.mark.component("jenkins"), pytest.mark.timeout(420)]

# The first try waits to be interrupted, the second one finds what the first has left.
TWICE = """
retry(count: 2, conditions: [agent(), nonresumable()]) {{
    node("linux") {{
        sh "if [ -e {flag} ]; then echo second; else touch {flag}; sleep 600; fi"
    }}
}}
"""


@pytest.fixture(scope="module")
def rig(jenkins_root: Path, request: pytest.FixtureRequest) -> Iterator[Rig]:
    """With a cloud that takes back what it is told to, and with the pipeline plugins where there are any."""
    rig = new_rig(jenkins_root, request)
    rig.stack.broker_module = MODULE
    if "JENKINS_PLUGINS" in os.environ:
        install_plugins(rig.controller)
    try:
        rig.start()
        yield rig
    finally:
        rig.stop()


def test_a_freestyle_build_says_why_its_agent_was_taken_back(rig: Rig) -> None:
    name = a_node(rig, "cut", "linux", "sleep 600")
    assert runs_on(rig, "cut") == name
    interrupt(rig.root, name, after_s=20)
    assert rig.controller.finished("cut", 1)[0]["result"] in {"FAILURE", "ABORTED"}
    assert f"[agentbroker] {name} ends: SpotInterrupted: {WORDS}" in rig.controller.console("cut", 1)
    row = wait_until_gone(rig, name)
    assert (row["reason"], row["outcome"]) == ("SpotInterrupted", "failed")
    rig.wait_until_nothing_is_left()


def test_a_build_that_ends_in_time_is_not_cut(rig: Rig) -> None:
    name = a_node(rig, "in-time", "linux", "sleep 8")
    assert runs_on(rig, "in-time") == name
    interrupt(rig.root, name, after_s=60)
    assert rig.controller.finished("in-time", 1)[0]["result"] == "SUCCESS"
    assert wait_until_gone(rig, name)["outcome"] == "succeeded"
    rig.wait_until_nothing_is_left()


def the_agent_of_a_pipeline(rig: Rig, job: str) -> str:
    """The node on which its `sh` has begun."""
    flag = rig.root / f"{job}.flag"
    create_pipeline(rig.controller, job, TWICE.format(flag=flag))
    known = set(rig.controller.nodes())
    start_build(rig.controller, job)
    wait_for("its step runs", flag.exists, seconds=120)
    [name] = set(rig.controller.nodes()) - known
    return name


def runs_again(rig: Rig, job: str, first: str) -> str:
    """The log of a build that ran again, on another agent, and at once: Jenkins did not wait 5 min for the first."""
    begun = time.monotonic()
    assert rig.controller.finished(job, 1, seconds=150)[0]["result"] == "SUCCESS"
    assert time.monotonic() - begun < 150
    console = rig.controller.console(job, 1)
    assert "Retrying" in console
    assert "second" in console
    nodes = [line.split()[2] for line in console.splitlines() if line.startswith("Running on ")]
    assert nodes[0] == first
    assert len(set(nodes)) == 2
    return console


@needs_plugins()
def test_retry_with_the_condition_agent_runs_an_interrupted_block_again(rig: Rig) -> None:
    name = the_agent_of_a_pipeline(rig, "spot")
    interrupt(rig.root, name, after_s=20)
    console = runs_again(rig, "spot", name)
    assert f"[agentbroker] {name} ends: SpotInterrupted: {WORDS}" in console
    assert agent(rig, name)["reason"] == "SpotInterrupted"
    rig.wait_until_nothing_is_left()


@needs_plugins()
def test_retry_with_the_condition_agent_runs_a_block_again_whose_node_was_deleted(rig: Rig) -> None:
    name = the_agent_of_a_pipeline(rig, "deleted")
    rig.controller.post(f"computer/{name}/doDelete")
    console = runs_again(rig, "deleted", name)
    assert f"[agentbroker] {name} ends: its node was deleted in Jenkins" in console
    assert wait_until_gone(rig, name)["reason"] == "Cancelled"
    rig.wait_until_nothing_is_left()
