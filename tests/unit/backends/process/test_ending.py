"""Ending an agent ends everything that it started, and nothing else."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from broker.backends.process import procfs
from broker.backends.process.workplace import Workplace
from broker.domain.ids import InstanceRef
from broker.domain.instance import InstanceState
from broker.domain.reason import Reason
from tests.contract.process_rig import ProcessRig

DAEMON = """
import subprocess, sys, time
subprocess.Popen([sys.executable, "-S", "-c", "import time; print('daemon', flush=True); time.sleep(600)"],
                 start_new_session=True)
time.sleep(600)
"""
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); time.sleep(600)"
)
UNMARKED = """
import os, subprocess, sys, time
subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(600)", sys.argv[-1]], env={})
print('ready', flush=True); time.sleep(600)
"""


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[ProcessRig]:
    rig = ProcessRig(tmp_path)
    yield rig
    await rig.end_all()
    assert rig.marked() == {}


async def start(rig: ProcessRig, code: str, says: str) -> InstanceRef:
    """Launches Python code as the agent and waits until it has said something."""
    ref = await rig.backend.launch(rig.spec_of([sys.executable, "-S", "-c", code]))
    for _ in range(300):
        instance = await rig.instance(ref)
        if instance is not None and says in instance.last_lines:
            return ref
        await rig.let_time_pass()
    raise AssertionError(f"never said {says!r}")


async def test_a_child_in_a_session_of_its_own_is_ended_too(rig: ProcessRig) -> None:
    ref = await start(rig, DAEMON, "daemon")
    assert len(rig.marked()) == 3
    await rig.end(ref)
    assert rig.marked() == {}
    assert not (rig.root / ref).exists()


async def test_a_daemon_that_outlives_its_agent_is_ended_by_its_marker(rig: ProcessRig) -> None:
    ref = await start(rig, DAEMON, "daemon")
    leader = Workplace(rig.root, ref).leader()
    assert leader is not None
    os.killpg(leader.pid, signal.SIGKILL)
    async with asyncio.timeout(20):
        while len(rig.marked()) > 1:
            await rig.let_time_pass()
    assert len(rig.marked()) == 1
    await (await rig.reopen()).terminate(ref)
    await rig.end(ref)
    assert rig.marked() == {}


async def test_a_child_without_the_marker_is_ended_with_its_session(rig: ProcessRig) -> None:
    ref = await start(rig, UNMARKED, "ready")
    leader = Workplace(rig.root, ref).leader()
    assert leader is not None
    in_session = [p for p in procfs.take_census(rig.installation).processes if p.session == leader.pid]
    assert len(in_session) == 3
    assert len(rig.marked()) == 2
    await rig.end(ref)
    await asyncio.sleep(0.05)
    assert not any(procfs.is_alive(p) for p in in_session)


async def test_what_ignores_sigterm_is_killed_after_the_grace(rig: ProcessRig) -> None:
    ref = await start(rig, STUBBORN, "ready")
    await rig.backend.terminate(ref)
    await rig.let_time_pass()
    instance = await rig.instance(ref)
    assert instance is not None
    assert instance.state is InstanceState.STOPPING
    await rig.end(ref)


async def test_describing_alone_goes_on_with_what_terminate_began(rig: ProcessRig) -> None:
    ref = await start(rig, STUBBORN, "ready")
    await rig.backend.terminate(ref)
    for _ in range(200):
        if await rig.instance(ref) is None:
            break
        await rig.let_time_pass()
    assert rig.marked() == {}


async def test_terminate_answers_at_once(rig: ProcessRig) -> None:
    ref = await start(rig, STUBBORN, "ready")
    async with asyncio.timeout(0.3):
        await rig.backend.terminate(ref)


async def test_a_group_that_was_killed_is_reported_as_stopped_without_a_code(rig: ProcessRig) -> None:
    ref = await rig.backend.launch(rig.spec())
    await rig.wait_for(ref, InstanceState.RUNNING)
    leader = Workplace(rig.root, ref).leader()
    assert leader is not None
    os.killpg(leader.pid, signal.SIGKILL)
    instance = await rig.wait_for(ref, InstanceState.STOPPED)
    assert instance.exit_code is None
    assert instance.reason is Reason.CONTAINER_EXITED
    assert "killed" in instance.message


async def test_an_agent_ended_by_a_signal_names_it(rig: ProcessRig) -> None:
    ref = await rig.backend.launch(rig.spec())
    await rig.wait_for(ref, InstanceState.RUNNING)
    ((agent, _),) = (await rig.agents(ref)).items()
    os.kill(agent, signal.SIGKILL)
    instance = await rig.wait_for(ref, InstanceState.STOPPED)
    assert (instance.exit_code, instance.message) == (137, "the agent was ended by SIGKILL")


async def test_a_reused_pid_is_neither_reported_nor_hit(rig: ProcessRig) -> None:
    ref = await rig.backend.launch(rig.spec())
    await rig.wait_for(ref, InstanceState.RUNNING)
    await rig.stop_instance(ref, exit_code=0, lines=[])
    await rig.wait_for(ref, InstanceState.STOPPED)
    (rig.root / ref / "exit").unlink()
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as stranger:
        claim = rig.root / ref / "claim"
        seen = procfs.find(stranger.pid)
        assert seen is not None
        fields = Path(f"/proc/{stranger.pid}/stat").read_text().replace(f" {seen.start} ", f" {seen.start - 1} ")
        claim.write_text(fields)
        assert (await rig.wait_for(ref, InstanceState.STOPPED)).exit_code is None
        await rig.end(ref)
        assert stranger.poll() is None
        stranger.kill()


async def test_a_signal_is_not_sent_to_another_process_of_the_same_number() -> None:
    with subprocess.Popen(["sleep", "60"]) as stranger:
        seen = procfs.find(stranger.pid)
        assert seen is not None
        procfs.send(procfs.Process(pid=seen.pid, start=seen.start - 1, session=seen.session), signal.SIGKILL)
        assert procfs.is_alive(seen)
        procfs.send(seen, signal.SIGKILL)
        assert stranger.wait(5) == -signal.SIGKILL
    procfs.send(seen, signal.SIGKILL)


async def test_agents_of_another_installation_are_not_seen(rig: ProcessRig, tmp_path: Path) -> None:
    other = ProcessRig(tmp_path)
    try:
        await other.backend.launch(other.spec(n=2))
        assert rig.marked() == {}
        await rig.backend.terminate(InstanceRef(f"{other.spec(n=2).key.agent_id}-1x"))
        assert len(other.marked()) >= 1
    finally:
        await other.end_all()


@pytest.mark.parametrize("ref", ["../../etc", "/etc", "", ".", "a/b-1", "cache"])
async def test_a_reference_that_is_no_name_of_ours_touches_nothing(rig: ProcessRig, ref: str) -> None:
    kept = rig.root.parent / "kept"
    kept.write_text("")
    await rig.backend.terminate(InstanceRef(ref))
    assert await rig.backend.describe([InstanceRef(ref)]) == {}
    assert kept.exists()


async def test_a_directory_that_a_build_made_unwritable_is_deleted(rig: ProcessRig) -> None:
    ref = await rig.backend.launch(rig.spec())
    await rig.wait_for(ref, InstanceState.RUNNING)
    locked = rig.root / ref / "remote" / "cache" / "module"
    locked.mkdir(parents=True)
    (locked / "file").write_text("")
    locked.chmod(0o500)
    locked.parent.chmod(0o500)
    await rig.end(ref)
    assert list(rig.root.iterdir()) == []
