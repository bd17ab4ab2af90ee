"""The real SDK on the fake's ECS, through its front."""

import pytest
from botocore.exceptions import ClientError

from broker.demo.clouds.aws import FakeAws
from broker.demo.clouds.serving import serving
from broker.demo.clouds.throttles import FARGATE_TASKS
from broker.testing.clock import EPOCH, ManualClock
from tests.fake_aws import a_client
from tests.unit.demo.clouds.ecs.requests import fargate_definition, on_fargate


async def test_the_real_sdk_runs_watches_and_stops_a_task(fake: FakeAws, clock: ManualClock) -> None:
    async with serving(fake) as url, a_client(fake, url) as client:
        await client.register_task_definition(**fargate_definition())
        ran = await client.run_task(**on_fargate(fake.ecs, startedBy="broker/a", clientToken="t"))
        arn = ran["tasks"][0]["taskArn"]
        assert ran["tasks"][0]["createdAt"] == EPOCH
        await clock.advance(60)
        assert (await client.list_tasks(startedBy="broker/a"))["taskArns"] == [arn]
        told = (await client.describe_tasks(tasks=[arn], include=["TAGS"]))["tasks"][0]
        assert told["lastStatus"] == "RUNNING"
        await client.stop_task(task=arn, reason="enough")
        await clock.advance(60)
        told = (await client.describe_tasks(tasks=[arn]))["tasks"][0]
        assert (told["lastStatus"], told["stoppedReason"]) == ("STOPPED", "enough")
    assert fake.ledger.problems == []


async def test_the_real_sdk_reads_a_conflict_with_its_tasks(fake: FakeAws) -> None:
    async with serving(fake) as url, a_client(fake, url) as client:
        await client.register_task_definition(**fargate_definition())
        ran = await client.run_task(**on_fargate(fake.ecs, clientToken="t"))
        with pytest.raises(ClientError) as caught:
            await client.run_task(**on_fargate(fake.ecs, clientToken="t", count=2))
    assert caught.value.response["Error"]["Code"] == "ConflictException"
    assert caught.value.response["resourceIds"] == [ran["tasks"][0]["taskArn"]]


async def test_fargates_launch_quota_throttles_and_makes_nothing(fake: FakeAws) -> None:
    fake.throttles.limit(FARGATE_TASKS, burst=3, rate=0)
    async with serving(fake) as url, a_client(fake, url) as client:
        await client.register_task_definition(**fargate_definition())
        await client.run_task(**on_fargate(fake.ecs, count=2))
        with pytest.raises(ClientError, match="ThrottlingException"):
            await client.run_task(**on_fargate(fake.ecs, count=2))
        await client.run_task(**on_fargate(fake.ecs, count=1))
    assert len(fake.ecs.tasks) == 3
