"""What only containers can do right or wrong, on a real engine."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
from aiodocker.containers import DockerContainer

from broker.backends.container.engine import Engine
from broker.backends.container.ownership import ATTEMPT, INSTALLATION
from broker.domain.instance import InstanceState
from broker.domain.reason import Reason
from broker.domain.resources import Resources
from broker.domain.template import Inject
from broker.errors import BackendRejected, OutcomeUnknown, Throttled
from broker.testing.factories import make_spec
from tests.contract.container_rig import ContainerRig
from tests.podman import IMAGE, INBOUND_IMAGE

pytestmark = [pytest.mark.component("podman")]


class NeverStarts(Engine):
    """The broker dies between the two calls of a launch."""

    async def start(self, name: str) -> None:
        return None


class Unheard(Engine):
    """Makes what it is asked to, and nobody hears its answer."""

    async def create(self, name: str, body: Mapping[str, Any]) -> None:
        await super().create(name, body)
        raise OutcomeUnknown("ConnectionLost", "no answer in time")


class Counting(Engine):
    """Notes for which names it was asked to list."""

    asked: ClassVar[list[tuple[str, ...]]] = []

    async def list(self, label: str, names: Sequence[str] = ()) -> Sequence[DockerContainer]:
        self.asked.append(tuple(names))
        return await super().list(label, names)


LOOK = """
echo "user $(id -u):$(id -g)"
echo "host $(hostname)"
echo "directory $PWD"
echo "privileges $(sed -n 's/^NoNewPrivs:\\t//p' /proc/self/status) $(sed -n 's/^CapBnd:\\t//p' /proc/self/status)"
cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null | sed 's/^/memory /'
cat /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/pids.max 2>/dev/null | sed 's/^/pids /'
touch /x 2>/dev/null && echo "root writable" || echo "root read-only"
touch x && echo "workspace writable"
touch /tmp/x && echo "tmp writable"
env | grep -c JENKINS_SECRET
"""


async def test_a_container_is_as_its_template_and_pool_say(rig: ContainerRig) -> None:
    template = rig.template(user="1000:1000", read_only=True, resources=Resources(cpu_milli=500, memory_mib=48))
    spec = replace(rig.spec_of(["/bin/sh", "-c", LOOK], pids=77), template=template)
    instance = await rig.run(spec)
    told = instance.last_lines
    assert "user 1000:1000" in told
    assert f"host {spec.name}" in told
    assert "directory /home/jenkins/agent" in told
    assert "privileges 1 0000000000000000" in told
    assert f"memory {48 << 20}" in told
    assert "pids 77" in told
    assert {"root read-only", "workspace writable", "tmp writable"} <= set(told)
    assert told[-1] == "0", "the secret is in the environment of what runs"
    shown = await rig.show(instance.ref)
    assert shown["HostConfig"]["NanoCpus"] == 500_000_000
    assert shown["HostConfig"]["NetworkMode"] == "host"


async def test_the_secret_is_in_no_argument_of_any_process(rig: ContainerRig) -> None:
    spec = rig.spec()
    ref = await rig.backend.launch(spec)
    await rig.wait_for(ref, InstanceState.RUNNING)
    first = int((await rig.show(ref))["State"]["Pid"])
    lines = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    assert first
    assert not [line for line in lines if spec.secret.encode() in line]


async def test_out_of_memory_is_said_with_the_limit(rig: ContainerRig) -> None:
    hungry = "exec /usr/bin/perl -e '$x = \"a\" x (300 * 1024 * 1024); sleep 60;'"
    instance = await rig.run(rig.spec_of(["/bin/sh", "-c", hungry]))
    assert instance.exit_code == 137
    assert instance.reason is Reason.CONTAINER_EXITED
    assert "out of memory" in instance.message
    assert "its limit is 64 MiB" in instance.message
    assert "s after its start" in instance.message


async def test_of_many_lines_the_last_twenty_are_kept_without_the_secret(rig: ContainerRig) -> None:
    talk = "i=0; while [ $i -lt 40 ]; do i=$((i+1)); echo line $i; done"
    betray = 'for word; do case $word in @*) cat "${word#@}"; esac; done'
    spec = rig.spec_of(["/bin/sh", "-c", f"{talk}; {betray}; exit 5", "agent"])
    instance = await rig.run(spec)
    assert instance.exit_code == 5
    assert instance.last_lines == (*(f"line {n}" for n in range(22, 41)), "***")
    assert "ended by itself" in instance.message


@pytest.mark.parametrize("inject", [Inject.ENV, Inject.ARGS, Inject.LEGACY])
async def test_an_image_s_own_entrypoint_is_told_who_it_is_and_the_secret_is_not_repeated(
    rig: ContainerRig, inject: Inject
) -> None:
    (rig.shared / "java").write_text('#!/bin/sh\necho "$@"\nexit 7\n')
    (rig.shared / "java").chmod(0o755)
    template = rig.template(image=INBOUND_IMAGE, inject=inject, env={"JENKINS_JAVA_BIN": "/rig/java"})
    spec = make_spec(pool=rig.pool(), template=template)
    instance = await rig.run(spec)
    assert instance.exit_code == 7
    (told,) = instance.last_lines
    words = told.split()
    for option, value in (("-url", spec.url), ("-workDir", "/home/jenkins/agent"), ("-noReconnectAfter", "10m")):
        assert words[words.index(option) + 1] == value
    assert "-webSocket" in words
    secret = "-secret ***" if inject is not Inject.LEGACY else f"*** {spec.name}"
    assert secret in told
    assert spec.secret not in told


async def test_a_container_that_was_made_and_never_started_is_started_by_the_replay(rig: ContainerRig) -> None:
    spec = rig.spec()
    dying = rig.open(kind=NeverStarts)
    ref = await dying.launch(spec)
    await dying.close()
    instance = await rig.instance(ref)
    assert instance is not None
    assert instance.state is InstanceState.PENDING
    assert await rig.backend.locate(spec.key) == ref
    assert await rig.backend.launch(spec) == ref
    await rig.wait_for(ref, InstanceState.RUNNING)
    assert len(await rig.listed()) == 1


async def test_what_cannot_be_started_leaves_nothing_and_is_told_in_the_engine_s_words(rig: ContainerRig) -> None:
    spec = replace(rig.spec(), template=rig.template(user="nobodyhere"))
    with pytest.raises(BackendRejected, match="unable to find user nobodyhere") as caught:
        await rig.backend.launch(spec)
    assert caught.value.reason is Reason.INVALID_TEMPLATE
    assert await rig.listed() == []
    assert await rig.backend.locate(spec.key) is None


async def test_an_image_that_cannot_be_had_is_told_in_the_engine_s_words(rig: ContainerRig) -> None:
    spec = replace(rig.spec(), template=rig.template(image="127.0.0.1:9/no/such:1"))
    with pytest.raises(BackendRejected, match=r"127\.0\.0\.1:9/no/such:1: .*connection refused") as caught:
        await rig.backend.launch(spec)
    assert caught.value.reason is Reason.IMAGE_PULL_FAILED
    assert await rig.backend.locate(spec.key) is None


async def test_an_image_that_is_not_there_is_not_fetched_where_the_pool_says_never(rig: ContainerRig) -> None:
    spec = rig.spec_of(["/bin/true"], pull="never")
    spec = replace(spec, template=rig.template(image="localhost/none:1"))
    with pytest.raises(BackendRejected, match=r"pools\.it\.pull is never") as caught:
        await rig.backend.launch(spec)
    assert caught.value.reason is Reason.IMAGE_PULL_FAILED


async def test_a_template_without_an_image_is_told_with_its_key(rig: ContainerRig) -> None:
    spec = replace(rig.spec(), template=rig.template(image=None))
    with pytest.raises(BackendRejected, match=r"templates\.base\.image"):
        await rig.backend.launch(spec)


async def test_a_container_removed_by_hand_does_not_exist(rig: ContainerRig) -> None:
    ref = await rig.backend.launch(rig.spec())
    await rig.wait_for(ref, InstanceState.RUNNING)
    await rig.docker.containers.container(ref).delete(force=True, v=True)
    assert await rig.instance(ref) is None


async def test_nothing_is_ended_that_does_not_carry_our_signature(rig: ContainerRig) -> None:
    ref = await rig.backend.launch(rig.spec())
    labels = (await rig.show(ref))["Config"]["Labels"]
    thief = {"Image": IMAGE, "Cmd": ["/bin/true"]}
    await rig.docker.containers.create({**thief, "Labels": labels}, name=f"copy-{rig.installation}")
    forged = {**labels, ATTEMPT: "2"}
    await rig.docker.containers.create({**thief, "Labels": forged}, name=f"forged-{rig.installation}")
    listing = await rig.backend.list_owned()
    assert [instance.ref for instance in listing.instances] == [ref]
    for name in (f"copy-{rig.installation}", f"forged-{rig.installation}"):
        await rig.backend.terminate(type(ref)(name))
        assert (await rig.show(type(ref)(name)))["Config"]["Labels"][INSTALLATION] == rig.installation


async def test_a_broker_with_another_key_owns_nothing_of_it(rig: ContainerRig) -> None:
    spec = rig.spec()
    ref = await rig.backend.launch(spec)
    rig.key = b"another"
    assert (await rig.backend.list_owned()).instances == ()
    await rig.backend.terminate(ref)
    with pytest.raises(BackendRejected, match="does not carry our signature"):
        await rig.backend.launch(spec)
    assert len(await rig.listed()) == 1


async def test_the_agent_s_own_volume_goes_with_its_container(rig: ContainerRig) -> None:
    before = await rig.volumes()
    ref = await rig.backend.launch(rig.spec())
    made = await rig.volumes() - before
    await rig.backend.terminate(ref)
    assert await rig.instance(ref) is None
    assert made
    assert not made & await rig.volumes()


async def test_while_an_engine_is_away_its_containers_are_neither_gone_nor_ended(rig: ContainerRig) -> None:
    ref = await rig.backend.launch(rig.spec())
    away = rig.open(f"unix://{rig.shared}/away.sock")
    for call in (away.describe([ref]), away.terminate(ref), away.list_owned(), away.locate(rig.spec().key)):
        with pytest.raises(Throttled, match="EngineUnreachable"):
            await call
    await away.close()
    assert (await rig.show(ref))["State"]["Running"]


async def test_an_engine_without_an_answer_leaves_the_outcome_open_and_a_search_for_it_too(rig: ContainerRig) -> None:
    spec, backend = rig.spec(), rig.open(kind=Unheard)
    with pytest.raises(OutcomeUnknown):
        await backend.launch(spec)
    await rig.docker.containers.container((await rig.listed())[0]["Id"]).delete(force=True)
    with pytest.raises(OutcomeUnknown, match="Unanswered"):
        await backend.locate(spec.key)
    await backend.close()


async def test_many_containers_are_one_question(rig: ContainerRig) -> None:
    refs = [await rig.backend.launch(rig.spec(n)) for n in range(1, 6)]
    Counting.asked.clear()
    backend = rig.open(kind=Counting)
    assert set(await backend.describe(refs)) == set(refs)
    assert Counting.asked == [tuple(refs)]
    await backend.close()


async def test_many_launches_at_once_are_all_made(rig: ContainerRig) -> None:
    async with asyncio.TaskGroup() as group:
        launches = [group.create_task(rig.backend.launch(rig.spec(n)), name=f"launch-{n}") for n in range(1, 21)]
    refs = [launch.result() for launch in launches]
    assert len(await rig.listed()) == len(set(refs)) == 20
    async with asyncio.TaskGroup() as group:
        for ref in refs:
            group.create_task(rig.backend.terminate(ref), name=f"end-{ref}")
    assert await rig.backend.describe(refs) == {}


async def test_a_network_that_is_not_there_is_told_in_the_engine_s_words(rig: ContainerRig) -> None:
    with pytest.raises(BackendRejected, match="network not found") as caught:
        await rig.backend.launch(rig.spec_of(["/bin/true"], network="nowhere"))
    assert caught.value.reason is Reason.NETWORK_UNAVAILABLE
    assert await rig.listed() == []


async def test_an_engine_is_reached_over_tcp_too(rig: ContainerRig) -> None:
    ref = await rig.backend.launch(rig.spec())
    server = await asyncio.start_server(_relay(rig.engine.address.removeprefix("unix://")), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    backend = rig.open(f"tcp://127.0.0.1:{port}")
    assert set(await backend.describe([ref])) == {ref}
    await backend.close()
    server.close()
    await server.wait_closed()


def _relay(path: str) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_unix_connection(path)
        async with asyncio.TaskGroup() as group:
            group.create_task(pump(reader, there_writer), name="there")
            group.create_task(pump(there_reader, writer), name="back")

    return serve
