"""Calls about hosts: what hangs holds up nothing else."""

import asyncio

from broker.reconcile.hosts.calls import Calls, NotNow
from broker.testing.clock import ManualClock
from broker.testing.factories import BACKEND


async def test_hosts_that_hang_while_they_are_prepared_hold_up_no_end_and_no_order() -> None:
    calls, hanging = Calls(ManualClock().monotonic), asyncio.Event()

    async def answers() -> str:
        return "yes"

    async with asyncio.TaskGroup() as group:
        for number in range(30):
            group.create_task(calls.make(BACKEND, f"prepare h-{number}", hanging.wait), name=f"hangs-{number}")
        await asyncio.sleep(0)
        assert isinstance(await calls.make(BACKEND, "prepare h-99", answers), NotNow)
        assert await calls.make(BACKEND, "delete", answers) == "yes"
        hanging.set()
