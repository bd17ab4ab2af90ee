"""A real controller's builds on tasks of Amazon ECS, the strict fake's: processes with the real agent."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from broker.demo.clouds.stack import CloudStack
from tests.jenkins.conftest import new_rig
from tests.jenkins.controller import wait_for
from tests.jenkins.pipelines import create_pipeline, needs_plugins, start_build, start_with_plugins
from tests.jenkins.rig import LABEL, Rig, java
from tests.jenkins.test_build_log import line, log_of, ours

pytestmark = [
    pytest.mark.jenkins,
    pytest.mark.component("jenkins"),
    pytest.mark.timeout(300),
    needs_plugins(),
]

POLICY = {"labels": [LABEL], "retry": {"attempts": 3, "backoff": "1s..1s"}}
NODE = 'node("%s") { sh "echo task is $ECS_TASK_ARN" }'
TASK = r"arn:aws:ecs:eu-west-1:111122223333:task/ci/[0-9a-f]{32}"


@pytest.fixture(scope="module")
def rig(jenkins_root: Path, request: pytest.FixtureRequest) -> Iterator[Rig]:
    rig = new_rig(jenkins_root, request)
    plain = rig.stack
    rig.stack = CloudStack(
        root=plain.root,
        controller_url=plain.controller_url,
        pools={LABEL: {}},
        ports=plain.ports,
        run_id=plain.run_id,
        overrides=plain.overrides,
        java=str(rig.light_java(java(), "java")),
    )
    try:
        start_with_plugins(rig)
        yield rig
        cloud(rig).check()
    finally:
        rig.stop()


@pytest.fixture(autouse=True)
def _as_before(rig: Rig) -> Iterator[None]:
    yield
    cloud(rig).control.ask("capacity")
    wait_for("no task is left", lambda: cloud(rig).tasks_left() == 0)


def cloud(rig: Rig) -> CloudStack:
    return cast(CloudStack, rig.stack)


def build(rig: Rig, job: str) -> None:
    create_pipeline(rig.controller, job, NODE % LABEL)
    start_build(rig.controller, job)


def succeeded(rig: Rig, job: str) -> str:
    """The log of a job's first build, which has ended well."""
    (ended,) = rig.controller.finished(job, 1)
    assert ended["result"] == "SUCCESS", log_of(rig, job)
    return log_of(rig, job)


def test_a_build_runs_in_a_task_and_its_log_names_the_pool_and_the_task(rig: Rig) -> None:
    build(rig, "plain")
    name = line(rig, "plain", rf"^({LABEL}-\w+): {LABEL} -> policy {LABEL}")[1]
    line(rig, "plain", rf"^{LABEL}-spot \(eu-west-1\w\): launching \(attempt 1 of 3\)")
    wait_for("it has a task", lambda: cloud(rig).tasks_left() == 1)
    (task,) = cloud(rig).control.ask("state")["tasks"]
    log = succeeded(rig, "plain")
    assert re.fullmatch(TASK, task["arn"])
    assert f"{LABEL}-spot: booting: {task['arn']}" in ours(rig, "plain")
    assert f"task is {task['arn']}" in log
    assert task["capacity"] == "FARGATE_SPOT"
    assert task["tags"]["agentbroker:agent"] == name
    assert (task["tags"]["agentbroker:job"], task["tags"]["agentbroker:pool"]) == ("plain", f"{LABEL}-spot")


def test_a_task_whose_image_cannot_be_had_is_told_in_the_cloud_s_words(rig: Rig) -> None:
    cloud(rig).control.ask("unpullable", image="jenkins/inbound-agent:latest")
    build(rig, "no-image")
    told = line(rig, "no-image", rf"^{LABEL}-spot.*: ImagePullFailed: (.*)$")[1]
    assert "CannotPullContainerError" in told
    assert "jenkins/inbound-agent:latest: not found" in told
    line(rig, "no-image", r"^  hint: \w")
    succeeded(rig, "no-image")


def test_without_spot_capacity_a_build_is_told_so_and_runs_on_demand(rig: Rig) -> None:
    cloud(rig).control.ask("capacity", closed="FARGATE_SPOT")
    build(rig, "no-spot")
    line(rig, "no-spot", rf"^{LABEL}-spot.*: SpotUnavailable: .*[Cc]apacity is unavailable")
    line(rig, "no-spot", rf"^{LABEL}( .*)?: launching")
    log = succeeded(rig, "no-spot")
    assert re.search(TASK, log)
    assert any(text.startswith("online after") for text in ours(rig, "no-spot"))
