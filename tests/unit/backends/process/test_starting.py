"""What is started, with what, and how often when the broker dies on the way."""

import asyncio
import errno
import os
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from broker.backends.process import command, procfs, workplace
from broker.backends.process.workplace import State, Workplace, ref_of
from broker.domain.ids import LaunchToken
from broker.domain.instance import InstanceState
from broker.domain.reason import Reason
from broker.errors import BackendRejected, InsufficientCapacity, Throttled
from broker.ports import LaunchSpec
from broker.testing.factories import make_pool, make_spec, make_template
from tests.contract.process_rig import ProcessRig


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[ProcessRig]:
    rig = ProcessRig(tmp_path)
    yield rig
    await rig.end_all()
    assert rig.marked() == {}


def stage(rig: ProcessRig, spec: LaunchSpec) -> Workplace:
    """What a broker leaves that is killed just before it forks."""
    place = Workplace(rig.root, ref_of(spec.key))
    state = State(
        agent_id=spec.key.agent_id,
        attempt=spec.key.attempt,
        token=spec.key.token,
        installation=rig.installation,
        boot_id=procfs.boot_id(),
    )
    place.create(state, spec.secret)
    return place


async def test_the_secret_is_in_no_arguments_and_no_environment(rig: ProcessRig) -> None:
    spec = rig.spec()
    ref = await rig.backend.launch(spec)
    await rig.agents(ref)
    assert len(rig.marked()) == 2
    for pid in rig.marked():
        assert spec.secret.encode() not in Path(f"/proc/{pid}/cmdline").read_bytes()
        assert spec.secret.encode() not in Path(f"/proc/{pid}/environ").read_bytes()


async def test_the_secret_lies_in_a_file_for_the_owner_alone(rig: ProcessRig) -> None:
    spec = rig.spec()
    ref = await rig.backend.launch(spec)
    ((_, words),) = (await rig.agents(ref)).items()
    file = Path(words[words.index("-secret") + 1].removeprefix("@"))
    assert file.read_text().strip() == spec.secret
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(rig.root.stat().st_mode) == 0o700


async def test_the_agent_gets_the_arguments_of_agent_jar(rig: ProcessRig) -> None:
    spec = rig.spec()
    ref = await rig.backend.launch(spec)
    ((_, words),) = (await rig.agents(ref)).items()
    home = rig.root / ref
    after_script = words[words.index("-url") :]
    assert after_script == [
        *("-url", spec.url, "-secret", f"@{home}/secret", "-name", spec.name, "-webSocket"),
        *("-workDir", str(home / "remote"), "-noReconnectAfter", "10m"),
    ]


async def test_the_agent_does_not_inherit_the_brokers_own_variables(
    rig: ProcessRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGENTBROKER_KEY", "canary")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "canary")
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    template = make_template(env={"MAVEN_OPTS": "-Xmx1g", procfs.AGENT_MARK: "another"})
    ref = await rig.backend.launch(replace(rig.spec(), template=template))
    await rig.agents(ref)
    for environment in rig.marked().values():
        assert "canary" not in environment.values()
        assert environment["MAVEN_OPTS"] == "-Xmx1g"
        assert environment["LC_ALL"] == "C.UTF-8"
        assert environment[procfs.AGENT_MARK] == ref


async def test_no_open_file_of_the_broker_reaches_the_agent(rig: ProcessRig) -> None:
    with (rig.root.parent / "database").open("w") as file:
        os.set_inheritable(file.fileno(), True)
        ref = await rig.backend.launch(rig.spec())
        ((pid, _),) = (await rig.agents(ref)).items()
        targets = [str(path.readlink()) for path in Path(f"/proc/{pid}/fd").iterdir()]
    assert not any("database" in target for target in targets)


async def test_a_broker_killed_before_the_fork_left_nothing_that_can_start(rig: ProcessRig) -> None:
    spec = rig.spec()
    place = stage(rig, spec)
    assert await rig.backend.locate(spec.key) is None
    assert not place.exists()


async def test_a_wrapper_that_comes_after_its_directory_was_deleted_runs_nothing(rig: ProcessRig) -> None:
    spec, ran, go = rig.spec(), rig.root.parent / "ran", rig.root.parent / "go"
    place = stage(rig, spec)
    code = f"open({str(ran)!r}, 'w')"
    late = await wrapper(place, [sys.executable, "-c", code], before=f"while [ ! -e {go} ]; do sleep 0.02; done")
    assert await rig.backend.locate(spec.key) is None
    ref = await rig.backend.launch(spec)
    go.touch()
    await late.wait()
    assert not ran.exists()
    assert len(await rig.agents(ref)) == 1


async def test_a_launch_repeated_after_a_kill_before_the_fork_starts_one_agent(rig: ProcessRig) -> None:
    spec = rig.spec()
    place = stage(rig, spec)
    ref = await rig.backend.launch(spec)
    assert ref == place.ref
    assert len(await rig.agents(ref)) == 1


async def test_a_process_forked_by_a_killed_broker_is_found_before_it_noted_itself(rig: ProcessRig) -> None:
    spec = rig.spec()
    place = stage(rig, spec)
    environment = {"PATH": os.environ["PATH"], procfs.AGENT_MARK: place.ref}
    environment[procfs.INSTALLATION_MARK] = rig.installation
    with subprocess.Popen(["sleep", "600"], env=environment) as child:
        assert await rig.backend.locate(spec.key) == place.ref
        assert await rig.backend.launch(spec) == place.ref
        assert (await rig.backend.describe([place.ref]))[place.ref].state is InstanceState.PENDING
        await rig.backend.terminate(place.ref)
        child.wait(5)
    await rig.end(place.ref)


async def test_many_wrappers_in_one_directory_run_one_agent(rig: ProcessRig) -> None:
    place = stage(rig, rig.spec())
    count = f"open({str(rig.root.parent / 'runs')!r}, 'a').write('x')"
    for late in [await wrapper(place, [sys.executable, "-c", count]) for _ in range(4)]:
        await late.wait()
    assert (rig.root.parent / "runs").read_text() == "x"


async def test_what_a_killed_broker_left_half_made_is_deleted(rig: ProcessRig) -> None:
    (rig.root / ".new-abc-1-00").mkdir(parents=True)
    await rig.backend.list_owned()
    assert list(rig.root.iterdir()) == []


async def test_a_deletion_that_was_cut_off_is_still_an_instance_until_it_is_done(rig: ProcessRig) -> None:
    place = stage(rig, rig.spec())
    place.path.rename(rig.root / f".wipe-{place.ref}")
    (instance,) = (await rig.backend.list_owned()).instances
    assert (instance.ref, instance.state) == (place.ref, InstanceState.STOPPING)
    await rig.end(place.ref)
    assert list(rig.root.iterdir()) == []


async def test_agents_of_another_boot_are_stopped(rig: ProcessRig) -> None:
    place = stage(rig, rig.spec())
    state = place.path / "state.json"
    state.write_text(state.read_text().replace(procfs.boot_id(), "another"))
    assert (await rig.wait_for(place.ref, InstanceState.STOPPED)).exit_code is None


async def test_the_same_attempt_with_another_token_is_refused(rig: ProcessRig) -> None:
    spec = rig.spec()
    await rig.backend.launch(spec)
    with pytest.raises(BackendRejected, match="another token"):
        await rig.backend.launch(replace(spec, key=replace(spec.key, token=LaunchToken("other"))))


async def test_a_missing_command_is_said_with_its_key(rig: ProcessRig) -> None:
    with pytest.raises(BackendRejected, match=r"no-such.*pools\.it\.command") as caught:
        await rig.backend.launch(rig.spec_of(["/no-such/agent"]))
    assert (caught.value.code, caught.value.reason) == ("CommandNotFound", Reason.SETUP_FAILED)
    assert not rig.root.exists()


async def test_missing_java_and_missing_jar_are_said_with_their_keys(rig: ProcessRig) -> None:
    with pytest.raises(BackendRejected, match=r"pools\.it\.java") as caught:
        await rig.backend.launch(make_spec(pool=make_pool(options={"java": "no-such-java"})))
    assert (caught.value.code, caught.value.reason) == ("JavaNotFound", Reason.SETUP_FAILED)
    options = {"java": sys.executable, "agent_jar": "/no-such/agent.jar"}
    with pytest.raises(BackendRejected, match=r"pools\.it\.agent_jar") as caught:
        await rig.backend.launch(make_spec(pool=make_pool(options=options)))
    assert (caught.value.code, caught.value.reason) == ("AgentJarNotFound", Reason.SETUP_FAILED)


async def test_a_controller_that_is_away_makes_the_launch_wait(rig: ProcessRig) -> None:
    with pytest.raises(Throttled) as caught:
        await rig.backend.launch(make_spec(pool=make_pool(options={"java": sys.executable})))
    assert caught.value.reason is Reason.CONTROLLER_UNREACHABLE
    assert not rig.root.exists()


async def test_a_root_that_is_no_directory_is_a_clear_error(rig: ProcessRig) -> None:
    rig.root.write_text("a file")
    with pytest.raises(BackendRejected, match=str(rig.root)) as caught:
        await rig.backend.launch(rig.spec())
    assert caught.value.reason is Reason.SETUP_FAILED
    rig.root.unlink()


@pytest.mark.parametrize(
    ("number", "expected"),
    [(errno.ENOSPC, InsufficientCapacity), (errno.EDQUOT, InsufficientCapacity), (errno.EROFS, BackendRejected)],
)
async def test_a_full_or_read_only_disk_makes_nothing_and_leaves_nothing(
    rig: ProcessRig, monkeypatch: pytest.MonkeyPatch, number: int, expected: type[Exception]
) -> None:
    def fail(path: Path, text: str) -> None:
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr(workplace, "_write_private", fail)
    with pytest.raises(expected, match=os.strerror(number)):
        await rig.backend.launch(rig.spec())
    assert list(rig.root.iterdir()) == []
    assert rig.marked() == {}


async def test_a_relative_remote_fs_lies_in_the_agents_directory(rig: ProcessRig) -> None:
    ref = await rig.backend.launch(replace(rig.spec(), template=make_template(remote_fs="work")))
    ((pid, words),) = (await rig.agents(ref)).items()
    assert words[words.index("-workDir") + 1] == str(rig.root / ref / "remote" / "work")
    assert Path(f"/proc/{pid}/cwd").readlink() == rig.root / ref / "remote"
    with pytest.raises(BackendRejected, match="leaves the agent's directory"):
        await rig.backend.launch(replace(rig.spec(n=2), template=make_template(remote_fs="../../x")))


async def test_a_grown_log_is_cut_and_its_end_is_kept(rig: ProcessRig) -> None:
    flood = "import time\nfor i in range(40000): print('line', i, 'x' * 60)\nprint('last', flush=True); time.sleep(600)"
    ref = await rig.backend.launch(rig.spec_of([sys.executable, "-S", "-c", flood]))
    lines: tuple[str, ...] = ()
    for _ in range(300):
        if (instance := await rig.instance(ref)) is not None:
            lines = instance.last_lines
        if lines[-1:] == ("last",):
            break
        await rig.let_time_pass()
    assert lines[-1] == "last"
    assert len(lines) == 20
    assert (rig.root / ref / "output.log").stat().st_size <= workplace.LOG_LIMIT


async def test_a_secret_that_an_agent_prints_is_not_told_on(rig: ProcessRig) -> None:
    spec = rig.spec_of([sys.executable, "-S", "-c", "print(open('../secret').read())"])
    ref = await rig.backend.launch(spec)
    instance = await rig.wait_for(ref, InstanceState.STOPPED)
    assert "***" in instance.last_lines
    assert spec.secret not in " ".join(instance.last_lines)


async def wrapper(place: Workplace, agent: list[str], *, before: str = ":") -> asyncio.subprocess.Process:
    """Starts the wrapper itself in the agent's directory, as a fork that comes late would."""
    words = ["/bin/sh", "-c", f"{before}\n{command.WRAPPER}", "agentbroker-agent", *agent]
    return await asyncio.create_subprocess_exec(*words, cwd=place.remote, start_new_session=True)


async def test_tags_of_the_template_are_in_the_environment_of_the_agents_processes(rig: ProcessRig) -> None:
    tagged = replace(rig.spec(), template=make_template(tags={"team": "build", "cost-center": "42"}))
    await rig.agents(await rig.backend.launch(tagged))
    for pid in rig.marked():
        found = procfs_environment(pid)
        assert found["AGENTBROKER_TAGS"] == '{"team": "build", "cost-center": "42"}'


def procfs_environment(pid: int) -> dict[str, str]:
    words = Path(f"/proc/{pid}/environ").read_bytes().decode().rstrip("\0").split("\0")
    return dict(word.split("=", 1) for word in words)
