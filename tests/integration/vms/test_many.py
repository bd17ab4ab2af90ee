"""Fifty virtual machines at once."""

import asyncio

from broker.demo.clouds.vms.vm import Vm
from broker.demo.clouds.vms.vms import Vms
from tests.vms import a_spec, login

FIFTY = 50


async def name_of(vm: Vm) -> str:
    async with login(vm, connect_timeout=60) as connection:
        return str((await connection.run("cat /etc/hostname", check=True)).stdout)


async def test_fifty_boot_together_and_answer_together(vms: Vms) -> None:
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        starting = [group.create_task(vms.start(a_spec())) for _ in range(FIFTY)]
    machines = [task.result() for task in starting]
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        asking = [group.create_task(name_of(vm)) for vm in machines]
    assert [task.result() for task in asking] == [f"i{vm.spec.id[2:]}z\n" for vm in machines]
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        for vm in machines:
            group.create_task(vms.remove(vm.spec.id))
    assert vms.ids == []
    assert not any(vm.running for vm in machines)
