"""Containers in a virtual machine: its own engine and store, limits that are set, a way to the machine outside."""

import asyncio
from ipaddress import IPv4Network

import pytest

from broker.demo.clouds.vms.spec import Image
from broker.demo.clouds.vms.vms import Vms
from tests.podman import IMAGE
from tests.vms import BLOCK, a_spec, give_image, login

USR = "-v /usr:/usr:ro -v /etc/alternatives:/etc/alternatives:ro"
GROUP = "/sys/fs/cgroup"
LIMITS = f"""
if [ -e {GROUP}/memory/memory.limit_in_bytes ]; then
  cat {GROUP}/memory/memory.limit_in_bytes {GROUP}/cpu/cpu.cfs_quota_us {GROUP}/pids/pids.max
else
  cat {GROUP}/memory.max; cut -d" " -f1 {GROUP}/cpu.max; cat {GROUP}/pids.max
fi"""


async def test_a_container_has_its_limits_and_is_killed_beyond_them(vms: Vms) -> None:
    vm = await vms.start(a_spec())
    await give_image(vm)
    async with login(vm) as connection:
        run = f"podman run --rm --memory 64m --cpus 0.5 --pids-limit 50 --network host {USR} {IMAGE}"
        told = await connection.run(f"{run} sh -c '{LIMITS}'", check=True)
        assert str(told.stdout).split() == ["67108864", "50000", "50"]
        beyond = await connection.run(f"{run} sh -c 'x=$(head -c 200m /dev/zero | tr \\\\0 x)'")
        assert beyond.exit_status == 137


@pytest.mark.parametrize("network", ["host", "bridge"])
async def test_a_container_reaches_what_listens_outside(vms: Vms, network: str) -> None:
    vm = await vms.start(a_spec())
    await give_image(vm)
    here = await vms.listen_in(IPv4Network(BLOCK))
    async with await asyncio.start_server(lambda _, writer: writer.write(b"gateway\n"), here, 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with login(vm) as connection:
            script = f"exec 3<>/dev/tcp/{vm.gateway}/{port}; head -1 <&3"
            said = await connection.run(f"podman run --rm --network {network} {USR} {IMAGE} bash -c '{script}'")
    assert said.stdout == "gateway\n", said.stderr


async def test_a_machine_s_containers_are_its_own_and_end_with_it(vms: Vms) -> None:
    vm, other = await vms.start(a_spec()), await vms.start(a_spec())
    await give_image(vm)
    async with login(vm) as connection:
        await connection.run(f"podman run -d --name sleeper {USR} {IMAGE} sleep 600", check=True)
        assert (await connection.run("podman ps --format '{{.Names}}'")).stdout == "sleeper\n"
    async with login(other) as connection:
        assert (await connection.run("podman ps -a --format '{{.Names}}'")).stdout == ""
        assert (await connection.run(f"podman image exists {IMAGE}")).exit_status == 1
    await vm.reboot()
    async with login(vm) as connection:
        assert (await connection.run("podman ps --format '{{.Names}}'")).stdout == ""
        assert (await connection.run("podman start sleeper")).exit_status == 0


async def test_a_user_starts_containers_with_sudo(vms: Vms) -> None:
    vm = await vms.start(a_spec())
    await give_image(vm)
    async with login(vm, "jenkins") as connection:
        ran = await connection.run(f"sudo -n podman run --rm --network host {USR} {IMAGE} id -un")
    assert ran.stdout == "root\n", ran.stderr


async def test_the_engine_may_be_called_docker(vms: Vms) -> None:
    vm = await vms.start(a_spec(Image(engine="docker")))
    await give_image(vm)
    async with login(vm) as connection:
        ran = await connection.run(f"docker run --rm --network none {USR} {IMAGE} echo it runs", check=True)
    assert ran.stdout == "it runs\n"


async def test_java_of_the_machine_runs_in_a_container_and_sees_its_limit(vms: Vms) -> None:
    vm = await vms.start(a_spec())
    await give_image(vm)
    async with login(vm) as connection:
        heap = "java -XX:MaxRAMPercentage=50 -XX:+PrintFlagsFinal -version | grep -w MaxHeapSize"
        ran = await connection.run(
            f"podman run --rm --memory 256m --network host {USR} -v /etc:/etc:ro {IMAGE} sh -c '{heap}'", check=True
        )
    assert str(ran.stdout).split()[3] == str(128 << 20)
