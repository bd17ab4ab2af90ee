"""The life of a host without agents, through the whole core in virtual time."""

from datetime import timedelta
from pathlib import Path

import pytest

from broker.domain.host import HostPhase
from broker.domain.offer import Offering
from broker.domain.reason import Reason
from broker.errors import BackendRejected, InsufficientCapacity, OutcomeUnknown, Throttled
from broker.testing.factories import POOL
from tests.host_core import hosts_core

MINUTE = timedelta(minutes=1)


async def test_a_host_is_made_prepared_kept_while_it_may_idle_and_deleted_until_nothing_is_left(tmp_path: Path) -> None:
    async with hosts_core(tmp_path, idle_timeout=2 * MINUTE) as world:
        [asked] = await world.ask()
        await world.until(HostPhase.READY)
        host = await world.host(asked.id)
        assert (host.ready_at or host.requested_at) - host.requested_at < timedelta(seconds=40)
        assert host.address
        assert host.host_key == f"ssh-ed25519 {host.id}"
        await world.advance(100)
        assert await world.phases() == [HostPhase.READY]
        await world.empty(60)
        gone = await world.host(asked.id)
        assert (gone.phase, gone.why) == (HostPhase.GONE, Reason.IDLE_TIMEOUT)
        assert world.cloud.hosts.machines_of[asked.id] == 1


async def test_hosts_that_are_asked_for_at_one_moment_are_one_order(tmp_path: Path) -> None:
    async with hosts_core(tmp_path) as world:
        await world.ask(7)
        await world.until(HostPhase.READY, 7)
        assert [len(order.hosts) for order in world.cloud.hosts.orders] == [7]


async def test_an_order_has_no_more_hosts_than_the_backend_can_make_at_once(tmp_path: Path) -> None:
    async with hosts_core(tmp_path) as world:
        world.cloud.most_hosts_at_once = 3
        await world.ask(7)
        await world.until(HostPhase.READY, 7)
        assert sorted(len(order.hosts) for order in world.cloud.hosts.orders) == [1, 3, 3]


@pytest.mark.parametrize("created", [True, False])
async def test_an_order_without_an_answer_is_repeated_with_its_token_and_made_once(
    tmp_path: Path, created: bool
) -> None:
    async with hosts_core(tmp_path) as world:
        world.cloud.next_create_is_unknown(created=created, times=3)
        await world.ask(2)
        await world.until(HostPhase.READY, 2, 120)
        assert len({order.token for order in world.cloud.hosts.orders}) == 1
        assert len({order.hosts for order in world.cloud.hosts.orders}) == 1
        assert world.most_machines == 2


async def test_an_order_that_never_gets_an_answer_is_given_up_and_its_machines_are_found_and_deleted(
    tmp_path: Path,
) -> None:
    async with hosts_core(tmp_path, boot_timeout=2 * MINUTE) as world:
        world.cloud.next_create_is_unknown(created=True, times=1000)
        [asked] = await world.ask()
        await world.advance(110)
        assert await world.phases() == [HostPhase.CREATING]
        await world.empty(60)
        assert (await world.host(asked.id)).why is Reason.LAUNCH_TIMEOUT
        assert world.most_machines == 1


async def test_of_an_order_that_is_made_in_part_the_rest_is_gone_with_the_clouds_reason(tmp_path: Path) -> None:
    async with hosts_core(tmp_path) as world:
        world.cloud.places.stock[Offering(POOL)] = 2
        asked = await world.ask(5)
        await world.until(HostPhase.READY, 2)
        hosts = [await world.host(one.id) for one in asked]
        without = [host for host in hosts if host.phase is not HostPhase.READY]
        assert len(without) == 3
        assert {(host.phase, host.why) for host in without} == {(HostPhase.GONE, Reason.INSUFFICIENT_CAPACITY)}
        assert len(world.cloud.hosts.orders) == 1


async def test_a_refused_order_leaves_nothing_and_is_not_called_for_again(tmp_path: Path) -> None:
    async with hosts_core(tmp_path) as world:
        world.cloud.next_create_raises(InsufficientCapacity("NoStock", "none left"))
        [asked] = await world.ask()
        await world.advance(60)
        host = await world.host(asked.id)
        assert (host.phase, host.why, host.message) == (
            HostPhase.GONE,
            Reason.INSUFFICIENT_CAPACITY,
            "NoStock: none left",
        )
        assert len(world.cloud.hosts.orders) == 1


async def test_a_throttled_cloud_gets_one_call_at_ever_longer_pauses(tmp_path: Path) -> None:
    async with hosts_core(tmp_path) as world:
        world.cloud.most_hosts_at_once = 1
        world.cloud.next_create_raises(Throttled("Throttling", "closed"), times=4)
        await world.ask(10)
        await world.advance(20)
        assert len(world.cloud.hosts.orders) < 12
        await world.until(HostPhase.READY, 10, 180)


async def test_a_machine_that_fails_after_it_was_made_is_found_within_10_s_and_its_words_are_kept(
    tmp_path: Path,
) -> None:
    async with hosts_core(tmp_path) as world:
        [asked] = await world.ask()
        await world.advance(8)
        world.cloud.stop_host(asked.id, Reason.INSUFFICIENT_CAPACITY, "SystemFailure.Delete")
        await world.advance(10)
        host = await world.host(asked.id)
        assert host.phase is HostPhase.DELETING
        assert (host.why, host.message) == (Reason.INSUFFICIENT_CAPACITY, "SystemFailure.Delete")
        await world.empty(60)


async def test_a_machine_that_vanishes_while_it_boots_is_found_within_10_s(tmp_path: Path) -> None:
    async with hosts_core(tmp_path) as world:
        [asked] = await world.ask()
        await world.advance(8)
        world.cloud.vanish_host(asked.id)
        await world.advance(10)
        assert (await world.host(asked.id)).why is Reason.HOST_VANISHED
        await world.empty(60)


async def test_a_new_machine_that_its_cloud_does_not_tell_of_for_a_minute_is_not_taken_for_gone(
    tmp_path: Path,
) -> None:
    async with hosts_core(tmp_path) as world:
        world.cloud.invisible_s = 55.0
        await world.ask()
        await world.until(HostPhase.READY, 1, 120)
        assert world.most_machines == 1
        assert world.cloud.hosts.deletions.total() == 0


async def test_a_host_that_does_not_boot_in_time_is_deleted(tmp_path: Path) -> None:
    async with hosts_core(tmp_path, boot_timeout=MINUTE) as world:
        world.cloud.boot_s = 1000.0
        [asked] = await world.ask()
        await world.advance(66)
        assert (await world.host(asked.id)).why is Reason.BOOT_TIMEOUT
        await world.empty(60)


async def test_a_host_that_is_not_prepared_in_time_is_deleted_with_the_step_in_its_reason(tmp_path: Path) -> None:
    async with hosts_core(tmp_path, prepare_timeout=MINUTE) as world:
        world.cloud.steps = (("init script", 1000.0),)
        [asked] = await world.ask()
        await world.advance(90)
        host = await world.host(asked.id)
        assert host.why is Reason.SETUP_FAILED
        assert "init script, 6" in host.message
        await world.empty(60)


async def test_a_preparation_that_fails_ends_the_host_with_its_words(tmp_path: Path) -> None:
    async with hosts_core(tmp_path) as world:

        def fails(_: object) -> None:
            raise BackendRejected("Exit", "init script: exit code 1", Reason.SETUP_FAILED)

        world.cloud.check_prepare = fails
        [asked] = await world.ask()
        await world.advance(30)
        host = await world.host(asked.id)
        assert (host.why, host.message) == (Reason.SETUP_FAILED, "Exit: init script: exit code 1")
        await world.empty(60)


async def test_a_port_that_is_closed_for_three_minutes_only_takes_longer(tmp_path: Path) -> None:
    async with hosts_core(tmp_path) as world:

        def closed(_: object) -> None:
            if world.clock.monotonic() < 180:
                raise OutcomeUnknown("Timeout", "port 22 does not answer", Reason.SSH_UNREACHABLE)

        world.cloud.check_prepare = closed
        await world.ask()
        await world.until(HostPhase.READY, 1, 240)
        assert world.most_machines == 1


async def test_a_host_is_gone_only_when_its_cloud_says_so_in_an_answer_that_was_asked_for_after_the_call(
    tmp_path: Path,
) -> None:
    async with hosts_core(tmp_path, idle_timeout=MINUTE) as world:
        await world.ask()
        await world.until(HostPhase.READY)
        world.cloud.deletes_stay = True
        await world.until(HostPhase.DELETING)
        await world.advance(700, 5)
        assert await world.phases() == [HostPhase.DELETING]
        assert world.cloud.hosts.deletions.total() < 30
        world.cloud.let_go_hosts()
        await world.empty(10)


async def test_an_outage_of_the_cloud_while_hosts_are_deleted_leaks_nothing(tmp_path: Path) -> None:
    async with hosts_core(tmp_path, idle_timeout=MINUTE) as world:
        await world.ask(3)
        await world.until(HostPhase.READY, 3)
        world.cloud.hosts_down = BackendRejected("Forbidden", "the key has expired", Reason.CREDENTIALS_INVALID)
        await world.advance(600, 5)
        assert await world.phases() == [HostPhase.DELETING] * 3
        world.cloud.hosts_down = None
        await world.empty(120)


async def test_one_empty_answer_with_success_ends_no_host(tmp_path: Path) -> None:
    async with hosts_core(tmp_path) as world:
        await world.ask(2)
        await world.until(HostPhase.READY, 2)
        for _ in range(5):
            world.cloud.empty_answers = 1
            await world.advance(40)
        assert await world.phases() == [HostPhase.READY] * 2


async def test_a_spot_notice_drains_and_then_deletes_the_host(tmp_path: Path) -> None:
    async with hosts_core(tmp_path) as world:
        [asked] = await world.ask()
        await world.until(HostPhase.READY)
        world.cloud.interrupt_host(asked.id, world.clock.now() + 5 * MINUTE, "Recycling")
        await world.advance(32)
        host = await world.host(asked.id)
        assert host.why is Reason.SPOT_INTERRUPTED
        assert host.message.startswith("Recycling")
        await world.empty(60)


async def test_hosts_that_idle_are_looked_at_in_one_call_each_half_minute(tmp_path: Path) -> None:
    async with hosts_core(tmp_path, idle_timeout=timedelta(hours=5)) as world:
        await world.ask(100)
        await world.until(HostPhase.READY, 100)
        await world.advance(60)
        before = len(world.cloud.hosts.described)
        await world.advance(600, 2)
        assert 19 <= len(world.cloud.hosts.described) - before <= 21
        assert {len(refs) for refs in world.cloud.hosts.described[before:]} == {100}


async def test_a_pool_keeps_its_fewest_hosts_and_replaces_the_one_that_is_too_old(tmp_path: Path) -> None:
    async with hosts_core(tmp_path, fewest=2, idle_timeout=MINUTE, max_age=timedelta(hours=1)) as world:
        await world.until(HostPhase.READY, 2, 120)
        first = {host.id for host in await world.ctx.hosts.living()}
        await world.advance(1800, 10)
        assert {host.id for host in await world.ctx.hosts.living()} == first
        await world.advance(1900, 10)
        await world.until(HostPhase.READY, 2, 120)
        assert not {host.id for host in await world.ctx.hosts.living()} & first


async def test_of_its_fewest_hosts_a_pool_asks_for_as_many_as_its_limit_leaves(tmp_path: Path) -> None:
    async with hosts_core(tmp_path, fewest=3, most=4, max_age=timedelta(minutes=20)) as world:
        await world.until(HostPhase.READY, 3, 120)
        world.cloud.deletes_stay = True
        await world.advance(1300, 10)
        assert await world.phases() == [HostPhase.DELETING] * 3 + [HostPhase.READY]
        world.cloud.let_go_hosts()
        await world.until(HostPhase.READY, 3, 120)


async def test_a_pool_whose_hosts_come_to_nothing_asks_for_others_ever_more_seldom(tmp_path: Path) -> None:
    async with hosts_core(tmp_path, fewest=1) as world:

        def fails(_: object) -> None:
            raise BackendRejected("Exit", "init script: exit code 1", Reason.SETUP_FAILED)

        world.cloud.check_prepare = fails
        await world.advance(3600, 10)
        assert 3 <= len(world.cloud.hosts.orders) <= 10


async def test_more_hosts_than_the_fewest_idle_away_one_by_one_and_the_fewest_stay(tmp_path: Path) -> None:
    async with hosts_core(tmp_path, fewest=1, idle_timeout=MINUTE) as world:
        await world.ask(4)
        await world.advance(300, 2)
        assert await world.phases() == [HostPhase.READY]
        assert len(world.cloud.hosts.machines_of) == 4
