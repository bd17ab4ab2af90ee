"""A real controller's builds on virtual machines of the fake of Alibaba Cloud: Java over SSH, with the real agent."""

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from broker.demo.clouds.vms.files import hostname_of
from broker.demo.clouds.vms.spec import Image
from tests.e2e.hosts import Cloud, HostStack, a_cloud, alibaba_backend, alibaba_pool
from tests.jenkins.conftest import new_rig
from tests.jenkins.controller import wait_for
from tests.jenkins.rig import LABEL, LIGHT, Rig, java

pytestmark = [
    pytest.mark.jenkins,
    pytest.mark.agentjar,
    pytest.mark.component("jenkins"),
    pytest.mark.timeout(300),
]

MARKER: Final = "/var/lib/ci-marker"
GOOD: Final = f'#!/bin/sh\necho unpacking tools\nsleep 5\necho "prepared $(hostname)" >{MARKER}\n'
BAD: Final = "#!/bin/sh\necho fetching tools\necho 'tools.example.org: no such host' >&2\nexit 3\n"
HOST: Final = r"h-[0-9a-f]{12}"


@pytest.fixture(scope="module")
def cloud(own_network: None) -> Iterator[Cloud]:
    with tempfile.TemporaryDirectory(prefix="agentbroker-vms-") as folder, a_cloud(Path(folder), Image()) as cloud:
        yield cloud


@pytest.fixture(scope="module")
def rig(jenkins_root: Path, request: pytest.FixtureRequest, cloud: Cloud) -> Iterator[Rig]:
    """Pool `linux` gets its hosts ready, pool `broken` does not."""
    rig = new_rig(jenkins_root, request)
    plain = rig.stack
    rig.stack = HostStack(
        root=plain.root,
        controller_url=plain.controller_url,
        pools={
            name: alibaba_pool(
                plain.root,
                init={"script": script.replace("$", "$$")},
                runner={"java": java(), "java_opts": LIGHT.split()},
            )
            for name, script in ((LABEL, GOOD), ("broken", BAD))
        },
        ports=plain.ports,
        run_id=plain.run_id,
        overrides={"retry": {"attempts": 2, "backoff": "1s..1s"}},
        address=cloud.address,
        backend=alibaba_backend(cloud),
        template={},
    )
    try:
        rig.start()
        yield rig
    finally:
        rig.stop()


@pytest.fixture(autouse=True)
def _nothing_is_left(rig: Rig, cloud: Cloud) -> Iterator[None]:
    yield
    rig.wait_until_nothing_is_left()
    wait_for("no machine is left", lambda: not cloud.instances())


def node_of(rig: Rig, job: str, label: str, command: str = "true") -> str:
    """The node that a job's first build waits for."""
    known = set(rig.controller.nodes())
    rig.controller.create_job(job, label, command)
    rig.controller.build(job)
    return str(wait_for("there is a node", lambda: set(rig.controller.nodes()) - known, every=0.05).pop())


def test_a_build_runs_on_a_machine_whose_init_script_has_run_and_its_wait_is_told(rig: Rig, cloud: Cloud) -> None:
    name = node_of(rig, "on-a-host", LABEL, f"hostname\ncat {MARKER}\nsleep 5")
    preparing = re.compile(rf"host {HOST} is being prepared: init script")
    wait_for("its preparation is told", lambda: preparing.search(rig.controller.node_log(name)))
    wait_for("the build runs", lambda: any(build["builtOn"] for build in rig.controller.builds("on-a-host")), 90)
    [vm] = cloud.machines()
    (build,) = rig.controller.finished("on-a-host", 1)
    console = rig.controller.console("on-a-host", 1)
    assert build["result"] == "SUCCESS", console
    assert build["builtOn"] == name
    hostname = hostname_of(vm.spec)
    assert {hostname, f"prepared {hostname}"} <= set(console.splitlines())


def test_an_init_script_that_fails_is_told_with_its_exit_code_and_its_last_lines(rig: Rig) -> None:
    name = node_of(rig, "unprepared", "broken")
    found = wait_for(
        "its end is told", lambda: re.search(r"SetupFailed: (.*)", rig.controller.node_log(name)), seconds=90
    )
    assert found is not None
    log = rig.controller.node_log(name)
    assert "the init script ended with code 3 (see pools.broken.init)" in found[1], log
    assert "fetching tools\n" in log
    assert "tools.example.org: no such host\n" in log
    rig.controller.script("jenkins.model.Jenkins.get().queue.clear()")
