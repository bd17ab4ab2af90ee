"""Cloud Assistant's agent in a virtual machine."""

import asyncio

import pytest

from broker.demo.clouds.vms.assistant import Run
from broker.demo.clouds.vms.needs import CannotRun
from broker.demo.clouds.vms.vms import Vms
from tests.vms import a_spec, until


async def over(run: Run) -> Run:
    """Waits for its end."""
    async with asyncio.timeout(20):
        await run.over.wait()
    return run


async def test_a_script_runs_inside_as_root_in_root_s_home(vms: Vms) -> None:
    vm = await vms.start(a_spec())
    run = await over(vm.assistant.run("t-1", "id -un; pwd; echo $HOME; echo trouble >&2; touch mark; exit 7"))
    assert (run.output, run.exit_code) == (b"root\n/root\n/root\ntrouble\n", 7)
    assert vm.path("/root/mark").exists()


async def test_a_script_runs_as_another_and_elsewhere_and_by_its_own_interpreter(vms: Vms) -> None:
    vm = await vms.start(a_spec())
    run = await over(vm.assistant.run("t-1", "id -un; id -gn; pwd", user="jenkins"))
    assert (run.output, run.exit_code) == (b"jenkins\njenkins\n/home/jenkins\n", 0)
    run = await over(vm.assistant.run("t-2", "pwd", directory="/var/tmp"))
    assert (run.output, run.exit_code) == (b"/var/tmp\n", 0)
    run = await over(vm.assistant.run("t-3", "#!/bin/bash\necho ${BASH_VERSION:+bash}"))
    assert (run.output, run.exit_code) == (b"bash\n", 0)
    run = await over(vm.assistant.run("t-4", "print(6 * 7)", kind="RunPythonScript"))
    assert (run.output, run.exit_code) == (b"42\n", 0)


async def test_a_user_or_directory_that_is_not_there_is_told(vms: Vms) -> None:
    vm = await vms.start(a_spec())
    run = await over(vm.assistant.run("t-1", "true", user="no'body"))
    assert (run.output, run.exit_code) == (b"UserNotExists: no'body\n", 1)
    run = await over(vm.assistant.run("t-2", "true", directory="/nowhere at all"))
    assert run.exit_code == 1
    assert b"/nowhere at all" in run.output


async def test_a_script_is_followed_while_it_runs_and_stopped_with_all_that_it_began(vms: Vms) -> None:
    vm = await vms.start(a_spec())
    run = vm.assistant.run("t-1", "echo begun; sleep 7654 & sleep 7655; echo never")
    await until(lambda: run.output == b"begun\n")
    assert run.exit_code is None
    assert not run.over.is_set()
    vm.assistant.stop("t-1")
    await over(run)
    assert (run.output, run.exit_code, run.timed_out) == (b"begun\n", None, False)
    assert "sleep 765" not in await vm.run("cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' '")


async def test_a_script_has_so_much_time_and_no_more(vms: Vms) -> None:
    vm = await vms.start(a_spec())
    run = await over(vm.assistant.run("t-1", "echo begun; sleep 7656", timeout_s=0.5))
    assert (run.output, run.exit_code, run.timed_out) == (b"begun\n", None, True)


async def test_what_a_script_leaves_in_the_background_does_not_hold_it_up(vms: Vms) -> None:
    vm = await vms.start(a_spec())
    run = await over(vm.assistant.run("t-1", "sleep 7657 & echo begun"))
    assert (run.output, run.exit_code) == (b"begun\n", 0)


async def test_a_script_whose_machine_ends_has_no_exit_code_and_one_that_is_killed_has(vms: Vms) -> None:
    vm = await vms.start(a_spec())
    killed = await over(vm.assistant.run("t-1", "kill -KILL $$"))
    assert killed.exit_code == 137
    run = vm.assistant.run("t-2", "sleep 7658")
    await vm.stop()
    assert (await over(run)).exit_code is None
    with pytest.raises(CannotRun, match="does not run"):
        vm.assistant.run("t-3", "true")
