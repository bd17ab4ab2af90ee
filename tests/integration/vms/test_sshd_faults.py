"""What goes wrong with a machine's sshd, as a client sees it."""

import asyncio

import asyncssh
import pytest

from broker.demo.clouds.vms.spec import Image
from broker.demo.clouds.vms.vms import Vms
from tests.vms import a_spec, login


async def test_a_key_that_has_changed_is_not_the_one_that_is_known(vms: Vms) -> None:
    vm = await vms.start(a_spec())
    known = asyncssh.import_known_hosts(vm.known_hosts)
    async with login(vm) as before:
        await vm.sshd.change_host_keys()
        assert (await before.run("echo still here")).stdout == "still here\n"
    with pytest.raises(asyncssh.HostKeyNotVerifiable):
        async with login(vm, known_hosts=known):
            pass
    async with login(vm):
        pass


async def test_a_boot_may_bring_new_host_keys_and_keeps_the_files(vms: Vms) -> None:
    vm = await vms.start(a_spec())
    known = asyncssh.import_known_hosts(vm.known_hosts)
    await vm.run("touch /root/kept /run/lost")
    await vm.reboot()
    async with login(vm, known_hosts=known) as connection:
        assert (await connection.run("ls /root/kept /run/lost")).stdout == "/root/kept\n"
    await vm.reboot(new_host_keys=True)
    with pytest.raises(asyncssh.HostKeyNotVerifiable):
        async with login(vm, known_hosts=known):
            pass


async def test_a_closed_port_refuses_until_it_is_opened(vms: Vms) -> None:
    vm = await vms.start(a_spec())
    async with login(vm) as before:
        async with vm.sshd.closed():
            with pytest.raises(ConnectionRefusedError):
                async with login(vm):
                    pass
            assert (await before.run("echo still here")).stdout == "still here\n"
        async with login(vm):
            pass


async def test_a_port_that_is_closed_for_a_time_opens_by_itself(vms: Vms) -> None:
    vm = await vms.start(a_spec())
    await vm.sshd.close_port(for_s=0.2)
    before = len(vm.log)
    with pytest.raises(ConnectionRefusedError):
        async with login(vm):
            pass
    async with asyncio.timeout(10):
        await vm.listens(before)
    async with login(vm):
        pass


async def test_logins_are_refused_until_they_are_accepted(vms: Vms) -> None:
    vm = await vms.start(a_spec())
    await vm.sshd.refuse_logins()
    with pytest.raises(asyncssh.PermissionDenied):
        async with login(vm):
            pass
    await vm.sshd.accept_logins()
    async with login(vm):
        pass


async def test_a_stranger_and_a_stranger_s_key_are_refused(vms: Vms) -> None:
    vm = await vms.start(a_spec())
    for options in ({"user": "nobody-here"}, {"client_keys": [asyncssh.generate_private_key("ssh-ed25519")]}):
        with pytest.raises(asyncssh.PermissionDenied):
            async with login(vm, **options):
                pass


async def test_a_port_that_says_nothing_takes_connections_and_gives_no_banner(vms: Vms) -> None:
    vm = await vms.start(a_spec())
    await vm.sshd.say_nothing()
    reader, writer = await asyncio.open_connection(vm.address, 22)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await reader.read(1)
    await vm.sshd.open_port()
    assert await reader.read(1) == b""
    writer.transport.abort()
    async with login(vm):
        pass


async def test_a_cut_ends_the_connection_in_mid_script_and_new_ones_are_let_in(vms: Vms) -> None:
    vm = await vms.start(a_spec())
    for user in ("root", "jenkins"):
        async with login(vm, user) as connection:
            async with connection.create_process("echo begun; sleep 600; echo never") as script:
                assert await script.stdout.readline() == "begun\n"
                assert vm.sshd.cut() > 0
                async with asyncio.timeout(10):
                    await connection.wait_closed()
            assert script.returncode is None
    async with login(vm):
        pass


async def test_a_wire_that_is_out_answers_nothing_and_what_was_sent_comes_when_it_is_in_again(vms: Vms) -> None:
    vm = await vms.start(a_spec())
    async with login(vm) as connection:
        await vm.sshd.unplug()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await connection.run("true")
        await vm.sshd.plug()
        async with asyncio.timeout(20):
            assert (await connection.run("echo here")).stdout == "here\n"


async def test_a_slow_wire_carries_so_many_bytes_a_second(vms: Vms) -> None:
    vm = await vms.start(a_spec())
    loop = asyncio.get_running_loop()
    async with login(vm) as connection:
        await vm.sshd.slow(50_000)
        began = loop.time()
        await connection.run("head -c 100000 /dev/urandom", encoding=None)
        assert loop.time() - began > 1
        await vm.sshd.slow(0)
        began = loop.time()
        await connection.run("head -c 100000 /dev/urandom", encoding=None)
        assert loop.time() - began < 1


async def test_sshd_may_be_late(vms: Vms) -> None:
    vm = await vms.start(a_spec(Image(boot_s=0.5)))
    with pytest.raises(ConnectionRefusedError):
        async with login(vm):
            pass
    async with asyncio.timeout(10):
        await vm.listens()
    async with login(vm):
        pass


async def test_sshd_s_own_limits_can_be_set(vms: Vms) -> None:
    vm = await vms.start(a_spec(Image(sshd={"MaxSessions": "1"})))
    async with login(vm) as connection, connection.create_process("cat"):
        with pytest.raises(asyncssh.ChannelOpenError):
            await connection.run("true")
    await vm.sshd.configure(MaxSessions="2")
    async with login(vm) as connection, connection.create_process("cat"):
        await connection.run("true", check=True)
