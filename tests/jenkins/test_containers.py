"""A real controller's builds in real containers of an image that has java and no agent."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.containers import BoxedStack
from tests.jenkins.conftest import new_rig
from tests.jenkins.controller import wait_for
from tests.jenkins.rig import LABEL, LIGHT, Rig, java
from tests.podman import IMAGE, TestEngine

pytestmark = [
    pytest.mark.jenkins,
    pytest.mark.component("jenkins"),
    pytest.mark.component("podman"),
    pytest.mark.timeout(300),
]
MEMORY_MIB = 384
POLICY = {"overrides": {"allow": ["image", "cpu", "memory"], "images": [IMAGE], "max_cpu": 2, "max_memory": "512Mi"}}
STEP = "hostname; cat /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null || cat /sys/fs/cgroup/memory.max; sleep 5"


@pytest.fixture(scope="module")
def rig(jenkins_root: Path, request: pytest.FixtureRequest, container_engine: TestEngine) -> Iterator[Rig]:
    rig = new_rig(jenkins_root, request)
    plain = rig.stack
    env = {"JENKINS_JAVA_BIN": java(), "JENKINS_JAVA_OPTS": LIGHT, "AGENTBROKER_DEV_RUN": plain.run_id}
    rig.stack = BoxedStack(
        root=plain.root,
        controller_url=plain.controller_url,
        pools={LABEL: {}},
        ports=plain.ports,
        run_id=plain.run_id,
        overrides=plain.overrides,
        address=container_engine.address,
        engine=container_engine,
        templates={LABEL: {"memory": f"{MEMORY_MIB}Mi", "env": env}},
    )
    try:
        rig.start()
        yield rig
    finally:
        rig.stop()
        for box in boxes(rig, container_engine):
            container_engine.remove(str(box["Id"]))


def boxes(rig: Rig, engine: TestEngine) -> list[dict[str, dict[str, object]]]:
    mark = f"AGENTBROKER_DEV_RUN={rig.stack.run_id}"
    return [told for told in engine.containers("managed-by=agentbroker") if mark in told["Config"]["Env"]]


def test_a_shell_step_prints_hostname_and_memory_limit_of_the_container_that_podman_lists(
    rig: Rig, container_engine: TestEngine
) -> None:
    rig.controller.create_job("boxed", LABEL, STEP)
    rig.controller.build("boxed", 2)

    def printed() -> list[set[str]]:
        texts = [rig.controller.console("boxed", build["number"]) for build in rig.controller.builds("boxed")]
        lines = [set(text.splitlines()) for text in texts if str(MEMORY_MIB << 20) in text]
        return lines if len(lines) == 2 else []

    consoles = wait_for("both steps have printed", printed, seconds=150)
    listed = boxes(rig, container_engine)
    assert len(listed) == 2
    for box in listed:
        expected = {str(box["Config"]["Hostname"]), str(box["HostConfig"]["Memory"])}
        assert any(expected <= lines for lines in consoles)
    builds = rig.controller.finished("boxed", 2)
    assert {build["result"] for build in builds} == {"SUCCESS"}
    assert {build["builtOn"] for build in builds} == {box["Config"]["Hostname"] for box in listed}
    wait_for("the containers are gone", lambda: not boxes(rig, container_engine), seconds=60)
    rig.wait_until_nothing_is_left()


def test_a_container_is_of_the_image_and_size_that_its_build_has_asked_for_and_the_rest_of_its_template(
    rig: Rig, container_engine: TestEngine
) -> None:
    label = f"{LABEL} && memory=448Mi && cpu=0.5 && image={IMAGE}"
    rig.controller.create_job("sized", label, STEP)
    rig.controller.build("sized")
    wait_for("it has printed", lambda: str(448 << 20) in console(rig, "sized"), seconds=150)
    (box,) = boxes(rig, container_engine)
    host = box["HostConfig"]
    assert (host["Memory"], host["NanoCpus"] or host["CpuQuota"]) in ((448 << 20, 500_000_000), (448 << 20, 50_000))
    assert str(box["Config"]["Image"]).endswith(IMAGE)
    assert any(str(entry).startswith("JENKINS_JAVA_BIN=") for entry in box["Config"]["Env"])  # type: ignore[attr-defined]
    rig.controller.finished("sized", 1)
    rig.wait_until_nothing_is_left()


def console(rig: Rig, job: str) -> str:
    """What the first build of a job has said; empty before there is one."""
    return rig.controller.console(job, 1) if rig.controller.builds(job) else ""


def test_no_process_shows_an_agent_s_secret(rig: Rig, container_engine: TestEngine) -> None:
    rig.controller.create_job("quiet", LABEL, "sleep 8; env")
    rig.controller.build("quiet")
    wait_for("the build runs", lambda: any(b["builtOn"] for b in rig.controller.builds("quiet")), seconds=150)
    (box,) = boxes(rig, container_engine)
    variables = dict(str(entry).partition("=")[::2] for entry in box["Config"]["Env"])  # type: ignore[attr-defined]
    secret = variables["JENKINS_SECRET"]
    shown = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    assert len(secret) == 64
    assert not [line for line in shown if secret.encode() in line]
    rig.controller.finished("quiet", 1)
    assert secret not in rig.controller.console("quiet", 1)
    rig.wait_until_nothing_is_left()


@pytest.fixture(autouse=True)
def _component(rig: Rig, record_component: Callable[[str, str], None]) -> None:
    record_component("jenkins", rig.controller.version())
