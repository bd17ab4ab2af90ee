"""The whole way to a build on a machine of a cloud: the vendor's SDK, the strict fake, a real sshd, podman or Java.

Nothing of the broker's is stubbed. Of the machine `java` is a program that runs the simulated agent with the options of
agent.jar, in containers and outside of them; with Java and agent.jar themselves the same is done where they are given.
"""

import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from broker.demo.clouds.vms.agents import MARKER
from broker.demo.clouds.vms.files import hostname_of
from broker.demo.leftovers import marked_processes
from tests.e2e.hosts import (
    Cloud,
    HostWorld,
    a_cloud,
    alibaba_backend,
    alibaba_pool,
    host_pool,
    image_for,
    some_machines,
)
from tests.e2e.world import until
from tests.podman import INBOUND_IMAGE

pytestmark = [pytest.mark.component("podman"), pytest.mark.timeout(240)]
Start = Callable[..., tuple[HostWorld, Cloud]]


@pytest.fixture
def start(tmp_path: Path, own_network: None, record_component: Callable[[str, str], None]) -> Iterator[Start]:
    """Starts a cloud and a broker with one pool `box`; afterwards nothing of them is there."""
    told = subprocess.run(["podman", "--version"], capture_output=True, text=True, check=True).stdout
    record_component("podman", told.split()[-1])
    with tempfile.TemporaryDirectory(prefix="agentbroker-vms-") as directory:
        short, markers = Path(directory), list[str]()
        with ExitStack() as stack:

            def started(*, template: dict[str, object], **pool: object) -> tuple[HostWorld, Cloud]:
                root = tmp_path / "run"
                root.mkdir()
                cloud = stack.enter_context(a_cloud(short, image_for(root / "told")))
                world = HostWorld(
                    root,
                    {"box": alibaba_pool(root, **pool)},
                    address=cloud.address,
                    backend=alibaba_backend(cloud),
                    template=template,
                )
                markers.append(world.stack.search.marker)
                stack.callback(world.stop)
                world.start()
                return world, cloud

            yield started
        assert list(short.iterdir()) == []
        assert [pid for marker in markers for pid in marked_processes(marker)] == []
    assert directory not in Path("/proc/self/mounts").read_text()
    links = subprocess.run(["ip", "-brief", "link"], capture_output=True, text=True, check=True).stdout
    assert [line.split()[0] for line in links.splitlines() if "veth" in line or line.startswith("ab")] == []


def nothing_is_left(world: HostWorld, cloud: Cloud) -> None:
    """Waits for the idle host's end: no instance, machine, host or node."""
    until(lambda: not cloud.instances() and not cloud.machines() and not world.hosts() and not world.nodes())


def test_two_builds_run_in_containers_of_one_machine_which_is_gone_afterwards(start: Start) -> None:
    world, cloud = start(template={"image": INBOUND_IMAGE, "inject": "env"})
    world.controller.queue(2, label="box", seconds=4)
    until(lambda: len(world.printed()) == 2, seconds=90)
    [vm] = cloud.machines()
    boxes = cloud.run(vm, "podman ps --format '{{.Names}} {{.Image}}'").splitlines()
    agents = sorted(build.node for build in world.controller.builds())
    assert sorted(line.split()[0].rsplit("-", 2)[0] for line in boxes) == agents
    assert all(line.endswith(INBOUND_IMAGE) for line in boxes)
    assert sorted(lines[0] for lines in world.printed()) == agents, "each container has its agent's name"
    assert cloud.run(vm, f"cat {MARKER}; hostname").split() == [vm.spec.hostname] * 2
    assert not Path(MARKER).exists(), "the init script has run on the machine, and nowhere else"
    until(lambda: all(world.results()))
    assert world.results() == ["SUCCESS"] * 2
    nothing_is_left(world, cloud)
    assert len(world.stack.launched()) == 2
    assert cloud.fake.ledger.count("RunInstances", code="") == 1


def test_two_builds_run_as_processes_of_one_machine_and_leave_nothing_there(start: Start) -> None:
    world, cloud = start(template={"remote_fs": "work"}, host={"idle_timeout": "8s"})
    world.controller.queue(2, label="box", seconds=4)
    until(lambda: len(world.printed()) == 2, seconds=90)
    [vm] = cloud.machines()
    assert {lines[0] for lines in world.printed()} == {vm.spec.hostname}
    until(lambda: all(world.results()))
    assert world.results() == ["SUCCESS"] * 2
    until(lambda: not world.nodes())
    left = "ls -A /root/agentbroker/*/agents; pgrep -f '[b]oxed_agent' || true"
    until(lambda: cloud.run(vm, left).split() == [], seconds=20)
    nothing_is_left(world, cloud)
    assert len(world.stack.launched()) == 2
    assert cloud.fake.ledger.count("RunInstances", code="") == 1


def test_a_broker_that_is_killed_finds_its_hosts_and_agents_again(start: Start) -> None:
    slow = "#!/bin/sh\nsleep 6\n"
    world, cloud = start(template={"remote_fs": "work"}, init={"script": slow})
    world.controller.queue(2, label="box", seconds=12)
    until(lambda: any(host["phase"] == "preparing" for host in world.hosts()), seconds=90)
    kill_and_start(world)
    until(lambda: len(world.printed()) == 2, seconds=90)
    kill_and_start(world)
    until(lambda: all(world.results()), seconds=90)
    assert world.results() == ["SUCCESS"] * 2
    nothing_is_left(world, cloud)
    assert len(world.stack.launched()) == 2
    assert cloud.fake.ledger.count("RunInstances", code="") == 1


def kill_and_start(world: HostWorld) -> None:
    """kill -9 of the broker; the next one is ready."""
    assert world.stack.broker is not None
    world.stack.broker.kill()
    world.stack.start_broker()


def test_a_build_runs_on_a_machine_that_only_cloud_assistant_reaches(start: Start) -> None:
    world, cloud = start(template={"remote_fs": "work"}, start_by="cloud-assistant")
    world.controller.queue(1, label="box", seconds=2)
    until(lambda: len(world.printed()) == 1, seconds=120)
    [vm] = cloud.machines()
    assert world.printed()[0][0] == vm.spec.hostname
    assert cloud.run(vm, f"cat {MARKER}").strip() == vm.spec.hostname
    assert not any("Accepted publickey" in line for line in vm.log), "nobody has logged in"
    until(lambda: world.results() == ["SUCCESS"], seconds=90)
    nothing_is_left(world, cloud)
    assert len(world.stack.launched()) == 1


def test_two_builds_run_on_two_machines_of_a_list_and_leave_them_as_they_were(
    tmp_path: Path, own_network: None
) -> None:
    root = tmp_path / "run"
    (root / "told").mkdir(parents=True)
    with some_machines(image_for(root / "told"), 2) as (address, machines):
        hosts = {f"rack{n}": {"address": vm.address, "slots": 1} for n, vm in enumerate(machines)}
        pool = {**host_pool(root), "hosts": hosts}
        template = {"remote_fs": "work"}
        world = HostWorld(root, {"box": pool}, address=address, backend={"type": "ssh-hosts"}, template=template)
        try:
            world.start()
            world.controller.queue(2, label="box", seconds=4)
            until(lambda: len(world.printed()) == 2, seconds=90)
            assert {lines[0] for lines in world.printed()} == {hostname_of(vm.spec) for vm in machines}
            until(lambda: all(world.results()))
            assert world.results() == ["SUCCESS"] * 2
            until(lambda: not world.nodes() and not world.hosts())
            for vm in machines:
                assert vm.path(MARKER).exists()
                assert [name for _, name in vm.processes() if name.startswith("python")] == []
                assert list(vm.path("/root/agentbroker").glob("*/agents/*")) == []
            assert len(world.stack.launched()) == 2
        finally:
            world.stop()


def test_an_agents_log_tells_what_its_host_does(start: Start) -> None:
    slow = "#!/bin/sh\nfor n in $$(seq 24); do echo step $$n of 24; sleep 0.5; done\n"  # it is told every five seconds
    world, cloud = start(template={"remote_fs": "work"}, init={"script": slow})
    world.controller.queue(1, label="box", seconds=0.2)
    until(lambda: world.results() == ["SUCCESS"], seconds=90)
    [agent] = {name.split()[0] for name in world.stack.launched()}
    told = [str(step["message"]) for step in world.timeline(agent)]
    assert any(words.endswith(("is asked for", "is being made")) for words in told), told
    assert any("is being prepared: init script" in words and "of 24" in words for words in told), told
    nothing_is_left(world, cloud)
