"""Tasks of Amazon ECS that belong to nobody, and those that only seem to: what the search for orphans ends.

And images that never run, and quotas that shrink: no loop of launches, no leak.
"""

from pathlib import Path

import pytest

from broker.demo.clouds.ecs import knobs
from broker.demo.clouds.ecs.knobs import Fate
from broker.demo.clouds.faults import Fault
from broker.demo.clouds.throttles import FARGATE_RUN
from broker.domain.ids import AgentId
from broker.domain.lifecycle import Phase
from broker.domain.reason import Reason
from broker.testing.factories import make_agent
from tests.integration.clouds.ecs_broker import Broker, broker_on_aws
from tests.integration.clouds.ecs_broker_parts import SUBNETS

FOREIGN, YOUNG, OLD, CONNECTED = "1" * 32, "2" * 32, "3" * 32, "4" * 32


def living(broker: Broker) -> set[str]:
    return {task.arn for task in broker.fake.ecs.living if task.is_wanted(broker.fake.ecs.now)}


async def strangers(broker: Broker, *agent_ids: str, installation: str = "0123abcd") -> list[str]:
    """Tasks of agents that the broker does not know, whose containers run on and never knock."""
    beside = broker.backend(installation)
    refs = await broker.launch_beside(beside, *agent_ids)
    broker.twins |= set(refs)
    await beside.close()
    return refs


async def test_of_one_foreign_one_young_one_old_and_one_connected_task_the_old_one_alone_is_ended(
    tmp_path: Path,
) -> None:
    async with broker_on_aws(tmp_path) as broker:
        [foreign] = await strangers(broker, FOREIGN, installation="ffff0000")
        old, connected = await strangers(broker, OLD, CONNECTED)
        await broker.run(15)
        broker.core.sessions.connect(make_agent(id=AgentId(CONNECTED), attempt=1))
        await broker.run(20)
        [young] = await strangers(broker, YOUNG)
        assert living(broker) == {foreign, old, connected, young}
        await broker.until(lambda: old not in living(broker), 70)
        assert living(broker) == {foreign, connected, young}
        await broker.until(lambda: young not in living(broker), 70)
        await broker.run(120)
        assert living(broker) == {foreign, connected}
        assert {call.parameters["task"] for call in broker.fake.ledger.of("StopTask")} == {old, young}


@pytest.mark.parametrize(
    "fault",
    [
        Fault(action="ListTasks", code="ServerException", times=None, where=lambda p: "nextToken" in p),
        Fault(
            action="DescribeTasks", code="ServerException", times=None, where=lambda p: "TAGS" in p.get("include", ())
        ),
        Fault(action="ListTasks", code="ThrottlingException", times=None),
    ],
    ids=["second-page", "tags", "throttled"],
)
async def test_f10_a_listing_that_misses_a_part_ends_nobody(fault: Fault, tmp_path: Path) -> None:
    async with broker_on_aws(tmp_path) as broker:
        broker.fake.throttles.unlimited()
        [orphan] = await strangers(broker, OLD)
        [call] = broker.fake.ledger.of("RunTask")
        beside = broker.backend()
        client = await beside.calls.client_of("ecs")
        for n in range(11):  # more than a page, and with no mark of ours but the name of who started them
            request = {**call.parameters, "clientToken": f"page-{n}", "count": 10, "tags": []}
            await client.run_task(**request)
        await beside.close()
        broker.fake.faults.add(fault)
        await broker.run(200)
        assert orphan in living(broker)
        assert fault.happened > 0
        broker.fake.faults.clear()
        await broker.until(lambda: orphan not in living(broker), 200)
        await broker.run(60)
        assert len(living(broker)) == 110
        assert {call.parameters["task"] for call in broker.fake.ledger.of("StopTask")} == {orphan}


async def test_f10_an_empty_listing_with_200_ends_no_agent_and_no_orphan(tmp_path: Path) -> None:
    async with broker_on_aws(tmp_path) as broker:
        broker.build_s = 200
        names = await broker.ask(3)
        await broker.until(lambda: len(broker.builds) == 3)
        [orphan] = await strangers(broker, OLD)
        tasks = [broker.fake.ecs.tasks[arn] for arn in living(broker)]
        seen_at = {task.arn: task.visible_at for task in tasks}
        for task in tasks:
            task.visible_at = broker.fake.ecs.now + 45
        await broker.run(44)
        assert set(seen_at) == living(broker)
        assert {agent.phase for agent in await broker.agents(names)} == {Phase.ONLINE}
        await broker.until(lambda: orphan not in living(broker), 120)
        await broker.end()
        assert sorted(broker.done) == sorted(names)


async def test_f27_copied_and_stripped_marks_are_nobodys(tmp_path: Path) -> None:
    async with broker_on_aws(tmp_path) as broker:
        copied, stripped = await strangers(broker, OLD, YOUNG)
        [call, _] = broker.fake.ledger.of("RunTask")
        beside = broker.backend()
        client = await beside.calls.client_of("ecs")
        elsewhere = await client.register_task_definition(
            family="theirs", containerDefinitions=[{"name": "agent", "image": "busybox", "memory": 128}],
            networkMode="awsvpc", cpu="256", memory="512", requiresCompatibilities=["FARGATE"],
        )  # fmt: skip
        theirs = {"taskDefinition": elsewhere["taskDefinition"]["taskDefinitionArn"], "overrides": {}}
        for change in ({"startedBy": "somebody"}, theirs, {"clientToken": "twin"}):
            await client.run_task(
                **{**call.parameters, "clientToken": f"copy-{len(change)}{next(iter(change))}"} | change
            )
        await beside.close()
        broker.fake.ecs.tasks[stripped].tags = {}
        before = living(broker)
        assert len(before) == 5
        broker.twins |= before
        await broker.run(150)
        assert living(broker) == before, "of two with one launch, neither is touched"
        assert broker.fake.ledger.count("StopTask") == 0
        assert copied in before


async def test_two_brokers_on_one_cluster_touch_nothing_of_each_other(tmp_path: Path) -> None:
    async with broker_on_aws(tmp_path) as broker:
        theirs = await strangers(broker, *(f"{n:032x}" for n in range(1, 4)), installation="ffff0000")
        names = await broker.ask(3)
        await broker.end()
        assert sorted(broker.done) == sorted(names)
        assert living(broker) == set(theirs)
        assert not {call.parameters["task"] for call in broker.fake.ledger.of("StopTask")} & set(theirs)


@pytest.mark.parametrize(
    ("fate", "reason"),
    [
        (knobs.cannot_pull("jenkins/inbound-agent:jdk21"), Reason.IMAGE_PULL_FAILED),
        (knobs.exits(1), Reason.CONTAINER_EXITED),
        (knobs.no_interface(), Reason.NETWORK_UNAVAILABLE),
        (knobs.no_address(SUBNETS[0]), Reason.NETWORK_UNAVAILABLE),
    ],
    ids=["image", "crash-loop", "interface", "address"],
)
async def test_f28_what_never_comes_up_is_told_and_launched_few_times(
    fate: Fate, reason: Reason, tmp_path: Path
) -> None:
    async with broker_on_aws(tmp_path) as broker:
        broker.fake.ecs.fate_next(fate, 10_000)
        names = await broker.ask(20)
        await broker.run(170)
        made = len(broker.made())
        agents = await broker.agents(names)
        assert {agent.why for agent in agents} <= {Reason.POOL_COOLING_DOWN, reason}
        assert all(reason in agent.message or agent.why is reason for agent in agents), agents[0].message
        assert made <= 20, f"{made} launches in three minutes"
        broker.fake.ecs.region.fates.clear()
        waiting = [agent.name for agent in agents if agent.phase is not Phase.GONE]
        later = await broker.ask()
        await broker.until(lambda: len(broker.done) == len(waiting) + 1, 1500)
        await broker.end()
        assert sorted(broker.done) == sorted([*waiting, *later])


async def test_a_quota_that_shrinks_in_the_middle_of_200_agents_costs_few_refusals_and_no_agent(tmp_path: Path) -> None:
    async with broker_on_aws(tmp_path) as broker:
        broker.build_s = 60
        names = await broker.ask(200)
        await broker.run(2)
        broker.fake.throttles.limit(FARGATE_RUN, burst=5, rate=5)
        broker.fake.throttles.limit("resource-read", burst=10, rate=5)
        await broker.run(8)
        adapted = len(broker.fake.ledger)
        await broker.until(lambda: len(broker.done) == 200)
        await broker.end()
        calls = list(broker.fake.ledger)[adapted:]
        refused = sum(1 for call in calls if call.code == "ThrottlingException")
        assert refused <= 0.01 * len(calls), f"{refused} of {len(calls)}"
        assert sorted(broker.done) == sorted(names)
        assert len(broker.made()) == 200
