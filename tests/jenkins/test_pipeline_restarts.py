"""Pipelines that run while a real controller is restarted: they go on, on the agent that they had."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.jenkins.conftest import new_rig
from tests.jenkins.controller import wait_for
from tests.jenkins.pipelines import (
    console_of,
    create_pipeline,
    ended_console,
    needs_plugins,
    nodes_in,
    start_build,
    start_with_plugins,
)
from tests.jenkins.reuse import agent, set_policies, wait_until_gone
from tests.jenkins.rig import Rig, our_names_in
from tests.jenkins.test_restart import kill_and_start, safe_restart

pytestmark = [
    pytest.mark.jenkins,
    pytest.mark.component("jenkins"),
    pytest.mark.timeout(600),
    needs_plugins(),
]

# A step whose process outlives the controller; it says how often it was begun, and ends when the test says so.
WORK = """
echo x >> {begun}
i=0
while [ ! -e {go} ] && [ $i -lt 400 ]; do sleep 1; i=$((i + 1)); done
"""
STEP = """
node("linux") {{
    sh "sh {work}"
    sh "echo a step later"
}}
"""
SLEEP = """
node("thrice") {
    sh "echo kept > file"
    sleep 45
    sh "cat file"
}
"""


@pytest.fixture(scope="module")
def rig(jenkins_root: Path, request: pytest.FixtureRequest) -> Iterator[Rig]:
    """Policy `linux` has one build an agent, `thrice` three."""
    rig = new_rig(jenkins_root, request)
    set_policies(rig, {"thrice": {"retention": {"max_uses": 3, "idle_timeout": "10m"}}})
    try:
        start_with_plugins(rig)
        yield rig
    finally:
        rig.stop()


def begin(rig: Rig, job: str, script: str, sign: Callable[[], bool]) -> str:
    """The agent of a new pipeline, once it does what its sign tells of."""
    create_pipeline(rig.controller, job, script)
    start_build(rig.controller, job)
    wait_for(f"{job} is at work", sign)
    [name] = nodes_in(console_of(rig.controller, job))
    wait_for("the broker knows of it", lambda: agent(rig, name)["uses"] == 1, seconds=20)
    return name


@pytest.mark.parametrize("restart", [kill_and_start, safe_restart])
def test_pipelines_go_on_after_a_restart_on_the_agent_that_they_had(rig: Rig, restart: Callable[[Rig], None]) -> None:
    how = restart.__name__
    launched = len(rig.launched())
    begun, go = rig.root / f"begun-{how}", rig.root / f"go-{how}"
    work = rig.root / f"work-{how}.sh"
    work.write_text(WORK.format(begun=begun, go=go))
    step = begin(rig, f"step-{how}", STEP.format(work=work), begun.exists)
    sleeping = lambda: "Sleeping for" in console_of(rig.controller, f"sleep-{how}")  # noqa: E731
    sleep = begin(rig, f"sleep-{how}", SLEEP, sleeping)
    began = time.monotonic()
    restart(rig)
    assert time.monotonic() - began < 120, "pipelines do not hold up a restart"
    wait_for("the agents are back", lambda: all(rig.noted("online").count(name) == 2 for name in (step, sleep)), 90)
    go.touch()
    for job, name, last in ((f"step-{how}", step, "a step later"), (f"sleep-{how}", sleep, "kept")):
        [build] = rig.controller.finished(job, 1, seconds=150)
        console = ended_console(rig.controller, job)
        assert build["result"] == "SUCCESS", console
        assert nodes_in(console) == [name]
        assert console.count(f"\n{last}\n") == 1, console
    assert begun.read_text() == "x\n", "the step was begun again"
    row = wait_until_gone(rig, step)
    assert (row["reason"], row["uses"], row["outcome"]) == ("Completed", 1, "succeeded")
    assert sorted(rig.launched()[launched:]) == sorted([step, sleep])
    serves_two_more(rig, how, sleep)
    rig.wait_until_nothing_is_left()
    assert len(rig.launched()) == launched + 2
    assert our_names_in(rig) == []


def serves_two_more(rig: Rig, how: str, name: str) -> None:
    """An agent for three builds has counted one, though it went on in another life of the controller."""
    assert (agent(rig, name)["phase"], agent(rig, name)["uses"]) == ("online", 1)
    for number in (2, 3):
        job = f"more-{how}-{number}"
        rig.controller.create_job(job, "thrice")
        rig.controller.build(job)
        assert rig.controller.finished(job, 1)[0]["builtOn"] == name
    row = wait_until_gone(rig, name)
    assert (row["reason"], row["uses"]) == ("Completed", 3)
