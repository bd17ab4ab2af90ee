"""Agents on hosts over a real SSH: containers of a real podman, processes of a user who is not root, and their ends."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from broker.backends.ssh.watching import Pace
from broker.demo.clouds.vms.inbound import tiny_image
from broker.demo.clouds.vms.spec import Image, Java
from broker.demo.clouds.vms.vms import Vms
from broker.domain.host import HostState
from broker.domain.instance import InstanceState
from broker.domain.reason import Reason
from broker.domain.resources import Resources
from broker.domain.template import Inject, Mount, Template
from broker.errors import BackendError, BackendRejected, OutcomeUnknown, Throttled
from broker.ports import LaunchSpec
from broker.testing.factories import make_template
from tests.contract.ssh_rig import SshRig
from tests.podman import IMAGE
from tests.vms import a_spec

SECRET = "s3cret of 'this' $attempt"


def boxed(**changes: Any) -> Template:
    """The tiny image over the machine's own /usr; its agent is a command of the pool."""
    usr = Mount(source="/usr", target="/usr", read_only=True)
    small = Resources(cpu_milli=500, memory_mib=64)
    return replace(make_template(), image=IMAGE, inject=Inject.SCRIPT, mounts=(usr,), resources=small, **changes)


async def with_image(vms: Vms, *command: str) -> SshRig:
    rig = await SshRig.on(vms, command=list(command), network="host")
    rig.vm.path("/root/tiny.tar").write_bytes(tiny_image())
    await rig.vm.run(f"podman import /root/tiny.tar {IMAGE} 2>&1")
    return rig


def spec_of(rig: SshRig, template: Template, n: int = 1) -> LaunchSpec:
    [place] = rig.places.values()
    return replace(rig.spec(place, n), template=template, secret=SECRET)


async def test_a_container_runs_with_its_limits_is_found_again_and_goes_with_all_that_it_had(vms: Vms) -> None:
    rig = await with_image(vms, "/bin/sh", "-c", "echo begun; sleep 600")
    await rig.prepared()
    spec = spec_of(rig, boxed(tags={"team": "a b"}, env={"PATH": "/usr/bin:/bin", "ODD": "two\nlines '\""}))
    ref = await rig.backend.launch(spec)
    assert ref == f"h-000001000000/{spec.name}-1"
    assert await rig.backend.launch(spec) == ref
    await rig.wait_for(ref, InstanceState.RUNNING)
    told = await rig.vm.run(
        "podman inspect --format '{{.HostConfig.Memory}} {{.HostConfig.PidsLimit}}' -l; podman ps -q"
    )
    assert told.split()[-3:-1] == [str(64 << 20), "4096"]
    await rig.reopen()
    assert await rig.backend.locate(spec.key) == ref
    listing = await rig.backend.list_owned()
    assert listing.complete
    assert [(one.ref, one.agent_id) for one in listing.instances] == [(ref, spec.key.agent_id)]
    await rig.backend.terminate(ref)
    await rig.wait_for(ref, None)
    assert (await rig.vm.run("podman ps -aq; podman volume ls -q")).split()[-1:] in ([], ["directory"])
    assert await rig.backend.locate(spec.key) is None
    await rig.close()


async def test_a_container_that_has_ended_tells_its_code_and_last_lines_without_its_secret(vms: Vms) -> None:
    rig = await with_image(vms, "/bin/sh", "-c", 'echo "it is $(cat ${2#@})"; shift 9; exit 7')
    await rig.prepared()
    ref = await rig.backend.launch(spec_of(rig, boxed()))
    seen = await rig.wait_for(ref, InstanceState.STOPPED)
    assert seen is not None
    assert seen.exit_code == 7
    assert seen.reason is Reason.CONTAINER_EXITED
    assert all(SECRET not in line for line in seen.last_lines)
    assert await rig.backend.launch(spec_of(rig, boxed())) == ref
    assert (await rig.instance(ref)) == seen
    await rig.close()


async def test_an_image_that_cannot_be_had_is_said_in_the_engines_words(vms: Vms) -> None:
    rig = await with_image(vms, "/bin/true")
    await rig.prepared()
    spec = spec_of(rig, replace(boxed(), image="localhost:1/there/is/none:1"))
    async with asyncio.timeout(60):
        while isinstance(outcome := await _launched(rig, spec), Throttled):
            assert "fetches localhost:1/there/is/none:1" in outcome.message
            await rig.let_time_pass()
    assert isinstance(outcome, BackendRejected)
    assert outcome.reason is Reason.IMAGE_PULL_FAILED
    assert "localhost:1/there/is/none:1" in outcome.message
    await rig.close()


async def _launched(rig: SshRig, spec: LaunchSpec) -> BackendError | None:
    try:
        await rig.backend.launch(spec)
    except BackendError as error:
        return error
    return None


async def test_a_template_with_an_image_on_a_host_without_an_engine_is_refused_with_the_reason(vms: Vms) -> None:
    rig = await SshRig.on(vms, spec=a_spec(Image(engine="")), runner={"container_engine": "podman"})
    await rig.prepared()
    with pytest.raises(BackendRejected, match="no podman on the host's PATH") as caught:
        await rig.backend.launch(spec_of(rig, boxed()))
    assert caught.value.reason is Reason.SETUP_FAILED
    await rig.close()


async def test_a_template_without_an_image_on_a_host_without_java_is_refused_with_the_reason(vms: Vms) -> None:
    rig = await SshRig.on(vms, spec=a_spec(Image(java=Java.NONE)), runner={"command": []})
    await rig.prepared()
    with pytest.raises(BackendRejected, match="no Java found on the host, 17 or newer needed"):
        await rig.backend.launch(spec_of(rig, make_template()))
    await rig.close()


async def test_an_agent_of_a_user_who_is_not_root_has_its_own_directory_and_leaves_nothing(vms: Vms) -> None:
    rig = await SshRig.on(vms, ssh={"user": "jenkins"})
    await rig.prepared()
    home = rig.vm.path("/home/jenkins")
    template = make_template(remote_fs="/home/jenkins/work", unique_remote_fs=True, env={"A": "b c'"})
    spec = spec_of(rig, template)
    ref = await rig.backend.launch(spec)
    await rig.wait_for(ref, InstanceState.RUNNING)
    assert (home / "work" / spec.name).is_dir()
    agent = next((home / "agentbroker").glob(f"*/agents/{spec.name}-1"))
    assert (agent / "secret").read_text() == f"{SECRET}\n"
    assert (agent / "secret").stat().st_mode & 0o777 == 0o600
    assert not (agent / "env").exists()
    [pid] = await rig.processes(rig.vm)
    assert SECRET not in rig.vm.path(f"/proc/{pid}/cmdline").read_text()
    assert SECRET not in rig.vm.path(f"/proc/{pid}/environ").read_text()
    assert "A=b c'" in rig.vm.path(f"/proc/{pid}/environ").read_text().split("\0")
    await rig.backend.terminate(ref)
    await rig.wait_for(ref, None)
    assert not agent.exists()
    assert not (home / "work" / spec.name).exists()
    assert await rig.processes(rig.vm) == []
    await rig.close()


async def test_what_a_build_has_left_running_in_a_session_of_its_own_ends_with_the_agent(vms: Vms) -> None:
    agent = "setsid sh -c 'trap \"\" TERM; sleep 3603' & sleep 3604"
    rig = await SshRig.on(vms, runner={"command": ["/bin/sh", "-c", agent, "agent"]})
    await rig.prepared()
    ref = await rig.backend.launch(spec_of(rig, make_template()))
    await asyncio.sleep(0.3)
    async with asyncio.timeout(30):
        while await rig.instance(ref) is not None:
            await rig.backend.terminate(ref)
            await rig.let_time_pass()
    words = [rig.vm.path(f"/proc/{path.name}/cmdline") for path in rig.vm.path("/proc").glob("[0-9]*")]
    assert not [one for one in words if one.exists() and "sleep\x00360" in one.read_text()]
    await rig.close()


async def test_an_agent_whose_limits_nobody_sets_says_so(vms: Vms) -> None:
    rig = await SshRig.on(vms)
    place = await rig.prepared()
    assert place.facts["limits"] == "none"
    ref = await rig.backend.launch(rig.spec(place))
    await rig.stop_instance(ref, exit_code=0, lines=["bye"])
    seen = await rig.wait_for(ref, InstanceState.STOPPED)
    assert seen is not None
    assert seen.last_lines[0].startswith("agentbroker: nothing limits this agent's CPU and memory")
    await rig.close()


async def test_a_host_that_does_not_answer_leaves_its_agents_as_they_were(vms: Vms) -> None:
    rig = await SshRig.on(vms, ssh={"connect_timeout": 1.0})
    place = await rig.prepared()
    ref = await rig.backend.launch(rig.spec(place))
    before = await rig.wait_for(ref, InstanceState.RUNNING)
    rig.vm.sshd.cut()
    await rig.vm.sshd.close_port()
    for _ in range(3):
        assert await rig.instance(ref) == before
    listing = await rig.backend.list_owned()
    assert not listing.complete
    await rig.reopen()
    unknown = await rig.instance(ref)
    assert unknown is not None
    assert unknown.state is InstanceState.RUNNING
    assert "refused" in unknown.message
    with pytest.raises(OutcomeUnknown):
        await rig.backend.terminate(ref)
    with pytest.raises(OutcomeUnknown):
        await rig.backend.locate(rig.spec(place).key)
    rig.set_place(place.id, None)
    assert await rig.backend.describe([ref]) == {}
    await rig.close()


async def test_not_every_call_goes_out_and_one_look_is_for_all_agents_of_a_host(vms: Vms) -> None:
    rig = await SshRig.on(vms)
    place = await rig.prepared()
    refs = [await rig.backend.launch(rig.spec(place, n)) for n in (1, 2, 3)]
    await rig.backend.close()
    rig.backend = rig.open(Pace())
    for _ in range(5):
        assert set(await rig.backend.describe(refs)) == set(refs)
    logins = [line for line in rig.vm.log if "Accepted publickey" in line]
    assert len(logins) == 2
    await rig.close()


async def test_a_machine_that_is_given_back_has_none_of_our_files_or_agents_and_may_be_taken_again(vms: Vms) -> None:
    rig = await SshRig.on(vms)
    place = await rig.prepared()
    await rig.backend.launch(rig.spec(place))
    async with asyncio.timeout(30):
        while found := await rig.backend.describe_hosts([place.ref]):
            await rig.backend.delete_hosts([place.ref])
            assert found[place.ref].state in {HostState.RUNNING, HostState.STOPPING}
            await rig.let_time_pass()
    assert not rig.vm.path("/root/agentbroker").exists() or not list(rig.vm.path("/root/agentbroker").iterdir())
    assert await rig.count_running() == 0
    rig.set_place(place.id, None)
    await rig.prepared(2)
    await rig.close()
