"""What an operator asks last: the broker is away for hours, its clock is set, its config or its keys change.

Hosts of a broker that is dead end by the time that the cloud was told; those of a living one never do.
"""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from broker.demo.clouds.faults import Fault
from broker.domain.host import HostPhase
from broker.domain.lifecycle import Outcome, Phase
from broker.reconcile.loop import Pace
from tests.integration.clouds.alibaba_broker import Broker, World, alibaba_world, broker_on_alibaba
from tests.integration.clouds.alibaba_broker_parts import definitions, pool_of_hosts

QUICK_RELEASE = 2400.0
"""A short release time: half of it is pushed at twenty minutes."""

SELDOM = Pace(workers=16, poll_s=10.0)


async def busy(broker: Broker, count: int = 4, build_s: float = 300) -> list[str]:
    """So many builds that run, as the broker knows."""
    broker.world.build_s = build_s
    names = await broker.ask(count)

    async def online() -> bool:
        return {agent.phase for agent in await broker.agents(names)} == {Phase.ONLINE}

    await broker.until(online, 120)
    assert len(broker.builds) == count
    return names


async def pass_time(world: World, seconds: float) -> None:
    """Without a broker: the cloud and the builds go on."""
    await world.clock.advance(seconds)
    world.count()
    alive = {process.agent_id for process in world.hosts.running().values()}
    if not alive:
        world.builds.clear()


async def test_a_broker_that_is_away_for_a_quarter_of_an_hour_loses_no_build(tmp_path: Path) -> None:
    async with alibaba_world(tmp_path) as world:
        async with world.broker() as broker:
            names = await busy(broker, build_s=1500)
        await pass_time(world, 900)
        async with world.broker() as broker:
            await broker.run(60)
            assert {agent.phase for agent in await broker.agents(names)} == {Phase.ONLINE}
            await broker.end(2500)
            assert {agent.outcome for agent in await broker.agents(names)} == {Outcome.SUCCEEDED}
        assert len(world.orders) == 2


async def test_hosts_of_a_broker_that_is_away_for_seven_hours_are_gone_by_then_and_all_begins_anew(
    tmp_path: Path,
) -> None:
    async with alibaba_world(tmp_path) as world:
        async with world.broker() as broker:
            names = await busy(broker, build_s=100_000)
        await pass_time(world, 6.1 * 3600)
        assert world.ours() == [], "the cloud has released them"
        await pass_time(world, 0.9 * 3600)
        async with world.broker() as broker:
            await broker.until(broker.over, 900)
            assert {agent.outcome for agent in await broker.agents(names)} == {Outcome.FAILED}
            world.build_s = 20
            [later] = await broker.ask(1)
            await broker.end()
            assert broker.done == [later]
        assert len(world.orders) == 3


async def test_a_broker_that_dies_in_the_middle_of_an_order_finds_its_hosts_again(tmp_path: Path) -> None:
    async with alibaba_world(tmp_path) as world:
        async with world.broker() as broker:
            world.fake.faults.add(Fault(action="RunInstances", drop=True, after_effect=True, times=None))
            names = await broker.ask(6)
            await broker.run(3)
            assert len(world.ours()) == 3
        await pass_time(world, 100)
        world.memories.clear()
        world.fake.faults.clear()
        async with world.broker() as broker:
            await broker.end()
            assert sorted(broker.done) == sorted(names)
        assert len(world.orders) == 3


async def test_a_broker_that_is_stopped_while_hosts_are_being_deleted_deletes_them_when_it_is_back(
    tmp_path: Path,
) -> None:
    async with alibaba_world(tmp_path) as world:
        async with world.broker() as broker:
            await broker.ask(6)
            await broker.until(lambda: len(broker.done) == 6, 120)
            world.fake.faults.add(Fault(action="DeleteInstances", code="InternalError", status=500, times=None))
            await broker.run(100)
            assert {host.phase for host in await broker.rows()} == {HostPhase.DELETING}
        world.fake.faults.clear()
        await pass_time(world, 60)
        async with world.broker() as broker:
            await broker.end(300)


async def test_a_living_brokers_hosts_are_put_off_at_half_time_also_over_trouble_of_the_api(tmp_path: Path) -> None:
    async with alibaba_world(tmp_path, auto_release=QUICK_RELEASE) as world:
        world.pace = SELDOM
        async with world.broker() as broker:
            names = await busy(broker, build_s=1.8 * QUICK_RELEASE)
            refs = {one.id for one in world.ours()}
            for _ in range(2):
                await broker.run(0.4 * QUICK_RELEASE)
                fault = broker.fake.faults.add(Fault(code="ServiceUnavailable", status=503, times=None))
                await broker.run(0.4 * QUICK_RELEASE)
                assert {one.id for one in world.ours()} == refs
                broker.fake.faults.remove(fault)
            await broker.end(1500)
            assert sorted(broker.done) == sorted(names)


async def test_a_release_time_that_may_not_be_changed_is_tried_again_and_stops_nothing_else(tmp_path: Path) -> None:
    async with alibaba_world(tmp_path, auto_release=QUICK_RELEASE) as world, world.broker() as broker:
        names = await busy(broker, build_s=0.9 * QUICK_RELEASE)
        broker.fake.rights.deny("ecs:ModifyInstanceAutoReleaseTime")
        await broker.run(0.8 * QUICK_RELEASE)
        assert broker.fake.ledger.count("ModifyInstanceAutoReleaseTime") >= 2
        broker.fake.rights.allow_all()
        await broker.end(3000)
        assert sorted(broker.done) == sorted(names)


@pytest.mark.parametrize("hours", [24, -1])
async def test_a_clock_that_is_set_ends_no_host_and_no_build(hours: int, tmp_path: Path) -> None:
    async with broker_on_alibaba(tmp_path) as broker:
        names = await busy(broker, build_s=400)
        booting = await broker.ask(2)
        await broker.run(8)
        before = {one.id for one in broker.world.ours()}
        wall = broker.fake.world.now()
        broker.clock.jump(timedelta(hours=hours))
        await broker.run(60)
        assert broker.fake.world.now() - wall < 100, "the cloud's clock is right"
        assert before <= {one.id for one in broker.world.ours()}
        assert {agent.phase for agent in await broker.agents(names)} == {Phase.ONLINE}
        await broker.end(2000)
        assert sorted(broker.done) == sorted([*names, *booting])
        assert len(broker.world.orders) == 3


async def test_a_pool_that_leaves_the_config_while_hosts_live_drains_and_deletes_them(tmp_path: Path) -> None:
    both = definitions([pool_of_hosts("it"), pool_of_hosts("other", vswitches=["vsw-bp1agentsj"])])
    async with broker_on_alibaba(tmp_path, both) as broker:
        names = await busy(broker, build_s=200)
        booting = await broker.ask(1)
        await broker.run(3)
        without = definitions([pool_of_hosts("other", vswitches=["vsw-bp1agentsj"])])
        broker.reload(without)
        await broker.run(40)
        assert set(names) <= broker.builds.keys(), "builds that run go on"
        await broker.end(2000)
        assert sorted(broker.done) == sorted([*names, *booting])


async def test_a_broker_that_starts_without_the_pool_of_living_hosts_says_so_and_deletes_them_once_it_is_back(
    tmp_path: Path,
) -> None:
    async with alibaba_world(tmp_path) as world:
        async with world.broker() as broker:
            await busy(broker, build_s=60)
        without = definitions([pool_of_hosts("other", vswitches=["vsw-bp1agentsj"])])
        async with world.broker(without) as broker:
            await broker.run(200)
            assert {host.pool for host in await broker.rows()} == {"it"}, "nothing is forgotten"
        async with world.broker() as broker:
            await broker.end()


async def test_a_key_that_is_another_after_a_restart_ends_no_machine_and_the_cloud_releases_it(tmp_path: Path) -> None:
    async with alibaba_world(tmp_path, auto_release=QUICK_RELEASE) as world:
        async with world.broker() as broker:
            await busy(broker, build_s=100)
            refs = {one.id for one in world.ours()}
        world.key = "another"
        async with world.broker() as broker:
            await broker.run(300)
            deleted = broker.fake.ledger.count("DeleteInstances")
            assert deleted == 0
            assert {one.id for one in world.ours()} == refs
            await broker.until(lambda: not world.ours(), QUICK_RELEASE)
            await broker.end()
            world.build_s = 20
            before = len(broker.done)
            await broker.ask(2)
            await broker.end()
            assert len(broker.done) == before + 2


async def test_access_keys_that_are_replaced_in_their_file_are_used_without_a_restart(tmp_path: Path) -> None:
    files = {name: tmp_path / name for name in ("access_key_id", "access_key_secret")}
    options: dict[str, Any] = {f"{name}_file": str(file) for name, file in files.items()} | dict.fromkeys(files)
    async with alibaba_world(tmp_path, **options) as world:
        for file, text in zip(files.values(), (world.fake.access_key, world.fake.secret_key), strict=True):
            file.write_text(text)
        async with world.broker() as broker:
            names = await busy(broker, build_s=200)
            files["access_key_secret"].write_text("revoked")
            await broker.run(120)
            files["access_key_secret"].write_text(world.fake.secret_key)
            await broker.end()
            assert sorted(broker.done) == sorted(names)
