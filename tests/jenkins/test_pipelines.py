"""Pipelines on a real controller with their plugins: agents for blocks and branches, their loss, their cancellation."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from broker.demo.leftovers import marked_processes
from tests.jenkins.conftest import new_rig
from tests.jenkins.controller import wait_for
from tests.jenkins.pipelines import (
    abort,
    console_of,
    create_matrix,
    create_pipeline,
    ended_console,
    needs_matrix,
    needs_plugins,
    nodes_in,
    start_build,
    start_with_plugins,
)
from tests.jenkins.reuse import set_policies, wait_until_gone
from tests.jenkins.rig import Rig, our_names_in

pytestmark = [
    pytest.mark.jenkins,
    pytest.mark.component("jenkins"),
    pytest.mark.timeout(420),
    needs_plugins(),
]

NARROW = {"limits": {"agents": 1}, "timeouts": {"queue": "6s", "launch": "5s", "on_timeout": "fail"}}
STAGES = """
node("linux") {
    stage("build") { sh "echo kept > file" }
    stage("test") { sh "cat file" }
    stage("publish") { echo readFile("file") }
}
"""
TWO_BLOCKS = """
stage("build") { node("linux") { sh "true" } }
stage("test") { node("linux") { sh "true" } }
"""
BRANCHES = """
parallel one: { node("linux") { sleep 6 } }, two: { node("docker") { sleep 6 } }, three: { node("linux") { sleep 6 } }
"""
# The first try waits to lose its agent, the second one finds what the first has left.
TWICE = """
retry(count: 2, conditions: [agent(), nonresumable()]) {{
    node("linux") {{
        sh "if [ -e {flag} ]; then echo the second; else touch {flag}; sleep 600; fi"
    }}
}}
"""

# As the red cross does, and until its node is gone: milliseconds.
ABORT = """
def jenkins = jenkins.model.Jenkins.get()
long from = System.nanoTime()
jenkins.getItem('{job}').getBuildByNumber(1).doStop()
while (jenkins.getNode('{node}') != null) {{ Thread.sleep(5) }}
print((System.nanoTime() - from).intdiv(1_000_000))
"""


@pytest.fixture(scope="module")
def rig(jenkins_root: Path, request: pytest.FixtureRequest) -> Iterator[Rig]:
    """Policy `linux` has one build an agent; `narrow` has room for one, and builds for it may wait for some seconds."""
    rig = new_rig(jenkins_root, request)
    set_policies(rig, {"narrow": {}}, {"narrow": NARROW})
    try:
        start_with_plugins(rig)
        yield rig
    finally:
        rig.stop()


def run(rig: Rig, job: str, script: str) -> list[str]:
    """The agents that a pipeline had until it succeeded, in their order."""
    create_pipeline(rig.controller, job, script)
    start_build(rig.controller, job)
    [build] = rig.controller.finished(job, 1)
    console = ended_console(rig.controller, job)
    assert build["result"] == "SUCCESS", console
    return nodes_in(console)


def assert_one_use_each(rig: Rig, names: list[str]) -> None:
    for name in names:
        row = wait_until_gone(rig, name)
        assert (row["reason"], row["uses"], row["outcome"]) == ("Completed", 1, "succeeded")
    rig.wait_until_nothing_is_left()


def running_on(rig: Rig, job: str) -> str:
    """The agent of a pipeline, once it has one."""
    return wait_for(f"{job} runs", lambda: nodes_in(console_of(rig.controller, job)))[0]


def test_the_stages_of_one_block_share_an_agent(rig: Rig) -> None:
    before = len(rig.launched())
    names = run(rig, "stages", STAGES)
    assert rig.launched()[before:] == names
    assert len(names) == 1
    assert_one_use_each(rig, names)


def test_two_blocks_after_one_another_have_an_agent_each_where_one_runs_one_build(rig: Rig) -> None:
    before = len(rig.launched())
    names = run(rig, "two-blocks", TWO_BLOCKS)
    assert rig.launched()[before:] == names
    assert len(set(names)) == 2
    assert_one_use_each(rig, names)


def test_parallel_branches_have_an_agent_each(rig: Rig) -> None:
    before = len(rig.launched())
    names = run(rig, "branches", BRANCHES)
    assert sorted(rig.launched()[before:]) == sorted(names)
    assert len(set(names)) == 3
    assert_one_use_each(rig, names)


def test_a_block_whose_agent_dies_is_cancelled_soon_and_retried_on_another(rig: Rig) -> None:
    before = len(rig.launched())
    flag = rig.root / "died"
    create_pipeline(rig.controller, "dies", TWICE.format(flag=flag))
    start_build(rig.controller, "dies")
    wait_for("its step runs", flag.exists)
    first = running_on(rig, "dies")
    began = time.monotonic()
    kill_agent(rig, first)
    [build] = rig.controller.finished("dies", 1)
    assert time.monotonic() - began < 60, "Jenkins itself waits for 5 min"
    console = ended_console(rig.controller, "dies")
    assert build["result"] == "SUCCESS", console
    assert "Retrying" in console  # at the channel's end, before anybody knows why it ended
    [_, second] = nodes_in(console)
    assert rig.launched()[before:] == [first, second]
    assert wait_until_gone(rig, first)["reason"] in {"AgentLost", "Completed"}  # which of the two sides saw it first
    assert_one_use_each(rig, [second])


def kill_agent(rig: Rig, name: str) -> None:
    """As the kernel does when memory is short; the wrapper around it is spared, for it has to tell."""
    found = [pid for pid in marked_processes(rig.stack.search.marker) if is_jvm_of(pid, name)]
    assert len(found) == 1
    os.kill(found[0], signal.SIGKILL)


def is_jvm_of(pid: int, name: str) -> bool:
    process = Path(f"/proc/{pid}")
    try:
        arguments = process.joinpath("cmdline").read_bytes().split(b"\0")
        return process.joinpath("comm").read_text() == "java\n" and name.encode() in arguments
    except FileNotFoundError:
        return False


def test_a_waiting_pipeline_that_is_aborted_gives_its_agent_back_within_a_second(rig: Rig) -> None:
    rig.slow.touch()
    try:
        create_pipeline(rig.controller, "impatient", 'node("linux") { echo "never" }')
        start_build(rig.controller, "impatient")
        [name] = wait_for("there is a node", rig.controller.nodes, every=0.05)
        wait_for("it is started", lambda: name in rig.launched())
        took = int(rig.controller.script(ABORT.format(job="impatient", node=name)))
        print(f"released after {took} ms")
        assert took < 1000
    finally:
        rig.slow.unlink()
    assert rig.controller.finished("impatient", 1)[0]["result"] == "ABORTED"
    assert wait_until_gone(rig, name)["reason"] == "Cancelled"
    rig.wait_until_nothing_is_left()


def test_a_running_pipeline_that_is_aborted_ends_and_so_does_its_agent(rig: Rig) -> None:
    create_pipeline(rig.controller, "aborted", 'node("linux") { sh "echo begun; sleep 600" }')
    start_build(rig.controller, "aborted")
    wait_for("its step runs", lambda: "\nbegun" in console_of(rig.controller, "aborted"))
    name = running_on(rig, "aborted")
    abort(rig.controller, "aborted")
    assert rig.controller.finished("aborted", 1, seconds=30)[0]["result"] == "ABORTED"
    assert "ends:" not in ended_console(rig.controller, "aborted"), "its agent was no reason"
    assert_one_use_each(rig, [name])


def test_a_pipeline_that_may_wait_no_longer_ends_with_the_reason_in_its_log(rig: Rig) -> None:
    create_pipeline(rig.controller, "holds", 'node("narrow") { sleep 600 }')
    start_build(rig.controller, "holds")
    name = running_on(rig, "holds")
    create_pipeline(rig.controller, "overdue", 'node("narrow") { echo "never" }')
    start_build(rig.controller, "overdue")
    [build] = rig.controller.finished("overdue", 1)
    assert build["result"] in {"ABORTED", "FAILURE"}
    ours = [line for line in ended_console(rig.controller, "overdue").splitlines() if line.startswith("[agentbroker]")]
    assert "the build is cancelled: QueueTimeout: " in ours[-1], ours
    abort(rig.controller, "holds")
    rig.controller.finished("holds", 1)
    assert rig.controller.queue() == 0
    assert_one_use_each(rig, [name])


@needs_matrix()
def test_each_configuration_of_a_multi_configuration_job_has_an_agent(rig: Rig) -> None:
    before = len(rig.launched())
    create_matrix(rig.controller, "matrix", "linux")
    start_build(rig.controller, "matrix")
    [build] = rig.controller.finished("matrix", 1)
    assert (build["result"], build["builtOn"]) == ("SUCCESS", ""), "the job itself is a light task of the controller"
    runs = rig.controller.get("job/matrix/1/api/json?tree=runs[number,result,builtOn]")["runs"]
    assert [run["result"] for run in runs] == ["SUCCESS"] * 3
    names = [run["builtOn"] for run in runs]
    assert sorted(rig.launched()[before:]) == sorted(names)
    assert len(set(names)) == 3
    assert_one_use_each(rig, names)


def test_nothing_of_ours_is_in_what_jenkins_has_saved_of_pipelines(rig: Rig) -> None:
    assert our_names_in(rig) == []
    assert rig.controller.lines("agentbroker", "WARNING", "SEVERE") == []
    assert rig.controller.lines("", "SEVERE") == []
