"""Calls to Alibaba Cloud go wrong under a whole broker: no leak, no duplicate, and every build gets its agent.

Each test names its fault of the list that all backends are held to; instances and agents are counted at every step.
"""

from datetime import timedelta
from pathlib import Path

import pytest

from broker.demo.clouds.faults import Fault
from broker.domain.host import HostPhase
from broker.domain.lifecycle import Outcome, Phase
from broker.domain.reason import Reason
from tests.integration.clouds.alibaba_broker import Broker, broker_on_alibaba
from tests.integration.clouds.alibaba_broker_parts import definitions, pool_of_hosts

CALLS = ("RunInstances", "DescribeInstances", "DeleteInstances")


async def test_builds_get_their_hosts_and_nothing_is_left(tmp_path: Path) -> None:
    async with broker_on_alibaba(tmp_path) as broker:
        names = await broker.ask(5)
        await broker.until(lambda: len(broker.done) == 5, 120)
        await broker.end()
        assert sorted(broker.done) == sorted(names)
        assert len(broker.world.orders) == 3


@pytest.mark.parametrize("after_effect", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("action", CALLS)
async def test_f1_some_calls_that_fail_with_500_cost_no_build_its_agent(
    action: str, after_effect: bool, tmp_path: Path
) -> None:
    async with broker_on_alibaba(tmp_path) as broker:
        share = 0.7 if action != "DescribeInstances" else 0.1
        for code, status in (("InternalError", 500), ("ServiceUnavailable", 503)):
            fault = Fault(action=action, code=code, status=status, times=None, probability=share / 2)
            fault.after_effect = after_effect
            broker.fake.faults.add(fault)
        names = list[str]()
        for _ in range(6):
            names += await broker.ask(2)
            await broker.run(4)
        await broker.end()
        assert sorted(broker.done) == sorted(names)
        assert len(broker.world.orders) == len(broker.tokens()) == 6
        assert broker.fake.ledger.count(action) > broker.fake.ledger.count(action, code="")


async def test_f1_orders_that_all_fail_are_made_ever_more_seldom_with_one_token_and_another_pool_serves(
    tmp_path: Path,
) -> None:
    rules = {"boot_timeout": timedelta(minutes=2)}
    pools = [
        pool_of_hosts("here", rules=rules, vswitches=["vsw-bp1agentsh"]),
        pool_of_hosts("there", rules=rules, vswitches=["vsw-bp1agentsi"]),
    ]
    async with broker_on_alibaba(tmp_path, definitions(pools)) as broker:
        broker.fake.faults.add(
            Fault(
                action="RunInstances", code="ServiceUnavailable", status=503, times=None,
                where=lambda p: p["VSwitchId"] == "vsw-bp1agentsh",
            )
        )  # fmt: skip
        names = await broker.ask(10)
        await broker.until(lambda: len(broker.done) == 10, 400)
        assert {agent.pool for agent in await broker.agents(names)} == {"there"}
        failed = [call for call in broker.fake.ledger.of("RunInstances") if call.code]
        tokens = {call.parameters["ClientToken"] for call in failed}
        assert len(failed) <= 22 * len(tokens)
        assert len(tokens) <= 2
        took = await took_for(broker, 5)
        assert took < 90, "a pool whose breaker is open holds nobody up"
        await broker.end()
        assert {agent.outcome for agent in await broker.agents(names)} == {Outcome.SUCCEEDED}


async def took_for(broker: Broker, count: int) -> float:
    """So many more builds."""
    await broker.ask(count)
    wanted = len(broker.done) + count
    return await broker.until(lambda: len(broker.done) >= wanted, 400)


async def test_f1_an_outage_of_all_calls_for_ten_minutes_ends_no_build_and_leaves_nothing(tmp_path: Path) -> None:
    async with broker_on_alibaba(tmp_path) as broker:
        broker.world.build_s = 400
        names = await broker.ask(4)
        await broker.until(lambda: len(broker.builds) == 4, 120)
        broker.world.build_s = 20
        broker.fake.faults.add(Fault(code="ServiceUnavailable", status=503, times=None))
        names += await broker.ask(4)
        before = len(broker.fake.ledger)
        await broker.run(600)
        assert len(broker.done) == 4, "those that had their hosts"
        calls = len(broker.fake.ledger) - before
        assert calls < 600, f"{calls} calls in ten minutes of outage"
        broker.fake.faults.clear()
        await broker.end()
        assert sorted(broker.done) == sorted(names)


@pytest.mark.parametrize("code", ["Throttling.User", "Throttling"])
async def test_f2_throttling_of_every_action_is_one_pause_a_minute_each_and_costs_no_build(
    code: str, tmp_path: Path
) -> None:
    async with broker_on_alibaba(tmp_path) as broker:
        names = await broker.ask(6)
        await broker.run(10)
        faults = [broker.fake.faults.add(Fault(action=action, code=code, status=400, times=None)) for action in CALLS]
        names += await broker.ask(20)
        await broker.run(180)
        assert all(fault.happened <= 5 for fault in faults), [fault.happened for fault in faults]
        broker.fake.faults.clear()
        await broker.end()
        assert sorted(broker.done) == sorted(names)
        assert len(broker.world.orders) == 13


async def test_f2_orders_are_made_as_soon_as_the_cloud_has_said(tmp_path: Path) -> None:
    async with broker_on_alibaba(tmp_path) as broker:
        fault = Fault(action="RunInstances", code="Throttling.User", status=400, times=1, retry_after_ms=4000)
        broker.fake.faults.add(fault)
        await broker.ask(2)
        took = await broker.until(broker.world.ours, 30)
        assert 4 <= took <= 8
        assert fault.happened == 1
        await broker.end()


async def test_f2_a_closed_api_is_asked_again_in_the_next_minute(tmp_path: Path) -> None:
    async with broker_on_alibaba(tmp_path) as broker:
        await broker.run(5)
        broker.fake.throttles.close("RunInstances")
        names = await broker.ask(30)
        await broker.until(broker.world.ours, 70)
        assert broker.fake.ledger.count("RunInstances", code="Throttling.User") <= 2
        await broker.end()
        assert sorted(broker.done) == sorted(names)


@pytest.mark.parametrize("after_effect", [True, False], ids=["f3-made", "f4-not-made"])
async def test_f3_f4_lines_that_break_leave_one_instance_a_host(after_effect: bool, tmp_path: Path) -> None:
    async with broker_on_alibaba(tmp_path) as broker:
        broker.fake.faults.add(Fault(action="RunInstances", drop=True, after_effect=after_effect, times=3))
        names = await broker.ask(10)
        await broker.end()
        assert sorted(broker.done) == sorted(names)
        assert len(broker.world.orders) == 5
        assert len(broker.tokens()) == 1


async def test_f3_lines_that_always_break_after_the_effect_leave_nothing_of_what_nobody_wants(tmp_path: Path) -> None:
    async with broker_on_alibaba(tmp_path) as broker:
        fault = broker.fake.faults.add(Fault(action="RunInstances", drop=True, after_effect=True, times=None))
        names = await broker.ask(6)
        await broker.run(30)
        assert len(broker.world.ours()) == 3
        for name in names:
            await broker.core.release(name, Reason.CANCELLED)
        await broker.end()
        assert fault.happened > 0
        assert len(broker.world.orders) == 3


CODES = {"InvalidAccessKeyId.NotFound": Reason.CREDENTIALS_INVALID, "Forbidden.RAM": Reason.ACCESS_DENIED}


@pytest.mark.parametrize("code", CODES)
async def test_f26_orders_refused_for_good_open_the_breaker_and_ends_go_on(code: str, tmp_path: Path) -> None:
    async with broker_on_alibaba(tmp_path) as broker:
        broker.world.build_s = 200
        before = await broker.ask(4)
        await broker.until(lambda: len(broker.builds) == 4, 120)
        broker.fake.faults.add(Fault(action="RunInstances", code=code, status=403, times=None))
        made = broker.fake.ledger.count("RunInstances")
        broker.world.build_s = 20
        names = await broker.ask(20)
        await broker.run(170)
        tried = broker.fake.ledger.count("RunInstances") - made
        assert 1 <= tried <= 8, f"{tried} calls"
        agents = await broker.agents(names)
        assert {agent.why for agent in agents} <= {Reason.POOL_COOLING_DOWN, CODES[code]}
        assert all(code in agent.message for agent in agents), agents[0].message
        await broker.until(lambda: len(broker.done) >= 4, 300)
        await broker.until(lambda: not broker.world.ours(), 120)  # ends go on
        broker.fake.faults.clear()
        waiting = [agent.name for agent in await broker.agents(names) if agent.phase is not Phase.GONE]
        await broker.end()
        assert sorted(broker.done) == sorted([*before, *waiting])
        assert len(waiting) == 20, "the breaker opens before anybody's attempts are used up"


async def test_f26_revoked_keys_end_nothing_and_all_goes_on_when_they_are_good_again(tmp_path: Path) -> None:
    async with broker_on_alibaba(tmp_path) as broker:
        broker.world.build_s = 300
        names = await broker.ask(4)
        await broker.until(lambda: len(broker.builds) == 4, 120)
        broker.fake.faults.add(Fault(code="InvalidAccessKeyId.NotFound", status=404, times=None))
        await broker.run(240)
        assert {agent.phase for agent in await broker.agents(names)} == {Phase.ONLINE}
        assert {host.phase for host in await broker.rows()} == {HostPhase.READY}
        assert len(broker.world.ours()) == 2
        broker.fake.faults.clear()
        await broker.end()
        assert sorted(broker.done) == sorted(names)


@pytest.mark.parametrize("action", ["DescribeInstances", "DescribeAvailableResource", "ModifyInstanceAutoReleaseTime"])
async def test_f26_what_one_action_is_denied_keeps_no_other_from_its_work(action: str, tmp_path: Path) -> None:
    async with broker_on_alibaba(tmp_path) as broker:
        names = await broker.ask(4)
        await broker.until(lambda: len(broker.builds) == 4, 120)
        broker.fake.rights.deny(f"ecs:{action}")
        await broker.until(lambda: len(broker.done) == 4, 120)
        await broker.run(90)
        assert broker.world.ours() == [], "deletes are still tried"
        broker.fake.rights.allow_all()
        await broker.end()
        assert sorted(broker.done) == sorted(names)
