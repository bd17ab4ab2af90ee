"""Getting hosts ready over a real SSH: the init script, Java, the engine, and all that can go wrong on the way."""

import asyncio
import time
from dataclasses import replace

import pytest

from broker.backends.ssh.watching import Pace
from broker.clock import SystemClock
from broker.demo.clouds.vms.spec import Image, Java
from broker.demo.clouds.vms.vms import Vms
from broker.domain.host_order import HostPlace, Prepared, Preparing
from broker.domain.reason import Reason
from broker.errors import BackendRejected, OutcomeUnknown, Throttled
from tests.contract.ssh_rig import SshRig
from tests.vms import a_spec


class FastClock(SystemClock):
    """Thirty seconds in one, for what waits."""

    def monotonic(self) -> float:
        return time.monotonic() * 30

    async def sleep_until(self, when: float) -> None:
        await asyncio.sleep(max(0.0, (when - self.monotonic()) / 30))


async def steps(rig: SshRig, place: HostPlace, words: str, limit_s: float = 30.0) -> list[str]:
    """The steps that were told until one has these words."""
    told: list[str] = []
    async with asyncio.timeout(limit_s):
        while True:
            answer = await rig.backend.prepare_host(place)
            assert isinstance(answer, Preparing), told
            if not told or told[-1] != answer.step:
                told.append(answer.step)
            if words in answer.step:
                return told
            await rig.let_time_pass()


async def ready(rig: SshRig, place: HostPlace, limit_s: float = 40.0) -> Prepared:
    async with asyncio.timeout(limit_s):
        while not isinstance(answer := await rig.backend.prepare_host(place), Prepared):
            await rig.let_time_pass()
    return answer


async def refused(rig: SshRig, place: HostPlace, limit_s: float = 40.0) -> BackendRejected:
    with pytest.raises(BackendRejected) as caught:
        await ready(rig, place, limit_s)
    return caught.value


def init(script: str, **keys: object) -> dict[str, object]:
    return {"script": f"#!/bin/sh\n{script}", "timeout": 30.0, **keys}


async def test_facts_tell_what_there_is_and_the_keys_that_are_believed(vms: Vms) -> None:
    rig = await SshRig.on(vms)
    prepared = await ready(rig, await rig.place())
    assert set(prepared.host_key.splitlines()) == {" ".join(key.split()[:2]) for key in rig.vm.keys.public}
    assert prepared.facts["java_version"] == "17"
    assert prepared.facts["engine_name"] == "podman"
    assert prepared.facts["limits"] == "none"
    await rig.close()


async def test_an_init_script_runs_once_with_its_variables_and_its_last_line_is_told_without_their_values(
    vms: Vms,
) -> None:
    script = 'echo run >>/root/runs; echo "token is $TOKEN, mode $MODE"; sleep 1.5; test "$TOKEN" = "p a\'ss\nword"'
    rig = await SshRig.on(vms, init=init(script, env={"TOKEN": "p a'ss\nword", "MODE": "x"}))
    place = await rig.place()
    told = await steps(rig, place, "mode x")
    assert told[-1].startswith("init script, ")
    assert told[-1].endswith(": ***, mode x")
    await ready(rig, place)
    await rig.reopen()
    await ready(rig, place)
    assert rig.vm.path("/root/runs").read_text() == "run\n"
    ours = rig.vm.path("/root/agentbroker")
    assert ours.stat().st_mode & 0o777 == 0o700
    assert list(ours.glob("*/init/*/env")) == []
    await rig.close()


async def test_a_failed_init_script_tells_its_code_and_its_last_twenty_lines_masked(vms: Vms) -> None:
    script = 'i=0; while [ $i -lt 30 ]; do i=$((i+1)); echo "line $i $SECRET"; done; exit 42'
    rig = await SshRig.on(vms, init=init(script, env={"SECRET": "hunter22"}))
    error = await refused(rig, await rig.place())
    assert error.reason is Reason.SETUP_FAILED
    assert "code 42" in error.message
    assert "pools.it.init" in error.message
    lines = error.message.splitlines()
    assert lines[-1] == "line 30 ***"
    assert "line 11 ***" in lines
    assert "line 10 ***" not in lines
    await rig.close()


async def test_an_init_script_that_takes_too_long_is_killed_with_all_that_it_started(vms: Vms) -> None:
    rig = await SshRig.on(vms, init=init("sleep 3601 & sleep 3602; echo never", timeout=1.0))
    error = await refused(rig, await rig.place())
    assert "ended after 1 s: set pools.it.init.timeout" in error.message
    commands = [rig.vm.path(f"/proc/{path.name}/cmdline") for path in rig.vm.path("/proc").glob("[0-9]*")]
    assert not [command for command in commands if command.exists() and "sleep\x00360" in command.read_text()]
    await rig.close()


async def test_a_script_with_sudo_runs_as_root_for_a_user_who_is_not(vms: Vms) -> None:
    rig = await SshRig.on(vms, init=init("id -u >/root/who", sudo=True), ssh={"user": "jenkins"})
    await ready(rig, await rig.place())
    assert rig.vm.path("/root/who").read_text() == "0\n"
    await rig.close()


async def test_sudo_that_is_not_there_is_said(vms: Vms) -> None:
    rig = await SshRig.on(vms, spec=a_spec(Image(sudo=False)), init=init("true", sudo=True), ssh={"user": "jenkins"})
    error = await refused(rig, await rig.place())
    assert error.reason is Reason.SETUP_FAILED
    assert "sudo" in error.message
    await rig.close()


async def test_a_legacy_marker_stands_for_a_script_that_was_run(vms: Vms) -> None:
    rig = await SshRig.on(vms, init=init("echo run >>/root/runs", legacy_marker="~/.hudson-run-init"))
    rig.vm.path("/root/.hudson-run-init").touch()
    await ready(rig, await rig.place())
    assert not rig.vm.path("/root/runs").exists()
    await rig.close()


async def test_a_legacy_marker_is_written_when_the_script_was_run(vms: Vms) -> None:
    rig = await SshRig.on(vms, init=init("true", legacy_marker="~/.hudson-run-init"))
    await ready(rig, await rig.place())
    assert rig.vm.path("/root/.hudson-run-init").exists()
    await rig.close()


async def test_a_connection_that_is_cut_in_mid_script_is_made_again_and_the_script_runs_on(vms: Vms) -> None:
    rig = await SshRig.on(vms, init=init("echo run >>/root/runs; echo begun; sleep 3; echo end >>/root/runs"))
    place = await rig.place()
    await steps(rig, place, "begun")
    assert rig.vm.sshd.cut()
    await ready(rig, place)
    assert rig.vm.path("/root/runs").read_text() == "run\nend\n"
    await rig.close()


async def test_a_script_that_a_reboot_has_cut_is_run_again_which_is_said(vms: Vms) -> None:
    rig = await SshRig.on(vms, init=init("echo run >>/root/runs; echo begun; test -e /root/go || sleep 60"))
    place = await rig.place()
    await steps(rig, place, "begun")
    rig.vm.path("/root/go").touch()
    await rig.vm.reboot()
    told: list[str] = []
    async with asyncio.timeout(40):
        while not isinstance(answer := await rig.backend.prepare_host(place), Prepared):
            told.append(answer.step)
            await asyncio.sleep(0.005)
    assert rig.vm.path("/root/runs").read_text() == "run\nrun\n"
    await rig.close()


async def test_a_script_that_always_takes_its_host_down_is_not_run_for_ever(vms: Vms) -> None:
    rig = await SshRig.on(vms, init=init("echo run >>/root/runs; kill -KILL 0"))
    error = await refused(rig, await rig.place())
    assert "cut off 4 times" in error.message
    assert rig.vm.path("/root/runs").read_text() == "run\n" * 4
    await rig.close()


async def test_a_restarted_broker_joins_the_script_that_runs(vms: Vms) -> None:
    rig = await SshRig.on(vms, init=init("echo run >>/root/runs; echo begun; sleep 2"))
    place = await rig.place()
    await steps(rig, place, "begun")
    await rig.reopen()
    await ready(rig, place)
    assert rig.vm.path("/root/runs").read_text() == "run\n"
    await rig.close()


async def test_no_java_and_no_engine_are_said_with_what_is_needed(vms: Vms) -> None:
    rig = await SshRig.on(
        vms,
        spec=a_spec(Image(java=Java.NONE, engine="")),
        runner={"command": [], "java_version": 21, "container_engine": "podman"},
    )
    error = await refused(rig, await rig.place())
    assert error.reason is Reason.SETUP_FAILED
    assert "no Java found on the host, 21 or newer needed" in error.message
    assert "no podman on the host's PATH" in error.message
    await rig.close()


async def test_a_java_that_is_too_old_is_named_with_its_path(vms: Vms) -> None:
    rig = await SshRig.on(vms, runner={"command": [], "java_version": 99})
    prepared = await ready(rig, await rig.place())
    assert "Java 17 at /" in prepared.facts["no_java"]
    assert "99 or newer needed" in prepared.facts["no_java"]
    await rig.close()


async def test_a_newer_java_is_taken_where_the_first_on_the_path_is_old(vms: Vms) -> None:
    rig = await SshRig.on(vms, spec=a_spec(Image(java=Java.OLD)))
    prepared = await ready(rig, await rig.place())
    assert prepared.facts["java_version"] == "17"
    await rig.close()


async def test_a_host_key_that_is_another_is_refused_at_once_and_nothing_is_sent(vms: Vms) -> None:
    rig = await SshRig.on(vms, init=init("touch /root/ran"))
    place = await rig.place()
    await rig.vm.sshd.change_host_keys()
    error = await refused(rig, place)
    assert error.reason is Reason.SSH_HOST_KEY_MISMATCH
    assert f"{rig.vm.address} port 22" in error.message
    assert not rig.vm.path("/root/ran").exists()
    await rig.close()


async def test_the_first_key_is_kept_where_that_is_allowed_and_another_later_is_refused(vms: Vms) -> None:
    rig = await SshRig.on(vms)
    for machine in rig.pool.options["hosts"].values():  # type: ignore[attr-defined]  # a map of maps
        machine["host_keys"] = []
    place = await rig.place()
    prepared = await ready(rig, place)
    assert prepared.host_key in [" ".join(key.split()[:2]) for key in rig.vm.keys.public]
    await rig.vm.sshd.change_host_keys()
    await rig.reopen()
    error = await refused(rig, replace(place, host_key=prepared.host_key))
    assert error.reason is Reason.SSH_HOST_KEY_MISMATCH
    await rig.close()


async def test_a_port_that_is_closed_for_three_minutes_is_waited_for_and_said(vms: Vms) -> None:
    rig = await SshRig.on(vms)
    await rig.backend.close()
    rig.clock = FastClock()
    rig.backend = rig.open()
    place = await rig.place()
    await rig.vm.sshd.close_port(for_s=6.0)
    told = await steps(rig, place, "2m")
    assert f"waits for {rig.vm.address} port 22: refused since 2m" in told[-1]
    await ready(rig, place)
    await rig.close()


async def test_a_port_that_stays_closed_is_given_up_before_the_hosts_own_end(vms: Vms) -> None:
    rig = await SshRig.on(vms)
    await rig.backend.close()
    rig.clock = FastClock()
    rig.backend = rig.open()
    place = await rig.place()
    await rig.vm.sshd.close_port()
    error = await refused(rig, place)
    assert error.reason is Reason.SSH_UNREACHABLE
    assert "refused since 4m" in error.message
    await rig.close()


async def test_a_login_that_is_refused_is_tried_for_a_minute_and_then_told_with_user_and_fix(vms: Vms) -> None:
    rig = await SshRig.on(vms)
    await rig.backend.close()
    rig.clock = FastClock()
    rig.backend = rig.open()
    await rig.vm.sshd.refuse_logins()
    place = await rig.place()
    assert "waits to be let in" in (await steps(rig, place, "let in"))[-1]
    error = await refused(rig, place)
    assert error.reason is Reason.SSH_AUTH_FAILED
    assert "'root'" in error.message
    assert "authorized_keys" in error.message
    await rig.close()


async def test_a_key_that_comes_late_is_waited_for(vms: Vms) -> None:
    rig = await SshRig.on(vms)
    await rig.vm.sshd.refuse_logins()
    place = await rig.place()
    await steps(rig, place, "let in")
    await rig.vm.sshd.accept_logins()
    await ready(rig, place)
    await rig.close()


async def test_an_sshd_that_says_nothing_is_given_up_in_time_and_tried_again(vms: Vms) -> None:
    rig = await SshRig.on(vms, ssh={"connect_timeout": 0.5})
    await rig.vm.sshd.say_nothing()
    place = await rig.place()
    assert "no answer" in (await steps(rig, place, "no answer"))[-1]
    await rig.vm.sshd.open_port()
    await ready(rig, place)
    await rig.close()


async def test_a_key_that_is_none_is_said_without_a_word_of_it(vms: Vms) -> None:
    rig = await SshRig.on(vms, ssh={"private_key": "-----BEGIN OPENSSH PRIVATE KEY-----\nc2VjcmV0\n"})
    error = await refused(rig, await rig.place())
    assert error.reason is Reason.SSH_AUTH_FAILED
    assert "c2VjcmV0" not in error.message + repr(error) + str(error.__cause__)
    await rig.close()


async def test_a_machine_that_wants_another_user_is_refused_in_its_own_words(vms: Vms) -> None:
    rig = await SshRig.on(vms)
    await rig.vm.sshd.configure(ForceCommand="echo Please login as the user ecs-user; exit 1")
    error = await refused(rig, await rig.place())
    assert error.reason is Reason.SETUP_FAILED
    assert "code 1: Please login as the user ecs-user" in error.message
    await rig.close()


async def test_a_jump_host_is_gone_through_and_its_own_key_is_checked(vms: Vms) -> None:
    jump = await vms.start(a_spec())
    told = {"address": jump.address, "user": "root", "host_key": "pinned", "host_keys": list(jump.keys.public)}
    rig = await SshRig.on(vms, ssh={"jump_host": told})
    await ready(rig, await rig.place(1))
    assert any("Accepted publickey" in line for line in jump.log) or (await jump.run("true")) == ""
    told["host_keys"] = list(rig.vm.keys.public)
    await rig.reopen()
    error = await refused(rig, await rig.place(1))
    assert error.reason is Reason.SSH_HOST_KEY_MISMATCH
    assert jump.address in error.message
    await rig.close()


async def test_a_launch_on_a_host_that_does_not_listen_made_nothing_and_one_that_is_cut_is_unknown(vms: Vms) -> None:
    rig = await SshRig.on(vms)
    place = await rig.prepared()
    await rig.reopen()
    await rig.vm.sshd.close_port()
    with pytest.raises(Throttled) as caught:
        await rig.backend.launch(rig.spec(place))
    assert caught.value.reason is Reason.SSH_UNREACHABLE
    await rig.vm.sshd.open_port()
    slow = '#!/bin/sh\nsleep 2\nexec /bin/mkdir "$@"\n'
    rig.vm.path("/usr/local/bin/mkdir").write_text(slow)
    rig.vm.path("/usr/local/bin/mkdir").chmod(0o755)
    async with asyncio.TaskGroup() as group:
        launch = group.create_task(_outcome(rig, place), name="launch")
        await asyncio.sleep(1.0)
        rig.vm.sshd.cut()
    assert isinstance(launch.result(), OutcomeUnknown)
    with pytest.raises(OutcomeUnknown):
        await rig.backend.locate(rig.spec(place).key)
    ref = await rig.backend.launch(rig.spec(place))
    assert await rig.backend.locate(rig.spec(place).key) == ref
    assert await rig.count_running() == 1
    await rig.close()


async def _outcome(rig: SshRig, place: HostPlace) -> Exception | str:
    try:
        return await rig.backend.launch(rig.spec(place))
    except OutcomeUnknown as error:
        return error


def test_the_pace_is_slow_by_default() -> None:
    assert (Pace().moving_s, Pace().steady_s) == (3.0, 20.0)
