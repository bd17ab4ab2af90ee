"""What Alibaba Cloud says of instances is late, short or wrong, and ends do not come: nothing is believed too early.

Hosts that belong to nobody are deleted; those that only seem to be ours never. Each test names its fault of the list
that all backends are held to; instances and agents are counted at every step.
"""

from pathlib import Path

import pytest

from broker.demo.clouds.faults import Fault
from broker.domain.host import HostPhase
from broker.domain.lifecycle import Outcome, Phase
from tests.integration.clouds.alibaba_broker import Broker, broker_on_alibaba


def is_listing(parameters: dict[str, object]) -> bool:
    """Whether it is the search for orphans, or for what an order has made."""
    return "Tag" in parameters


async def busy(broker: Broker, count: int = 4, build_s: float = 300) -> list[str]:
    """So many builds that run."""
    broker.world.build_s = build_s
    names = await broker.ask(count)
    await broker.until(lambda: len(broker.builds) == count, 120)
    return names


def living(broker: Broker) -> set[str]:
    return {one.id for one in broker.fake.ecs.living}


async def test_f9_new_hosts_that_are_in_no_answer_for_a_minute_are_made_once_and_serve(tmp_path: Path) -> None:
    async with broker_on_alibaba(tmp_path) as broker:
        broker.fake.ecs.timing.visible_after_s = 55
        names = await broker.ask(6)
        await broker.until(lambda: len(broker.builds) == 6, 120)
        assert len(broker.world.orders) == 3
        await broker.end()
        assert sorted(broker.done) == sorted(names)


async def test_f9_deleted_hosts_that_are_listed_for_minutes_do_not_come_back_and_are_made_no_second_time(
    tmp_path: Path,
) -> None:
    async with broker_on_alibaba(tmp_path) as broker:
        broker.fake.ecs.timing.listed_after_end_s = 240
        names = await broker.ask(4)
        await broker.until(lambda: len(broker.done) == 4, 120)
        await broker.until(lambda: not broker.world.ours(), 120)
        await broker.run(60)
        later = await broker.ask(2)
        await broker.until(lambda: len(broker.done) == 6, 120)
        await broker.end()
        assert sorted(broker.done) == sorted([*names, *later])
        assert len(broker.world.orders) == 3


@pytest.mark.parametrize("seconds", [20, 45])
async def test_f10_empty_answers_with_200_end_no_host_and_no_build(seconds: int, tmp_path: Path) -> None:
    async with broker_on_alibaba(tmp_path) as broker:
        names = await busy(broker, build_s=200)
        for one in broker.world.ours():
            one.visible_at = broker.fake.world.now() + seconds
        before = living(broker)
        await broker.run(seconds + 20)
        assert living(broker) == before
        assert {agent.phase for agent in await broker.agents(names)} == {Phase.ONLINE}
        await broker.end()
        assert sorted(broker.done) == sorted(names)


@pytest.mark.parametrize(
    "fault",
    [
        Fault(
            action="DescribeInstances", code="InternalError", status=500, times=None, where=lambda p: "NextToken" in p
        ),
        Fault(action="DescribeInstances", code="Throttling.User", status=400, times=None, where=is_listing),
    ],
    ids=["second-page", "throttled"],
)
async def test_f10_a_listing_that_misses_a_part_ends_nobody(fault: Fault, tmp_path: Path) -> None:
    async with broker_on_alibaba(tmp_path) as broker:
        orphan = await broker.world.stranger()
        for n in range(100):  # more than a page; none of them is ours
            twin = broker.fake.ecs.instance(orphan)
            broker.world.copy(twin, f"i-bp1copy{n:015d}", {"agentbroker:signature": "no"})
        broker.fake.faults.add(fault)
        await broker.run(300)
        assert orphan in living(broker)
        assert fault.happened > 0
        broker.fake.faults.clear()
        await broker.until(lambda: orphan not in living(broker), 300)
        await broker.run(130)
        assert len(living(broker)) == 100


async def test_f11_deletes_that_fail_are_tried_again_until_all_are_gone(tmp_path: Path) -> None:
    async with broker_on_alibaba(tmp_path) as broker:
        names = await broker.ask(4)
        await broker.until(lambda: len(broker.done) == 4, 120)
        fault = broker.fake.faults.add(Fault(action="DeleteInstances", code="InternalError", status=500, times=None))
        await broker.run(600)
        assert len(broker.world.ours()) == 2
        assert {host.phase for host in await broker.rows()} == {HostPhase.DELETING}
        assert 5 <= fault.happened <= 60, fault.happened
        broker.fake.faults.clear()
        await broker.end()
        assert sorted(broker.done) == sorted(names)


@pytest.mark.parametrize("code", ["Forbidden.RAM", "Throttling.User"])
async def test_f11_deletes_that_are_refused_are_tried_again_until_all_are_gone(code: str, tmp_path: Path) -> None:
    async with broker_on_alibaba(tmp_path) as broker:
        names = await broker.ask(4)
        await broker.until(lambda: len(broker.done) == 4, 120)
        fault = broker.fake.faults.add(Fault(action="DeleteInstances", code=code, status=403, times=None))
        await broker.run(400)
        assert len(broker.world.ours()) == 2
        assert fault.happened > 3
        broker.fake.faults.clear()
        await broker.end()
        assert sorted(broker.done) == sorted(names)


async def test_f11_one_host_that_may_not_be_deleted_keeps_no_other(tmp_path: Path) -> None:
    async with broker_on_alibaba(tmp_path) as broker:
        names = await broker.ask(6)
        await broker.until(lambda: len(broker.done) == 6, 120)
        kept = broker.world.ours()[1]
        kept.protected = True
        await broker.until(lambda: living(broker) == {kept.id}, 300)
        await broker.run(300)
        assert [host.ref for host in await broker.rows()] == [kept.id], "it is still known, and told"
        kept.protected = False
        await broker.end()
        assert sorted(broker.done) == sorted(names)


async def test_f11_deletes_that_are_taken_and_do_nothing_are_made_again(tmp_path: Path) -> None:
    async with broker_on_alibaba(tmp_path) as broker:
        names = await broker.ask(4)
        await broker.until(lambda: len(broker.done) == 4, 120)
        fault = broker.fake.faults.add(Fault(action="DeleteInstances", code="", status=200, times=6))
        await broker.end()
        assert fault.happened > 0
        assert sorted(broker.done) == sorted(names)


async def test_f11_instances_that_somebody_else_deletes_are_gone_without_a_word(tmp_path: Path) -> None:
    async with broker_on_alibaba(tmp_path) as broker:
        names = await broker.ask(6)
        await broker.until(lambda: len(broker.done) == 6, 120)
        for one in broker.world.ours():
            broker.fake.ecs.vanish(one.id)
        await broker.end()
        assert sorted(broker.done) == sorted(names)


@pytest.mark.parametrize("drop", [False, True], ids=["503", "no-answer"])
async def test_f11_an_outage_of_the_api_during_the_end_leaks_nothing(drop: bool, tmp_path: Path) -> None:
    async with broker_on_alibaba(tmp_path) as broker:
        names = await broker.ask(6)
        await broker.until(lambda: len(broker.done) == 6, 120)
        code = {} if drop else {"code": "ServiceUnavailable", "status": 503}
        broker.fake.faults.add(Fault(times=None, drop=drop, **code))  # type: ignore[arg-type]  # texts and a number
        await broker.run(900)
        assert len(broker.world.ours()) == 3
        assert len(await broker.rows()) == 3, "no answer is not an end"
        broker.fake.faults.clear()
        took = await broker.until(broker.over, 200)
        assert took <= 120
        await broker.end()
        assert sorted(broker.done) == sorted(names)


async def test_hosts_that_belong_to_nobody_are_deleted_after_the_grace_and_those_of_others_never(
    tmp_path: Path,
) -> None:
    async with broker_on_alibaba(tmp_path) as broker:
        names = await busy(broker, build_s=800)
        ours = living(broker)
        orphan = await broker.world.stranger()
        foreign = await broker.world.stranger("h-00000000aaaa", installation="ffff0000")
        forged = await broker.world.stranger("h-00000000bbbb", key="somebody's")
        stripped = await broker.world.stranger("h-00000000cccc")
        broker.fake.ecs.instance(stripped).tags.clear()
        [host] = [one for one in broker.world.ours() if one.id == sorted(ours)[0]]
        copied = broker.world.copy(host, "i-bp1copyofatrueone0000", {})
        await broker.run(115)
        assert living(broker) == ours | {orphan, foreign, forged, stripped, copied}, "younger than the grace"
        await broker.until(lambda: orphan not in living(broker), 400)
        await broker.run(250)
        assert living(broker) == ours | {foreign, forged, stripped, copied}
        await broker.end()
        await broker.run(500)
        assert living(broker) == {foreign, forged, stripped, copied}
        deleted = {one for call in broker.fake.ledger.of("DeleteInstances") for one in call.parameters["InstanceId"]}
        assert not deleted & {foreign, forged, stripped, copied}
        assert sorted(broker.done) == sorted(names)


async def test_a_host_whose_tags_are_stripped_ends_no_build_and_ends_at_its_release_time(tmp_path: Path) -> None:
    async with broker_on_alibaba(tmp_path, auto_release=2400.0) as broker:
        names = await busy(broker, 2, build_s=120)
        [one] = broker.world.ours()
        one.tags.clear()
        await broker.until(lambda: len(broker.done) == 2, 200)
        assert {agent.outcome for agent in await broker.agents(names)} == {Outcome.SUCCEEDED}
        await broker.end(2500)
        released = list(broker.fake.ledger.of("ModifyInstanceAutoReleaseTime"))
        assert released == []
