"""Amazon has no room, takes it back, or refuses for good: what becomes of builds, and how often it is asked in vain.

Each test names its fault of the list that all backends are held to; tasks are counted in the cloud at every step.
"""

from pathlib import Path

import pytest

from broker.demo.clouds.ecs.tasks import Status
from broker.demo.clouds.faults import Fault
from broker.domain.lifecycle import Goal, Outcome, Phase
from broker.domain.reason import Reason
from tests.integration.clouds.ecs_broker import Broker, broker_on_aws
from tests.integration.clouds.ecs_broker_parts import SUBNETS, definitions, fargate

SPOT_FIRST = [fargate("spot", capacity_provider="FARGATE_SPOT"), fargate("demand")]


async def test_f8_one_zone_without_stock_costs_no_attempt(tmp_path: Path) -> None:
    async with broker_on_aws(tmp_path) as broker:
        zone = broker.fake.ec2.subnets[SUBNETS[0]].zone
        broker.fake.ecs.close_capacity("FARGATE", zone)
        names = await broker.ask(9)
        await broker.until(lambda: len(broker.builds) == 9, 60)
        agents = await broker.agents(names)
        assert zone not in {agent.zone for agent in agents}
        assert all(agent.attempt - agent.refusals == 1 for agent in agents)
        assert sum(1 for call in broker.fake.ledger.of("RunTask") if _zones_of(broker, call.parameters) == {zone}) <= 9
        await broker.end()
        assert sorted(broker.done) == sorted(names)


async def test_f8_spot_without_stock_sends_agents_to_on_demand_at_once(tmp_path: Path) -> None:
    async with broker_on_aws(tmp_path, definitions(SPOT_FIRST)) as broker:
        broker.fake.ecs.close_capacity("FARGATE_SPOT")
        names = await broker.ask(8)
        await broker.until(lambda: len(broker.made()) == 8, 10)
        assert {agent.pool for agent in await broker.agents(names)} == {"demand"}
        await broker.until(lambda: len(broker.done) == 8)
        tried = [call for call in broker.fake.ledger.of("RunTask") if call.code or _spot(call.parameters)]
        assert len(tried) <= 24, "each of the three zones at most once by each"
        again = await broker.ask(4)
        await broker.until(lambda: len(broker.done) == 12)
        assert len([c for c in broker.fake.ledger.of("RunTask") if _spot(c.parameters)]) == len(tried), "it rests"
        await broker.end()
        assert {agent.outcome for agent in await broker.agents([*names, *again])} == {Outcome.SUCCEEDED}


async def test_f8_no_stock_anywhere_is_one_clear_reason_and_few_calls(tmp_path: Path) -> None:
    async with broker_on_aws(tmp_path, definitions(SPOT_FIRST)) as broker:
        broker.fake.ecs.close_capacity("FARGATE_SPOT")
        broker.fake.ecs.close_capacity("FARGATE")
        names = await broker.ask(5)
        await broker.run(170)
        agents = await broker.agents(names)
        assert {agent.phase for agent in agents} == {Phase.REQUESTED}
        assert {agent.why for agent in agents} == {Reason.INSUFFICIENT_CAPACITY}
        for agent in agents:
            assert "pool spot (eu-west-1a, FARGATE_SPOT) is left alone until" in agent.message
            assert "SpotUnavailable: Capacity is unavailable at this time" in agent.message
        assert broker.fake.ledger.count("RunTask") <= 5 * 6
        before = broker.fake.ledger.count("RunTask")
        await broker.run(180)
        assert broker.fake.ledger.count("RunTask") - before <= 5 * 6, "each offering again after its three minutes"
        broker.fake.ecs.open_capacity()
        await broker.until(lambda: len(broker.builds) == 5, 240)
        await broker.end()
        assert sorted(broker.done) == sorted(names)


def _spot(request: dict[str, object]) -> bool:
    return "FARGATE_SPOT" in str(request.get("capacityProviderStrategy"))


def _zones_of(broker: Broker, request: dict[str, object]) -> set[str]:
    network = request["networkConfiguration"]
    assert isinstance(network, dict)
    return {broker.fake.ec2.subnets[name].zone for name in network["awsvpcConfiguration"]["subnets"]}


async def test_f21_a_notice_drains_an_agent_whose_short_build_ends_in_time(tmp_path: Path) -> None:
    async with broker_on_aws(tmp_path, definitions(SPOT_FIRST)) as broker:
        [name] = await broker.ask()
        await broker.until(lambda: len(broker.builds) == 1)
        agent = await broker.agent(name)
        broker.fake.ecs.interrupt(broker.task_of(agent.id).arn)
        await broker.run(8)
        assert (await broker.agent(name)).why is Reason.SPOT_INTERRUPTED
        await broker.end()
        assert broker.done == [name]
        assert len(broker.made()) == 1


async def test_f21_a_notice_gives_a_long_build_up_before_its_machine_goes(tmp_path: Path) -> None:
    async with broker_on_aws(tmp_path, definitions(SPOT_FIRST)) as broker:
        broker.build_s = 900
        [name] = await broker.ask()
        await broker.until(lambda: len(broker.builds) == 1)
        agent = await broker.agent(name)
        broker.fake.ecs.interrupt(broker.task_of(agent.id).arn)
        await broker.end()
        agent = await broker.agent(name)
        assert (agent.phase, agent.why, agent.outcome) == (Phase.GONE, Reason.SPOT_INTERRUPTED, Outcome.FAILED)
        assert "Spot Task was interrupted" in agent.message
        assert broker.done == []


async def test_f21_a_machine_taken_back_without_notice_ends_its_agent_once(tmp_path: Path) -> None:
    async with broker_on_aws(tmp_path, definitions(SPOT_FIRST)) as broker:
        [name] = await broker.ask()
        await broker.until(lambda: len(broker.builds) == 1)
        taken = broker.task_of((await broker.agent(name)).id).arn
        words = "Your Spot Task was interrupted."
        broker.fake.ecs.stop(taken, exit_code=137, stop_code="SpotInterruption", stopped_reason=words)
        await broker.end()
        agent = await broker.agent(name)
        assert (agent.phase, agent.outcome) == (Phase.GONE, Outcome.FAILED)
        assert words in agent.message
        assert len(broker.made()) == 1


async def test_f21_one_taken_back_while_it_boots_is_replaced_once(tmp_path: Path) -> None:
    async with broker_on_aws(tmp_path, definitions(SPOT_FIRST)) as broker:
        [name] = await broker.ask()
        await broker.run(4)
        booting = broker.task_of((await broker.agent(name)).id)
        assert booting.status(broker.fake.ecs.now) in {Status.PROVISIONING, Status.PENDING}
        broker.fake.ecs.interrupt(booting.arn)
        await broker.end()
        assert broker.done == [name]
        assert len(broker.made()) == 2


async def test_f21_a_notice_for_a_task_of_others_or_one_that_has_ended_concerns_nobody(tmp_path: Path) -> None:
    async with broker_on_aws(tmp_path, definitions(SPOT_FIRST)) as broker:
        broker.build_s = 60
        beside = broker.backend("ffff0000")
        [foreign] = await broker.launch_beside(beside, "f" * 32)
        [name] = await broker.ask()
        await broker.until(lambda: len(broker.builds) == 1)
        broker.fake.ecs.interrupt(foreign)
        await broker.run(30)
        agent = await broker.agent(name)
        assert (agent.phase, agent.goal) == (Phase.ONLINE, Goal.ONLINE)
        arn = broker.task_of(agent.id).arn
        await broker.end()
        broker.fake.ecs.interrupt(arn)
        await broker.run(10)
        assert broker.done == [name]
        await beside.close()


async def test_f21_a_hundred_notices_at_once_drain_each_agent_once_and_their_followers_come(tmp_path: Path) -> None:
    async with broker_on_aws(tmp_path, definitions(SPOT_FIRST)) as broker:
        broker.build_s = 40
        names = await broker.ask(100)
        await broker.until(lambda: len(broker.builds) == 100, 120)
        broker.fake.ecs.close_capacity("FARGATE_SPOT")
        for task in broker.ours():
            broker.fake.ecs.interrupt(task.arn)
        followers = await broker.ask(100)
        await broker.run(6)
        agents = await broker.agents(names)
        assert {agent.goal for agent in agents if agent.phase is not Phase.GONE} == {Goal.DRAINED}
        await broker.until(lambda: len(broker.done) == 200, 300)
        assert {agent.pool for agent in await broker.agents(followers)} == {"demand"}
        await broker.end()
        assert sorted(broker.done) == sorted([*names, *followers])
        assert len(broker.made()) == 200


@pytest.mark.parametrize("code", ["ExpiredTokenException", "AccessDeniedException"])
async def test_f26_a_launch_refused_for_good_opens_the_breaker_and_ends_go_on(code: str, tmp_path: Path) -> None:
    async with broker_on_aws(tmp_path) as broker:
        broker.build_s = 300
        before = await broker.ask(3)
        await broker.until(lambda: len(broker.builds) == 3)
        await broker.run(5)
        if code == "AccessDeniedException":
            broker.fake.rights.deny("ecs:RunTask")
        else:
            broker.fake.faults.add(Fault(action="RunTask", code=code, times=None))
        made = broker.fake.ledger.count("RunTask")
        names = await broker.ask(20)
        await broker.run(5)
        tried = broker.fake.ledger.count("RunTask") - made
        assert 1 <= tried <= 24, "those that were under way when the first answer came"
        await broker.run(275)
        assert broker.fake.ledger.count("RunTask") - made == tried, "no call until the rest is over"
        agents = await broker.agents(names)
        reason = Reason.ACCESS_DENIED if code == "AccessDeniedException" else Reason.CREDENTIALS_INVALID
        assert {agent.why for agent in agents} <= {Reason.POOL_COOLING_DOWN, reason}
        assert all(code in agent.message for agent in agents)
        await broker.until(lambda: len(broker.done) == 3)
        await broker.run(30)
        assert broker.ours() == [], "ends go on"
        broker.fake.rights.allow_all()
        broker.fake.faults.clear()
        waiting = [a.name for a in await broker.agents(names) if a.phase is not Phase.GONE]
        await broker.until(lambda: len(broker.done) == 3 + len(waiting), 1500)
        await broker.end()
        assert sorted(broker.done) == sorted([*before, *waiting])
        assert len(waiting) == 20, "the breaker opens before anybody's attempts are used up"
