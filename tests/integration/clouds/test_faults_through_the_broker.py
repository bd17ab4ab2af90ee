"""Calls to Amazon ECS go wrong under a whole broker: no leak, no duplicate, and every build gets its agent.

Each test names its fault of the list that all backends are held to; tasks are counted in the cloud at every step.
"""

from pathlib import Path

import pytest

from broker.demo.clouds.aws import FakeAws
from broker.demo.clouds.ecs import knobs
from broker.demo.clouds.ecs.knobs import Fate
from broker.demo.clouds.faults import Fault
from broker.domain.ids import BackendName
from broker.domain.lifecycle import Outcome
from broker.domain.reason import Reason
from tests.integration.clouds.ecs_broker import broker_on_aws
from tests.integration.clouds.ecs_broker_parts import definitions, fargate

OTHER = BackendName("other")
SECOND_CLUSTER = {OTHER: {"cluster": "second"}}


def second_cluster(fake: FakeAws) -> None:
    fake.ecs.add_cluster("second")


@pytest.mark.parametrize("after_effect", [False, True])
async def test_f1_some_calls_that_fail_with_500_cost_no_build_its_agent(after_effect: bool, tmp_path: Path) -> None:
    async with broker_on_aws(tmp_path) as broker:
        fault = Fault(action="RunTask", code="ServerException", times=None, probability=0.2, after_effect=after_effect)
        broker.fake.faults.add(fault)
        names = await broker.ask(30)
        await broker.end()
        assert fault.happened > 0
        assert sorted(broker.done) == sorted(names)
        assert len(broker.made()) == len(set(broker.tokens())) == 30


async def test_f1_one_clusters_calls_that_all_fail_are_made_ever_more_seldom_and_the_other_serves(
    tmp_path: Path,
) -> None:
    pools = [fargate("here"), fargate("there", OTHER)]
    async with broker_on_aws(tmp_path, definitions(pools), SECOND_CLUSTER, second_cluster) as broker:
        broker.fake.faults.add(
            Fault(action="RunTask", code="ServiceUnavailable", times=None, where=lambda p: p["cluster"] == "default")
        )
        names = await broker.ask(10)
        await broker.until(lambda: len(broker.done) == 10)
        assert {agent.pool for agent in await broker.agents(names)} == {"there"}
        failed = [call for call in broker.fake.ledger.of("RunTask") if call.code]
        assert len(failed) <= 10 * 25
        assert len({call.parameters["clientToken"] for call in failed}) <= 10
        before = broker.clock.monotonic()
        later = await broker.ask(5)
        await broker.until(lambda: len(broker.done) == 15)
        assert broker.clock.monotonic() - before < 60, "a pool whose breaker is open holds nobody up"
        await broker.end()
        assert {agent.outcome for agent in await broker.agents([*names, *later])} == {Outcome.SUCCEEDED}


async def test_f2_throttling_of_every_action_costs_few_calls_and_no_build(tmp_path: Path) -> None:
    async with broker_on_aws(tmp_path) as broker:
        names = await broker.ask(10)
        await broker.run(4)
        faults = [
            broker.fake.faults.add(Fault(action=action, code="ThrottlingException", times=None))
            for action in ("RunTask", "DescribeTasks", "StopTask", "ListTasks")
        ]
        names += await broker.ask(10)
        await broker.run(60)
        assert sum(fault.happened for fault in faults) <= 60, "each family is tried at most once a second"
        assert all(fault.happened <= 30 for fault in faults)
        broker.fake.faults.clear()
        await broker.end()
        assert sorted(broker.done) == sorted(names)
        assert len(broker.made()) == 20


@pytest.mark.parametrize("after_effect", [True, False], ids=["f3-made", "f4-not-made"])
async def test_f3_f4_lines_that_break_leave_one_task_a_launch(after_effect: bool, tmp_path: Path) -> None:
    async with broker_on_aws(tmp_path) as broker:
        broker.fake.faults.add(Fault(action="RunTask", drop=True, after_effect=after_effect, times=15))
        names = await broker.ask(10)
        await broker.end()
        assert sorted(broker.done) == sorted(names)
        assert len(broker.made()) == len(set(broker.tokens())) == 10


async def test_f3_lines_that_always_break_after_the_effect_leave_nothing_of_what_was_given_up(tmp_path: Path) -> None:
    async with broker_on_aws(tmp_path) as broker:
        broker.silent = True
        fault = broker.fake.faults.add(Fault(action="RunTask", drop=True, after_effect=True, times=None))
        names = await broker.ask(5)
        await broker.run(30)
        assert len(broker.ours()) == 5
        for name in names:
            await broker.core.release(name, Reason.CANCELLED)
        await broker.end()
        assert fault.happened > 0
        assert len(broker.made()) == 5


async def test_f3_f5_f7_secrets_by_reference_are_all_gone_whatever_became_of_their_launches(tmp_path: Path) -> None:
    async with broker_on_aws(tmp_path, definitions([fargate(secret_delivery="ssm")])) as broker:
        broker.fake.ecs.failures_next("Capacity is unavailable at this time", times=2)
        broker.fake.ecs.fate_next(knobs.exits(1), 2)
        broker.fake.faults.add(Fault(action="RunTask", drop=True, after_effect=True, times=3))
        broker.fake.faults.add(Fault(action="RunTask", drop=True, times=2))
        broker.fake.faults.add(Fault(action="DeleteParameter", code="ThrottlingException", times=2))
        names = await broker.ask(8)
        await broker.until(lambda: len(broker.secrets()) >= 4)
        await broker.end()
        assert sorted(broker.done) == sorted(names)


async def test_f5_of_ten_launches_with_room_for_six_four_go_to_the_next_pool_at_once(tmp_path: Path) -> None:
    """Others take four places of the machines between the broker's look at them and its launches."""
    machines = fargate("machines", capacity_provider="", launch_type="EC2")
    pools = [machines, fargate("fargate")]

    def prepare(fake: FakeAws) -> None:
        fake.ecs.add_instance(cpu=10 * 1024, memory=10 * 512 + 100, enis=20)

    async with broker_on_aws(tmp_path, definitions(pools), prepare=prepare) as broker:
        await broker.run(3)
        beside = broker.backend("ffff0000")
        await broker.launch_beside(beside, *(f"{n:032x}" for n in range(1, 5)))
        names = await broker.ask(10)
        before = broker.clock.monotonic()
        await broker.until(lambda: len(broker.made()) == 10, 10)
        assert broker.clock.monotonic() - before <= 2
        where = [str(agent.pool) for agent in await broker.agents(names)]
        assert (where.count("machines"), where.count("fargate")) == (6, 4)
        refused = [call for call in broker.fake.ledger.of("RunTask") if call.parameters.get("launchType") == "EC2"]
        assert len(refused) >= 4 + 6
        await broker.end()
        assert sorted(broker.done) == sorted(names)
        assert len(broker.fake.ecs.living) == 4, "those of others live on"
        await beside.close()


async def test_f6_a_task_too_many_does_not_come_in_and_is_ended_once_nobody_owns_it(tmp_path: Path) -> None:
    async with broker_on_aws(tmp_path) as broker:
        broker.build_s = 120
        await broker.ask()
        await broker.until(lambda: len(broker.builds) == 1)
        [call] = broker.fake.ledger.of("RunTask")
        beside = broker.backend()
        client = await beside.calls.client_of("ecs")
        extra = (await client.run_task(**{**call.parameters, "clientToken": "extra"}))["tasks"][0]["taskArn"]
        broker.twins.add(extra)
        await broker.run(60)
        assert (len(broker.ours()), len(broker.builds), broker.refused) == (2, 1, [extra])
        await broker.end()
        await beside.close()
        assert len(broker.done) == 1


@pytest.mark.parametrize(
    ("fate", "reason"),
    [
        (knobs.no_capacity_after_all(), Reason.INSUFFICIENT_CAPACITY),
        (knobs.no_interface(), Reason.NETWORK_UNAVAILABLE),
        (knobs.out_of_memory(), Reason.CONTAINER_EXITED),
        (knobs.exits(1), Reason.CONTAINER_EXITED),
    ],
    ids=["no-capacity", "no-interface", "out-of-memory", "exits"],
)
async def test_f7_a_task_that_dies_after_its_launch_is_made_again_with_a_new_token(
    fate: Fate, reason: Reason, tmp_path: Path
) -> None:
    async with broker_on_aws(tmp_path) as broker:
        broker.fake.ecs.fate_next(fate)
        [name] = await broker.ask()
        await broker.until(lambda: len(broker.made()) == 2, 60)
        first, second = broker.fake.ledger.of("RunTask")
        assert first.parameters["clientToken"] != second.parameters["clientToken"]
        if reason in {Reason.INSUFFICIENT_CAPACITY, Reason.NETWORK_UNAVAILABLE}:
            assert _subnets(first.parameters) != _subnets(second.parameters), "the next offering"
        told = [event.why for event in await broker.core.ctx.history.of_agent((await broker.agent(name)).id)]
        assert reason in told
        await broker.end()
        assert broker.done == [name]


def _subnets(request: dict[str, object]) -> object:
    network = request["networkConfiguration"]
    assert isinstance(network, dict)
    return network["awsvpcConfiguration"]["subnets"]
