"""The limits of an account: which calls share a bucket, how it fills, and what is told when it is empty."""

from contextlib import suppress

import pytest
from botocore.exceptions import ClientError

from broker.demo.clouds.aws import FakeAws
from broker.demo.clouds.model import ApiError, Call, Identity, Parameters, Service
from broker.demo.clouds.serving import serving
from broker.demo.clouds.throttles import Throttles
from broker.testing.clock import ManualClock
from tests.fake_aws import a_client


class Clusters(Service):
    """Two actions that share a bucket."""

    name = "ecs"

    async def DescribeClusters(self, call: Call) -> Parameters:
        """None."""
        return {"clusters": [], "failures": []}

    async def ListClusters(self, call: Call) -> Parameters:
        """None."""
        return {"clusterArns": []}


def a_call(action: str, *, account: str = "1" * 12, region: str = "eu-west-1", service: str = "ecs") -> Call:
    """A call as the limits see it."""
    identity = Identity(account=account, arn=f"arn:aws:iam::{account}:user/x", user_id="x")
    return Call(service=service, action=action, identity=identity, region=region, at=ManualClock().now())


def taken(throttles: Throttles, call: Call, tries: int) -> int:
    """How many of so many tries at once are let through."""
    through = 0
    for _ in range(tries):
        with suppress(ApiError):
            throttles.take(call)
            through += 1
    return through


async def test_actions_of_one_family_share_a_bucket_and_the_refusal_is_that_of_ecs() -> None:
    clock = ManualClock()
    fake = FakeAws(clock)
    fake.add(Clusters())
    async with serving(fake) as url, a_client(fake, url) as ecs:
        for _ in range(25):
            await ecs.describe_clusters()
            await ecs.list_clusters()
        with pytest.raises(ClientError, match=r"ThrottlingException.*Rate exceeded") as refused:
            await ecs.list_clusters()
        assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
        await clock.advance(0.1)
        await ecs.list_clusters()
        await ecs.list_clusters()
        with pytest.raises(ClientError, match="ThrottlingException"):
            await ecs.list_clusters()
    assert fake.ledger.count(code="ThrottlingException") == fake.throttles.refused == 2


@pytest.mark.parametrize(
    ("action", "burst", "in_ten_seconds"),
    [
        ("RunTask", 100, 100),
        ("DescribeTasks", 100, 100),
        ("RegisterTaskDefinition", 20, 10),
        ("DescribeTaskDefinition", 50, 50),
        ("TagResource", 20, 20),
    ],
)
async def test_a_bucket_has_the_documented_burst_and_fills_no_higher(
    action: str, burst: int, in_ten_seconds: int
) -> None:
    clock = ManualClock()
    throttles = Throttles(clock.monotonic)
    assert taken(throttles, a_call(action), 300) == burst
    await clock.advance(10)
    assert taken(throttles, a_call(action), 300) == in_ten_seconds


def test_accounts_and_regions_have_buckets_of_their_own() -> None:
    throttles = Throttles(ManualClock().monotonic)
    assert taken(throttles, a_call("DescribeTasks"), 300) == 100
    assert taken(throttles, a_call("DescribeTasks", region="us-east-1"), 300) == 100
    assert taken(throttles, a_call("DescribeTasks", account="2" * 12), 300) == 100
    assert taken(throttles, a_call("ListTasks"), 300) == 0


def test_a_launch_on_fargate_takes_from_all_its_buckets_or_from_none() -> None:
    throttles = Throttles(ManualClock().monotonic)
    call = a_call("RunTask")
    for _ in range(10):
        throttles.fargate(call, spot=False, tasks=10)
    with pytest.raises(ApiError):
        throttles.fargate(call, spot=False, tasks=1)
    for _ in range(10):  # the refused one took no token of the twenty calls
        throttles.fargate(call, spot=True, tasks=1)
    with pytest.raises(ApiError):
        throttles.fargate(call, spot=True, tasks=1)


async def test_a_quota_may_be_lowered_while_all_runs() -> None:
    clock = ManualClock()
    throttles = Throttles(clock.monotonic)
    assert taken(throttles, a_call("RunTask"), 10) == 10
    throttles.limit("resource-modify", burst=20, rate=10)
    assert taken(throttles, a_call("RunTask"), 100) == 20
    await clock.advance(1)
    assert taken(throttles, a_call("StopTask"), 100) == 10
