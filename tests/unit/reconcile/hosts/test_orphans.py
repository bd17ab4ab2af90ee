"""Machines of ours that belong to no host are deleted, and nothing else ever is."""

from dataclasses import replace
from pathlib import Path

from broker.domain.host import HostPhase
from broker.domain.ids import HostId, HostRef
from broker.domain.offer import Offering
from broker.errors import BackendRejected
from broker.testing.factories import POOL
from broker.testing.machines import Machine
from tests.host_core import HostCore, hosts_core


def add(world: HostCore, host: str | None, number: int = 1) -> Machine:
    """A machine that no order of this broker's rows has made."""
    machine = Machine(
        ref=HostRef(f"i-foreign-{number}"),
        host=HostId(host) if host is not None else None,
        token="foreign",
        offering=Offering(POOL),
        made_s=world.clock.monotonic(),
        runs_s=world.clock.monotonic(),
        address="10.9.9.9",
    )
    world.cloud.hosts.machines[machine.ref] = machine
    return machine


async def told(world: HostCore) -> None:
    """Jenkins has told its nodes: there is no stranger among them."""
    await world.core.sync()


async def test_a_machine_of_ours_without_a_host_is_deleted_after_its_grace(tmp_path: Path) -> None:
    async with hosts_core(tmp_path) as world:
        await told(world)
        add(world, "h-000000000001")
        await world.advance(110, 5)
        assert len(world.cloud.machines()) == 1
        await told(world)
        await world.advance(200, 5)
        assert not world.cloud.machines()


async def test_a_machine_without_our_signature_is_never_touched(tmp_path: Path) -> None:
    async with hosts_core(tmp_path) as world:
        await told(world)
        add(world, None)
        await world.advance(600, 5)
        assert len(world.cloud.machines()) == 1


async def test_a_listing_that_is_not_complete_deletes_nothing(tmp_path: Path) -> None:
    async with hosts_core(tmp_path) as world:
        await told(world)
        world.cloud.list_complete = False
        add(world, "h-000000000001")
        await world.advance(600, 5)
        assert len(world.cloud.machines()) == 1


async def test_a_machine_of_an_order_without_an_answer_is_no_orphan(tmp_path: Path) -> None:
    async with hosts_core(tmp_path) as world:
        await told(world)
        world.cloud.next_create_is_unknown(created=True, times=40)
        await world.ask()
        await world.until(HostPhase.READY, 1, 900)
        assert world.most_machines == 1
        assert not world.cloud.hosts.deletions


async def test_a_second_machine_of_a_host_is_deleted_and_its_own_stays(tmp_path: Path) -> None:
    async with hosts_core(tmp_path, fewest=1) as world:
        await told(world)
        await world.until(HostPhase.READY)
        [host] = await world.ctx.hosts.living()
        extra = add(world, host.id)
        await world.advance(400, 5)
        assert [machine.ref for machine in world.cloud.machines()] == [host.ref]
        assert world.cloud.hosts.deletions[extra.ref] == 1


async def test_a_machine_with_the_tags_of_a_host_that_is_gone_and_was_another_is_never_touched(tmp_path: Path) -> None:
    async with hosts_core(tmp_path) as world:
        await told(world)
        await world.ask()
        await world.until(HostPhase.READY)
        [host] = await world.ctx.hosts.living()
        assert host.ref is not None
        await world.empty(900)
        copied = add(world, host.id)
        await world.advance(600, 5)
        assert [machine.ref for machine in world.cloud.machines()] == [copied.ref]
        world.cloud.hosts.machines[host.ref] = replace(copied, ref=host.ref)
        await world.advance(600, 5)
        assert [machine.ref for machine in world.cloud.machines()] == [copied.ref], "its own would have been deleted"


async def test_many_orphans_at_once_are_left_to_a_person(tmp_path: Path) -> None:
    async with hosts_core(tmp_path) as world:
        await told(world)
        for number in range(10):
            add(world, f"h-{number:012x}", number)
        await world.advance(600, 5)
        assert len(world.cloud.machines()) == 10


async def test_a_listing_that_fails_deletes_nothing_and_the_next_one_does(tmp_path: Path) -> None:
    async with hosts_core(tmp_path) as world:
        await told(world)
        add(world, "h-000000000001")
        world.cloud.hosts_down = BackendRejected("Forbidden", "no")
        await world.advance(400, 5)
        assert len(world.cloud.machines()) == 1
        world.cloud.hosts_down = None
        await world.advance(400, 5)
        assert not world.cloud.machines()
