"""Instances of the fake of Alibaba Cloud as virtual machines, ordered by the real SDK."""

import asyncio
import base64
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from alibabacloud_ecs20140526 import models

from broker.demo.clouds.alibaba.cloud import FakeAlibaba
from broker.demo.clouds.alibaba.knobs import Timing
from broker.demo.clouds.alibaba.runner import Script
from broker.demo.clouds.serving import serving
from broker.demo.clouds.vms.runner import VmRunner, running_vms
from tests.fake_alibaba import ecs_client
from tests.vms import client_key, login, until


@dataclass
class World:
    """A fake, its machines, and the SDK."""

    fake: FakeAlibaba
    runner: VmRunner
    client: Any

    async def order(self, amount: int = 1, **more: object) -> list[str]:
        """RunInstances; the ids of the instances."""
        request = models.RunInstancesRequest(
            region_id=self.fake.region,
            image_id="aliyun_3_x64_20G_alibase_20260528.vhd",
            instance_type="ecs.g7.large",
            v_switch_id="vsw-bp1agentsh",
            security_group_id="sg-bp1agents",
            amount=amount,
            **{"key_pair_name": "tests", **more},
        )
        reply = await self.client.run_instances_async(request)
        return list(reply.body.instance_id_sets.instance_id_set)


def a_script(name: str, content: str) -> Script:
    return Script(invocation=name, kind="RunShellScript", content=content, timeout_s=60, username="", directory="")


@pytest.fixture
async def world(own_network: None) -> AsyncIterator[World]:
    fake = FakeAlibaba()
    fake.ecs.timing = Timing.at_once()
    fake.ecs.add_key_pair("tests", client_key().export_public_key().decode().strip())
    with tempfile.TemporaryDirectory(prefix="agentbroker-vms-") as directory:
        async with serving(fake) as url, running_vms(fake, Path(directory) / "vms") as runner:
            yield World(fake, runner, ecs_client(fake, url))
            assert runner.problems == []
            assert fake.ledger.problems == []


async def test_an_instance_is_a_machine_at_its_own_address_with_its_key_pair_and_user_data(world: World) -> None:
    data = base64.b64encode(b"#!/bin/sh\ntouch /root/user-data\n").decode()
    [name] = await world.order(user_data=data, host_name="builder-1")
    await until(lambda: name in world.runner.vms.ids and world.runner[name].running)
    vm = world.runner[name]
    assert vm.address == world.fake.ecs.instance(name).private_ip
    await vm.listens()
    await until(lambda: vm.path("/root/user-data").exists())
    async with login(vm) as connection:
        assert (await connection.run("cat /proc/sys/kernel/hostname")).stdout == "builder-1\n"


async def test_a_password_is_that_of_the_instance(world: World) -> None:
    [name] = await world.order(key_pair_name=None, password="Correct-Horse-1")
    await until(lambda: name in world.runner.vms.ids and world.runner[name].running)
    await world.runner[name].listens()
    async with login(world.runner[name], password="Correct-Horse-1", client_keys=None):
        pass


async def test_an_instance_that_is_deleted_takes_its_machine_along(world: World) -> None:
    one, other = await world.order(2)
    await until(lambda: all(name in world.runner.vms.ids and world.runner[name].running for name in (one, other)))
    pid = world.runner[one].pid
    await world.client.delete_instance_async(models.DeleteInstanceRequest(instance_id=one, force=True))
    await until(lambda: world.runner.vms.ids == [other])
    assert not Path(f"/proc/{pid}").exists()
    world.fake.ecs.vanish(other)
    await until(lambda: world.runner.vms.ids == [])


async def test_an_instance_that_is_stopped_and_started_keeps_its_files_and_host_keys(world: World) -> None:
    [name] = await world.order()
    await until(lambda: name in world.runner.vms.ids and world.runner[name].running)
    vm = world.runner[name]
    await vm.listens()
    known = asyncssh.import_known_hosts(vm.known_hosts)
    await vm.run("touch /root/kept")
    await world.client.stop_instance_async(models.StopInstanceRequest(instance_id=name, force_stop=True))
    await until(lambda: not vm.running)
    assert world.runner.console(world.fake.ecs.instance(name)) != ""
    before = len(vm.log)
    await world.client.start_instance_async(models.StartInstanceRequest(instance_id=name))
    async with asyncio.timeout(20):
        await until(lambda: vm.running)
        await vm.listens(before)
    async with login(vm, known_hosts=known) as connection:
        assert (await connection.run("ls /root/kept")).stdout == "/root/kept\n"


async def test_one_that_is_stopped_and_started_faster_than_it_boots_has_booted_again(world: World) -> None:
    [name] = await world.order()
    await until(lambda: name in world.runner.vms.ids and world.runner[name].running)
    vm, pid = world.runner[name], world.runner[name].pid
    await world.client.stop_instance_async(models.StopInstanceRequest(instance_id=name, force_stop=True))
    await world.client.start_instance_async(models.StartInstanceRequest(instance_id=name))
    await until(lambda: vm.running and vm.pid != pid)


async def test_the_console_and_cloud_assistant_are_those_of_the_machine(world: World) -> None:
    [name] = await world.order()
    instance = world.fake.ecs.instance(name)
    assert not world.runner.is_reachable(instance)
    assert world.runner.console(instance) == ""
    await until(lambda: world.runner.is_reachable(instance))
    await until(lambda: "-----END SSH HOST KEY KEYS-----" in world.runner.console(instance))
    assert all(line in world.runner.console(instance) for line in world.runner[name].keys.public)
    ran = world.runner.run_command(instance, a_script("t-1", "echo hello; exit 3"))
    await until(lambda: ran().exit_code is not None)
    assert (ran().output, ran().exit_code) == (b"hello\n", 3)
    slept = world.runner.run_command(instance, a_script("t-2", "echo on; sleep 600"))
    await until(lambda: slept().output == b"on\n")
    world.runner.stop_command(instance, "t-2")
    await until(lambda: "sleep" not in [found for _, found in world.runner[name].processes()][3:])
    assert slept().exit_code is None


async def test_an_order_of_twenty_is_twenty_machines_in_seconds(world: World) -> None:
    names = await world.order(20)
    await until(lambda: len(world.runner.vms.ids) == 20 and all(world.runner[name].running for name in names), 30)
    for name in names:
        await world.runner[name].listens()
    addresses = {world.runner[name].address for name in names}
    assert len(addresses) == 20
    async with login(world.runner[names[-1]]) as connection:
        assert (await connection.run("hostname -I")).stdout == f"{world.runner[names[-1]].address} \n"
