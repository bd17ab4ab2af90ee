"""Hosts of Alibaba Cloud that cannot be had, are taken back at once, or later: the build gets another, and is told why.

Each test names its fault of the list that all backends are held to; instances and agents are counted at every step.
"""

from pathlib import Path

import pytest

from broker.demo.clouds.alibaba.instances import Status
from broker.demo.clouds.alibaba.knobs import Fate
from broker.domain.host import HostPhase
from broker.domain.lifecycle import Goal, Outcome, Phase
from broker.domain.reason import Reason
from tests.integration.clouds.alibaba_broker import Broker, broker_on_alibaba
from tests.integration.clouds.alibaba_broker_parts import (
    FIRST_TYPE,
    SECOND_TYPE,
    SPOT,
    ZONES,
    definitions,
    pool_of_hosts,
)

SPOT_FIRST = definitions([pool_of_hosts(charge=SPOT)])


async def warm(broker: Broker) -> None:
    """One build, so that the broker has seen all that is in stock; then its host goes."""
    await broker.ask(1)
    await broker.until(broker.over, 300)


@pytest.mark.parametrize(("end", "word"), [("gone", "SystemFailure.Delete"), ("stopped", "Stopped")])
async def test_f7_a_host_that_is_made_and_taken_away_is_replaced_elsewhere_within_ten_seconds(
    end: str, word: str, tmp_path: Path
) -> None:
    async with broker_on_alibaba(tmp_path) as broker:
        broker.fake.ecs.fate_next(Fate(end=end, after_s=9.0))
        [name] = await broker.ask(1)
        await broker.until(lambda: len(broker.orders()) == 1, 10)
        await broker.run(9)
        took = await broker.until(lambda: len(broker.orders()) == 2, 60)
        assert took <= 10
        first, second = broker.orders()
        assert first["ClientToken"] != second["ClientToken"]
        await broker.end()
        assert broker.done == [name]
        assert word in await broker.log(name)
        if end == "gone":
            assert (first["ZoneId"], first["InstanceType"]) != (second["ZoneId"], second["InstanceType"])


async def test_f7_of_many_hosts_those_that_are_taken_away_are_made_elsewhere_and_the_others_serve(
    tmp_path: Path,
) -> None:
    async with broker_on_alibaba(tmp_path) as broker:
        broker.fake.ecs.fate_next(Fate(end="gone", after_s=9.0), 2)
        names = await broker.ask(10)
        await broker.until(lambda: len(broker.done) == 10, 200)
        assert len(broker.world.orders) == 7
        await broker.end()
        assert sorted(broker.done) == sorted(names)


async def test_f7_a_host_that_stays_where_it_is_is_given_up_in_time(tmp_path: Path) -> None:
    async with broker_on_alibaba(tmp_path) as broker:
        broker.fake.ecs.fate_next(Fate(end="stuck", after_s=5.0))
        [name] = await broker.ask(1)
        await broker.until(lambda: broker.done == [name], 900)
        assert len(broker.world.orders) == 2
        assert "could not be reached within" in await broker.log(name)
        await broker.end()


async def test_f7_a_machine_that_vanishes_under_a_build_ends_its_agent_once(tmp_path: Path) -> None:
    async with broker_on_alibaba(tmp_path) as broker:
        broker.world.build_s = 300
        names = await broker.ask(2)
        await broker.until(lambda: len(broker.builds) == 2, 120)
        [one] = broker.world.ours()
        broker.fake.ecs.vanish(one.id)
        await broker.end()
        assert {agent.outcome for agent in await broker.agents(names)} == {Outcome.FAILED}
        assert len(broker.world.orders) == 1


async def test_f8_no_stock_in_a_zone_sends_its_agents_to_the_next_one_at_once(tmp_path: Path) -> None:
    async with broker_on_alibaba(tmp_path) as broker:
        await warm(broker)
        broker.fake.stock.close(ZONES[0])
        names = await broker.ask(6)
        await broker.until(lambda: len(broker.builds) == 6, 60)
        assert {one.zone for one in broker.world.ours()} == {ZONES[1]}
        await broker.end()
        assert sorted(broker.done[1:]) == sorted(names)


async def test_f8_a_type_without_stock_leaves_the_next_one(tmp_path: Path) -> None:
    async with broker_on_alibaba(tmp_path) as broker:
        await warm(broker)
        for zone in ZONES:
            broker.fake.stock.sell_out(zone, FIRST_TYPE)
        names = await broker.ask(6)
        await broker.until(lambda: len(broker.builds) == 6, 60)
        assert {one.type.id for one in broker.world.ours()} == {SECOND_TYPE}
        lacks = broker.fake.ledger.count("RunInstances", code="OperationDenied.NoStock")
        assert lacks <= 3, "each zone is tried once"
        await broker.end()
        assert sorted(broker.done[1:]) == sorted(names)


async def test_f8_no_spot_capacity_falls_to_on_demand_and_says_so(tmp_path: Path) -> None:
    async with broker_on_alibaba(tmp_path, SPOT_FIRST) as broker:
        await warm(broker)
        for zone in ZONES:
            for kind in (FIRST_TYPE, SECOND_TYPE):
                broker.fake.stock.put(zone, kind, spot=True, count=0)
        [name] = await broker.ask(1)
        await broker.until(lambda: len(broker.builds) == 1, 60)
        [one] = broker.world.ours()
        assert not one.spot.is_spot
        assert Reason.SPOT_UNAVAILABLE in await broker.log(name)
        await broker.end()


async def test_f8_no_stock_of_anything_is_one_clear_reason_and_few_calls_until_there_is(tmp_path: Path) -> None:
    async with broker_on_alibaba(tmp_path, SPOT_FIRST) as broker:
        await warm(broker)
        for zone in ZONES:
            broker.fake.stock.close(zone)
        before = len(broker.orders())
        names = await broker.ask(20)
        await broker.run(170)
        tried = len(broker.orders()) - before
        assert tried <= 12, f"{tried}: each of twelve offerings is tried at most once in three minutes"
        agents = await broker.agents(names)
        assert {agent.phase for agent in agents} == {Phase.REQUESTED}
        words = {agent.message for agent in agents}
        assert len(words) <= 2, words
        assert all("stock" in one.lower() or "capacity" in one.lower() for one in words), words
        broker.fake.stock.refill()
        await broker.until(lambda: len(broker.done) == 21, 400)
        await broker.end()


async def test_f8_fewer_than_asked_are_taken_and_the_rest_is_had_elsewhere_with_a_new_token(tmp_path: Path) -> None:
    async with broker_on_alibaba(tmp_path) as broker:
        await warm(broker)
        broker.fake.stock.put(ZONES[0], FIRST_TYPE, spot=False, count=2)
        before = len(broker.orders())
        names = await broker.ask(10)
        await broker.until(lambda: len(broker.builds) == 10, 60)
        zones = sorted(one.zone for one in broker.world.ours())
        assert zones == [ZONES[0]] * 2 + [ZONES[1]] * 3
        orders = broker.orders()[before:]
        assert [order["Amount"] for order in orders] == [5, 3]
        assert len({order["ClientToken"] for order in orders}) == 2
        await broker.end()
        assert sorted(broker.done[1:]) == sorted(names)


async def test_f8_a_full_quota_stops_orders_and_ends_no_build(tmp_path: Path) -> None:
    async with broker_on_alibaba(tmp_path) as broker:
        broker.world.build_s = 240
        before = await broker.ask(4)
        await broker.until(lambda: len(broker.builds) == 4, 60)
        broker.fake.ecs.quotas.vcpus = 8
        made = len(broker.orders())
        names = await broker.ask(10)
        await broker.run(150)
        assert len(broker.orders()) - made <= 3
        assert len(broker.builds) == 4
        assert all("quota" in agent.message.lower() for agent in await broker.agents(names))
        broker.world.build_s = 20
        broker.fake.ecs.quotas.vcpus = None
        await broker.end()
        assert sorted(broker.done) == sorted([*before, *names])


async def test_f21_a_notice_drains_a_host_whose_short_build_ends_in_time(tmp_path: Path) -> None:
    async with broker_on_alibaba(tmp_path, SPOT_FIRST) as broker:
        broker.world.build_s = 60
        [name] = await broker.ask(1)
        await broker.until(lambda: len(broker.builds) == 1, 60)
        [taken] = broker.world.ours()
        broker.fake.ecs.interrupt(taken.id)
        await broker.run(35)
        [row] = await broker.rows()
        assert (row.phase, row.why) == (HostPhase.DRAINING, Reason.SPOT_INTERRUPTED)
        [later] = await broker.ask(1)
        await broker.until(lambda: len(broker.builds) == 2 or broker.done == [name], 60)
        await broker.end()
        assert sorted(broker.done) == sorted([name, later])
        assert len(broker.world.orders) == 2, "nobody is placed on a host that is taken back"


async def test_f21_a_notice_gives_a_long_build_up_before_its_machine_goes_and_says_why(tmp_path: Path) -> None:
    async with broker_on_alibaba(tmp_path, SPOT_FIRST) as broker:
        broker.world.build_s = 900
        [name] = await broker.ask(1)
        await broker.until(lambda: len(broker.builds) == 1, 60)
        [taken] = broker.world.ours()
        broker.fake.ecs.interrupt(taken.id)
        await broker.end()
        agent = await broker.agent(name)
        assert (agent.phase, agent.outcome) == (Phase.GONE, Outcome.FAILED)
        assert "Recycling" in await broker.log(name)
        assert broker.done == []
        assert len(broker.world.orders) == 1


async def test_f21_a_host_that_is_taken_back_while_it_boots_is_replaced_once(tmp_path: Path) -> None:
    async with broker_on_alibaba(tmp_path, SPOT_FIRST) as broker:
        names = await broker.ask(2)
        await broker.run(6)
        [taken] = broker.world.ours()
        assert taken.status is Status.STARTING
        broker.fake.ecs.interrupt(taken.id)
        took = await broker.until(lambda: len(broker.orders()) == 2, 60)
        assert took <= 10
        await broker.end()
        assert sorted(broker.done) == sorted(names)
        assert len(broker.world.orders) == 2


async def test_f21_a_notice_for_a_machine_of_others_concerns_nobody(tmp_path: Path) -> None:
    async with broker_on_alibaba(tmp_path, SPOT_FIRST) as broker:
        broker.world.build_s = 100
        foreign = await broker.world.stranger(installation="ffff0000")
        [name] = await broker.ask(1)
        await broker.until(lambda: len(broker.builds) == 1, 60)
        broker.fake.ecs.interrupt(foreign)
        await broker.run(60)
        assert (await broker.agent(name)).goal is Goal.ONLINE
        assert {host.phase for host in await broker.rows()} == {HostPhase.READY}
        await broker.end()
        assert broker.done == [name]


async def test_f21_a_hundred_notices_at_once_drain_each_host_once_and_their_followers_come(tmp_path: Path) -> None:
    async with broker_on_alibaba(tmp_path, SPOT_FIRST) as broker:
        broker.world.build_s = 100
        names = await broker.ask(200)
        await broker.until(lambda: len(broker.builds) == 200, 120)
        taken = broker.world.ours()
        assert len(taken) == 100
        for zone in ZONES:
            for kind in (FIRST_TYPE, SECOND_TYPE):
                broker.fake.stock.put(zone, kind, spot=True, count=0)
        for one in taken:
            broker.fake.ecs.interrupt(one.id)
        await broker.run(35)
        assert {(row.phase, row.why) for row in await broker.rows()} == {(HostPhase.DRAINING, Reason.SPOT_INTERRUPTED)}
        broker.world.build_s = 20
        followers = await broker.ask(100)
        await broker.until(lambda: len(broker.done) == 300, 300)
        await broker.end()
        assert sorted(broker.done) == sorted([*names, *followers])
        assert len(broker.world.orders) == 150
