"""Whatever ends the one that runs virtual machines, nothing of them is left."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from broker.demo.clouds.vms.needs import CannotRun, missing_here
from broker.demo.clouds.vms.vms import Vms
from tests.vms import a_spec, login, running_machines, until

ROOT = Path(__file__).parents[3]
GROUPS = Path("/sys/fs/cgroup")
PROGRAM = """
import asyncio, sys
from pathlib import Path
from broker.demo.clouds.vms.vms import Vms
from tests.vms import a_spec

async def main():
    async with Vms(Path(sys.argv[1])) as vms:
        for _ in range(3):
            await vms.start(a_spec())
        vm = await vms.start(a_spec())
        await vm.run("setsid sleep 987654 >/dev/null 2>&1 & ")
        print(vms.network.group, vms.network.wire, vm.pid, flush=True)
        await asyncio.sleep(600)

asyncio.run(main())
"""


def processes_in(group: str) -> list[int]:
    """Those of a control group and all below it."""
    found = [path for top in (GROUPS / group, *GROUPS.glob(f"*/{group}")) for path in top.rglob("cgroup.procs")]
    return sorted({int(line) for path in found for line in path.read_text().split()})


def ip_link() -> str:
    return subprocess.run(["ip", "link"], capture_output=True, text=True, check=True).stdout


def gone(group: str, wire: str, directory: Path, pids: list[int]) -> list[str]:
    """What is left of a runner."""
    left = [f"/proc/{pid}" for pid in pids if Path(f"/proc/{pid}").exists()]
    left += [str(path) for path in (GROUPS / group, *GROUPS.glob(f"*/{group}")) if path.exists()]
    left += [line for line in ip_link().splitlines() if wire in line]
    left += [line for line in Path("/proc/self/mounts").read_text().splitlines() if str(directory) in line]
    return left + ([str(directory)] if directory.exists() else [])


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_runner_that_is_killed_leaves_nothing(own_network: None, end: signal.Signals) -> None:
    with tempfile.TemporaryDirectory(prefix="agentbroker-vms-") as parent:
        directory = Path(parent) / "vms"
        command = [sys.executable, "-c", PROGRAM, str(directory)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as runner:
            assert runner.stdout is not None
            group, wire, pid = runner.stdout.readline().split()
            pids = processes_in(group)
            assert int(pid) in pids
            assert len(pids) > 12
            assert wire in ip_link()
            runner.send_signal(end)
            runner.wait(30)
        until = time.monotonic() + 15
        while left := gone(group, wire, directory, pids):
            assert time.monotonic() < until, left
            time.sleep(0.05)


async def test_a_machine_that_is_removed_leaves_nothing_and_its_address_is_free_again(vms: Vms) -> None:
    vm = await vms.start(a_spec())
    async with login(vm) as connection:
        await connection.run("setsid sleep 987654 >/dev/null 2>&1 & cp /bin/true /root/")
    group, pid = f"{vms.network.group}/{vm.spec.id}", vm.pid
    pids = processes_in(group)
    await vms.remove(vm.spec.id)
    assert [one for one in (*pids, pid) if Path(f"/proc/{one}").exists()] == []
    assert list(GROUPS.glob(f"*/{group}")) == []
    again = await vms.start(vm.spec)
    async with login(again) as connection:
        assert (await connection.run("ls /root")).stdout == ""


async def test_a_machine_whose_first_process_dies_runs_no_more(vms: Vms) -> None:
    vm = await vms.start(a_spec())
    async with login(vm) as connection:
        os.kill(vm.pid, signal.SIGKILL)
        await until(lambda: not vm.running)
        connection.abort()
    with pytest.raises(CannotRun, match="does not run"):
        await vm.run("true")
    await vm.stop()
    await vm.start()
    async with login(vm):
        pass


async def test_two_runners_on_one_machine_do_not_know_each_other(own_network: None) -> None:
    async with running_machines() as one, running_machines() as other:
        assert one.network.wire != other.network.wire
        assert one.network.group != other.network.group
        assert one.network.pid != other.network.pid


def test_who_may_not_make_namespaces_is_told_so_and_leaves_nothing(tmp_path: Path) -> None:
    command = ["setpriv", "--bounding-set=-sys_admin", sys.executable, "-c", PROGRAM, str(tmp_path / "vms")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60, check=False)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.endswith("CannotRun: namespaces cannot be made here: unshare: unshare failed: Operation not permitted")
    assert list(tmp_path.iterdir()) == []


def test_a_machine_says_what_it_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    assert missing_here() == []
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr("shutil.which", lambda name, path: None if name in {"sshd", "ip"} else name)
    assert missing_here() == [
        "root: this process is user 1000; run it as root, or in a container with --privileged",
        "programs: install iproute2 openssh-server (the names of Debian's packages)",
    ]
