"""A virtual machine is one of its own: address, processes, files, people."""

import asyncio
import socket
from ipaddress import IPv4Network
from pathlib import Path

import asyncssh
import pytest

from broker.demo.clouds.vms.needs import CannotRun
from broker.demo.clouds.vms.network import run
from broker.demo.clouds.vms.spec import Image, Java
from broker.demo.clouds.vms.vms import Vms
from tests.vms import BLOCK, a_spec, client_key, login, running_machines, until

MARKER = "agentbroker-marker-of-a-machine"


@pytest.mark.parametrize("place", ["/root", "/home/jenkins", "/tmp", "/var/lib", "/etc", "/opt", "/usr/local/bin"])
async def test_what_a_login_writes_is_there_and_not_outside(vms: Vms, place: str) -> None:
    vm, other = await vms.start(a_spec()), await vms.start(a_spec())
    async with login(vm) as connection:
        await connection.run(f"echo from inside >{place}/{MARKER}", check=True)
    assert vm.path(f"{place}/{MARKER}").read_text() == "from inside\n"
    assert not (Path(place) / MARKER).exists()
    assert not other.path(f"{place}/{MARKER}").exists()


async def test_a_login_sees_no_process_mount_or_interface_but_its_machine_s(vms: Vms, tmp_path: Path) -> None:
    vm, _ = await vms.start(a_spec()), await vms.start(a_spec())
    async with login(vm) as connection:
        processes = await connection.run("cat /proc/[0-9]*/comm | sort -u", check=True)
        addresses = await connection.run("hostname -I; cat /proc/sys/kernel/hostname", check=True)
        there = await connection.run(f"ls {tmp_path} {vms.network.directory}")
    assert set(str(processes.stdout).split()) <= {"sh", "sleep", "sshd", "bash", "cat", "sort"}
    assert str(addresses.stdout).split() == [vm.address, f"i{vm.spec.id[2:]}z"]
    assert there.exit_status == 2


async def test_a_user_has_a_home_sudo_without_a_password_and_the_machine_s_java(vms: Vms) -> None:
    vm = await vms.start(a_spec())
    async with login(vm, "jenkins") as connection:
        assert (await connection.run("pwd; id -un", check=True)).stdout == "/home/jenkins\njenkins\n"
        assert (await connection.run("sudo -n id -un", check=True)).stdout == "root\n"
        assert (await connection.run("touch /root/mine")).exit_status != 0
        assert 'version "' in str((await connection.run("java -version", check=True)).stderr)


async def test_an_image_may_lack_java_sudo_and_an_engine(vms: Vms) -> None:
    vm = await vms.start(a_spec(Image(java=Java.NONE, sudo=False, engine="")))
    async with login(vm) as connection:
        for name in ("java", "sudo", "podman", "docker"):
            assert (await connection.run(f"command -v {name}")).exit_status != 0, name
        assert (await connection.run("ls /usr/lib/jvm/*/bin/java")).exit_status != 0
    assert Path("/usr/bin/podman").exists()


async def test_an_image_s_java_may_be_old_with_a_new_one_behind_it(vms: Vms) -> None:
    vm = await vms.start(a_spec(Image(java=Java.OLD)))
    async with login(vm) as connection:
        assert 'version "11.' in str((await connection.run("java -version", check=True)).stderr)
        assert 'version "11.' not in str((await connection.run("/usr/bin/java -version", check=True)).stderr)


async def test_a_password_opens_the_account_of_the_one_that_it_is_for(vms: Vms) -> None:
    vm = await vms.start(a_spec(Image(login="jenkins"), password="Correct-Horse-1", authorized_keys=()))
    async with login(vm, "jenkins", password="Correct-Horse-1", client_keys=None) as connection:
        assert (await connection.run("id -un")).stdout == "jenkins\n"
    for user, password in (("root", "Correct-Horse-1"), ("jenkins", "Wrong-Horse-1")):
        with pytest.raises(asyncssh.PermissionDenied):
            async with login(vm, user, password=password, client_keys=None):
                pass


async def test_user_data_runs_once_as_root_and_the_console_shows_what_it_says(vms: Vms) -> None:
    script = "#!/bin/sh\nid -un >>/root/ran\necho this is user data\n"
    vm, other = await vms.start(a_spec(user_data=script)), await vms.start(a_spec(user_data="#cloud-config\n"))
    await until(lambda: "this is user data" in vm.console())
    await vm.reboot()
    async with login(vm) as connection:
        await connection.run("sleep 0.3")
        assert (await connection.run("cat /root/ran")).stdout == "root\n"
    assert "this is user data" not in other.console()


async def test_the_console_has_the_host_keys_some_time_after_the_boot(vms: Vms) -> None:
    vm = await vms.start(a_spec(Image(console_delay_s=0.5)))
    assert "HOST KEY" not in vm.console()
    await until(lambda: "-----END SSH HOST KEY KEYS-----" in vm.console())
    lines = vm.console().split("\r\n")
    shown = lines[lines.index("-----BEGIN SSH HOST KEY KEYS-----") + 1 : lines.index("-----END SSH HOST KEY KEYS-----")]
    assert [line.rpartition(" ")[0] for line in shown] == list(vm.keys.public)
    known = "".join(f"{vm.address} {line}\n" for line in shown)
    async with login(vm, known_hosts=asyncssh.import_known_hosts(known)):
        pass


async def test_what_listens_at_the_machine_s_own_address_is_reached_from_inside(vms: Vms) -> None:
    vm = await vms.start(a_spec())
    here = await vms.listen_in(IPv4Network(BLOCK))
    async with await asyncio.start_server(lambda _, writer: writer.write(b"gateway\n"), here, 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with login(vm) as connection:
            said = await connection.run(f"exec 3<>/dev/tcp/{vm.gateway}/{port}; head -1 <&3", check=True)
    assert said.stdout == "gateway\n"


async def test_a_public_address_leads_to_the_machine_that_has_it(vms: Vms) -> None:
    await vms.start(a_spec())
    vm = await vms.start(a_spec(public_address="203.0.113.9"))
    async with asyncssh.connect(
        "203.0.113.9",
        username="root",
        client_keys=[client_key()],
        known_hosts=asyncssh.import_known_hosts(f"203.0.113.9 {vm.keys.public[1]}\n"),
        config=None,
        agent_path=None,
    ) as connection:
        assert (await connection.run("cat /proc/sys/kernel/hostname")).stdout == f"i{vm.spec.id[2:]}z\n"
    await vms.remove(vm.spec.id)
    with pytest.raises(OSError, match="unreachable"):
        socket.create_connection(("203.0.113.9", 22), timeout=5)


async def test_a_block_that_is_in_use_here_is_refused_with_what_uses_it(vms: Vms) -> None:
    await vms.start(a_spec())
    async with running_machines() as others:
        with pytest.raises(CannotRun, match=f"{BLOCK} is in use on this machine, by {BLOCK} on {vms.network.wire}"):
            await others.start(a_spec())
        assert others.ids == []


async def test_one_that_is_stopped_answers_no_more_in_the_place_of_the_next_with_its_address(vms: Vms) -> None:
    vm = await vms.start(a_spec())
    links = vm.network.inside("ip", "-brief", "link")
    before, old = await run(links), vm.link
    await vm.stop()
    assert f"{old}@" in before
    assert f"{old}@" not in await run(links)
