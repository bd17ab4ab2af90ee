"""A real controller's builds in tasks of Amazon ECS that are real containers with the real agent.

The ECS is ministack, which others wrote (what it leaves aside: tests/integration/clouds/test_ministack.py).
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.tasks import STEP, TASK_ARN, TaskStack
from tests.emulators import ministack_server, version_of
from tests.jenkins.conftest import new_rig
from tests.jenkins.controller import wait_for
from tests.jenkins.rig import LABEL, LIGHT, Rig, java
from tests.podman import TestEngine

pytestmark = [
    pytest.mark.jenkins,
    pytest.mark.agentjar,
    pytest.mark.component("jenkins"),
    pytest.mark.component("podman"),
    pytest.mark.component("ministack"),
    pytest.mark.timeout(300),
]


@pytest.fixture(scope="module")
def rig(
    jenkins_root: Path,
    request: pytest.FixtureRequest,
    container_engine: TestEngine,
    record_component: Callable[[str, str], None],
) -> Iterator[Rig]:
    record_component("ministack", version_of("ministack"))
    rig = new_rig(jenkins_root, request)
    plain, jar = rig.stack, Path(os.environ["AGENT_JAR"])
    home = Path(java()).resolve().parents[1]
    with ministack_server(rig.root, container_engine.address) as ecs, container_engine.bridge() as address:
        rig.stack = TaskStack(
            root=plain.root,
            controller_url=plain.controller_url,
            pools={LABEL: {}},
            ports=plain.ports,
            run_id=plain.run_id,
            overrides=plain.overrides,
            engine=container_engine,
            ecs=ecs,
            address=address,
            env={"JENKINS_JAVA_BIN": f"{home}/bin/java", "JENKINS_JAVA_OPTS": LIGHT, "JENKINS_AGENT_FILE": str(jar)},
            shown=(jar.parent, *([] if home.is_relative_to("/usr") else [home])),
        )
        try:
            rig.start()
            yield rig
        finally:
            rig.stop()
            for box in boxes(rig, container_engine):
                container_engine.remove(box["Id"])


def boxes(rig: Rig, engine: TestEngine) -> list[dict[str, Any]]:
    """The containers of this run's tasks."""
    mark = f"AGENTBROKER_DEV_RUN={rig.stack.run_id}"
    return [told for told in engine.containers(TASK_ARN) if mark in told["Config"]["Env"]]


def test_a_shell_step_prints_hostname_and_cgroup_of_the_container_of_its_task(
    rig: Rig, container_engine: TestEngine
) -> None:
    rig.controller.create_job("in-a-task", LABEL, f"{STEP}\nsleep 5")
    rig.controller.build("in-a-task")

    def console() -> str:
        return rig.controller.console("in-a-task", 1) if rig.controller.builds("in-a-task") else ""

    wait_for("the step has printed", lambda: "libpod" in console(), seconds=150)
    (box,) = boxes(rig, container_engine)
    assert {str(box["Config"]["Hostname"])} <= set(console().splitlines())
    assert f"/libpod-{box['Id']}" in console()
    (build,) = rig.controller.finished("in-a-task", 1)
    assert build["result"] == "SUCCESS"
    wait_for("the container is gone", lambda: not boxes(rig, container_engine), seconds=60)
    rig.wait_until_nothing_is_left()


@pytest.fixture(autouse=True)
def _component(rig: Rig, record_component: Callable[[str, str], None]) -> None:
    record_component("jenkins", rig.controller.version())
