"""Task definitions through the whole backend, on the strict fake."""

import asyncio
from dataclasses import replace

import pytest

from broker.domain.resources import Resources
from broker.errors import Throttled
from broker.testing.clock import ManualClock
from tests.contract.ecs_rig import EcsRig, ecs_rig

REGISTER = "RegisterTaskDefinition"
DAY_S = 24 * 3600
USUAL = Resources(cpu_milli=1000, memory_mib=2048)


def statuses(rig: EcsRig) -> list[str]:
    """Of all revisions, in the order in which they were made."""
    return [one.status for one in rig.fake.ecs.task_definitions.values()]


async def test_launches_at_once_of_whatever_size_register_once_and_run_as_large_as_asked() -> None:
    async with ecs_rig() as rig:
        sizes = [Resources(cpu_milli=1000 * (1 + n % 2), memory_mib=4096) for n in range(20)]
        specs = [replace(rig.spec_of(n + 1, resources=size), configured=USUAL) for n, size in enumerate(sizes)]
        async with asyncio.TaskGroup() as group:
            for spec in specs:
                group.create_task(rig.backend.launch(spec), name=spec.name)
        assert len(rig.calls(REGISTER)) == 1
        told = sorted(rig.fake.ecs.told(arn)["cpu"] for arn in rig.fake.ecs.tasks)
        assert told == ["1024"] * 10 + ["2048"] * 10


async def test_a_complete_listing_ends_old_definitions_that_no_task_runs() -> None:
    clock = ManualClock()
    async with ecs_rig(clock, real=False, keep_definitions=0) as rig:
        await rig.backend.launch(rig.spec_of(1, env={"N": "1"}))
        ended = await rig.backend.launch(rig.spec_of(2, env={"N": "2"}))
        rig.fake.ecs.stop(ended)
        await clock.advance(2 * DAY_S)
        assert (await rig.backend.list_owned()).complete
        assert statuses(rig) == ["ACTIVE", "INACTIVE"]


async def test_a_definition_that_somebody_has_deregistered_is_made_anew_by_the_next_call() -> None:
    async with ecs_rig() as rig:
        await rig.backend.launch(rig.spec_of(1))
        (first,) = rig.fake.ecs.task_definitions.values()
        first.status = "INACTIVE"
        with pytest.raises(Throttled, match="had anew"):
            await rig.backend.launch(rig.spec_of(2))
        for n in range(2, 5):
            await rig.backend.launch(rig.spec_of(n))
        assert statuses(rig) == ["INACTIVE", "ACTIVE"]


async def test_a_broker_that_starts_anew_registers_nothing() -> None:
    async with ecs_rig() as rig:
        await rig.backend.launch(rig.spec_of(1))
        backend = await rig.reopen()
        await backend.launch(rig.spec_of(2))
        assert len(rig.calls(REGISTER)) == 1
