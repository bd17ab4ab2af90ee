"""Clusters, capacity providers and tags."""

from typing import Any

import pytest

from broker.demo.clouds.ecs import tagging
from broker.demo.clouds.ecs.service import FakeEcs
from broker.demo.clouds.model import ApiError
from broker.testing.clock import ManualClock
from tests.unit.demo.clouds.ecs.conftest import Api
from tests.unit.demo.clouds.ecs.requests import fargate_definition, machine_definition, on_fargate

ARN = "arn:aws:ecs:eu-west-1:111122223333"
GROUP = {"autoScalingGroupArn": "arn:aws:autoscaling:eu-west-1:111122223333:autoScalingGroup:x"}


async def test_a_cluster_is_made_once(api: Api) -> None:
    first = await api("CreateCluster", clusterName="builds", tags=[{"key": "a", "value": "1"}])
    again = await api("CreateCluster", clusterName="builds")
    assert first["cluster"]["clusterArn"] == again["cluster"]["clusterArn"] == f"{ARN}:cluster/builds"
    assert again["cluster"]["tags"] == [{"key": "a", "value": "1"}]


async def test_clusters_are_listed_in_pages(ecs: FakeEcs, api: Api) -> None:
    for number in range(7):
        ecs.add_cluster(f"c{number}")
    ecs.clusters["c3"].status = "INACTIVE"
    first = await api("ListClusters", maxResults=5)
    rest = await api("ListClusters", maxResults=5, nextToken=first["nextToken"])
    names = [arn.rpartition("/")[2] for arn in first["clusterArns"] + rest["clusterArns"]]
    assert names == ["c0", "c1", "c2", "c4", "c5", "c6", "default"]


async def test_clusters_count_their_tasks_and_instances(ecs: FakeEcs, api: Api, clock: ManualClock) -> None:
    ecs.add_instance()
    await api("RegisterTaskDefinition", **fargate_definition())
    await api("RegisterTaskDefinition", **machine_definition())
    await api("RunTask", **on_fargate(ecs, count=3))
    await clock.advance(60)
    await api("RunTask", taskDefinition="machines")
    reply = await api("DescribeClusters", clusters=["default", f"{ARN}:cluster/nowhere"], include=["STATISTICS"])
    told = reply["clusters"][0]
    counts = ("runningTasksCount", "pendingTasksCount", "registeredContainerInstancesCount")
    assert [told[name] for name in counts] == [3, 1, 1]
    assert {"name": "runningFargateTasksCount", "value": "3"} in told["statistics"]
    assert told["capacityProviders"] == ["FARGATE", "FARGATE_SPOT"]
    assert reply["failures"] == [{"arn": f"{ARN}:cluster/nowhere", "reason": "MISSING"}]


async def test_providers_are_described_ten_at_a_time(api: Api) -> None:
    scaling = {**GROUP, "managedScaling": {"status": "ENABLED", "targetCapacity": 80}}
    for number in range(12):
        await api("CreateCapacityProvider", name=f"p{number:02}", autoScalingGroupProvider=scaling)
    first = await api("DescribeCapacityProviders")
    rest = await api("DescribeCapacityProviders", nextToken=first["nextToken"])
    assert (len(first["capacityProviders"]), len(rest["capacityProviders"])) == (10, 4)
    one = (await api("DescribeCapacityProviders", capacityProviders=["p03", "none"]))["capacityProviders"][0]
    assert one["autoScalingGroupProvider"]["managedScaling"]["targetCapacity"] == 80
    fargate = (await api("DescribeCapacityProviders", capacityProviders=["FARGATE"]))["capacityProviders"][0]
    assert (fargate["status"], fargate["type"]) == ("ACTIVE", "FARGATE")


@pytest.mark.parametrize("name", ["aws-x", "FargateX", "ecs1", "a b"])
async def test_names_that_aws_keeps_for_itself_are_refused(refusal: Any, name: str) -> None:
    error = await refusal("CreateCapacityProvider", name=name, autoScalingGroupProvider=GROUP)
    assert error.code == "InvalidParameterException"


async def test_a_provider_in_use_stays_with_its_cluster(
    ecs: FakeEcs, api: Api, clock: ManualClock, refusal: Any
) -> None:
    await api("RegisterTaskDefinition", **fargate_definition())
    asked = on_fargate(ecs, capacityProviderStrategy=[{"capacityProvider": "FARGATE_SPOT", "weight": 1}])
    del asked["launchType"]
    task = (await api("RunTask", **asked))["tasks"][0]
    change: dict[str, Any] = {
        "cluster": "default",
        "capacityProviders": ["FARGATE"],
        "defaultCapacityProviderStrategy": [],
    }
    assert (await refusal("PutClusterCapacityProviders", **change)).code == "ResourceInUseException"
    ecs.stop(task["taskArn"])
    await clock.advance(60)
    assert (await api("PutClusterCapacityProviders", **change))["cluster"]["capacityProviders"] == ["FARGATE"]


async def test_a_default_strategy_of_a_provider_elsewhere_changes_nothing(ecs: FakeEcs, refusal: Any) -> None:
    error = await refusal(
        "PutClusterCapacityProviders",
        cluster="default",
        capacityProviders=["FARGATE"],
        defaultCapacityProviderStrategy=[{"capacityProvider": "FARGATE_SPOT", "weight": 1}],
    )
    assert error.code == "InvalidParameterException"
    assert ecs.clusters["default"].providers == ["FARGATE", "FARGATE_SPOT"]


async def test_fargate_and_machines_are_not_mixed_in_a_strategy(ecs: FakeEcs, refusal: Any) -> None:
    ecs.add_provider("builders")
    both = [{"capacityProvider": name, "weight": 1} for name in ("FARGATE", "builders")]
    error = await refusal(
        "PutClusterCapacityProviders",
        cluster="default",
        capacityProviders=["FARGATE", "builders"],
        defaultCapacityProviderStrategy=both,
    )
    assert "only Fargate or only" in error.message


async def test_everything_that_has_tags_can_be_tagged(ecs: FakeEcs, api: Api) -> None:
    await api("RegisterTaskDefinition", **fargate_definition())
    task = (await api("RunTask", **on_fargate(ecs)))["tasks"][0]["taskArn"]
    ecs.add_provider("builders")
    things = [
        f"{ARN}:cluster/default",
        f"{ARN}:task-definition/agents:1",
        f"{ARN}:capacity-provider/builders",
        ecs.add_instance().arn,
        task,
    ]
    for arn in things:
        await api("TagResource", resourceArn=arn, tags=[{"key": "a", "value": "1"}, {"key": "b", "value": "2"}])
        await api("TagResource", resourceArn=arn, tags=[{"key": "a", "value": "3"}])
        await api("UntagResource", resourceArn=arn, tagKeys=["b", "c"])
        reply = await api("ListTagsForResource", resourceArn=arn)
        assert reply == {"tags": [{"key": "a", "value": "3"}]}


WRONG: list[tuple[str, list[dict[str, str]], str]] = [
    ("cluster/nowhere", [{"key": "a"}], "could not be found"),
    ("task/" + "0" * 32, [{"key": "a"}], "Long arn format must be used for tagging operations"),
    ("nonsense/x", [{"key": "a"}], "Invalid resource ARN"),
    ("cluster/default", [{"key": f"k{n}"} for n in range(31)], "at most 50"),
    ("cluster/default", [{"key": "aws:a"}], "aws:"),
    ("cluster/default", [{"key": "a", "value": "é" * 257}], "256"),
    ("cluster/default", [{"key": "a", "value": "1;2"}], "invalid characters"),
]


@pytest.mark.parametrize(("resource", "tags", "words"), WRONG)
async def test_tags_that_may_not_be_are_refused(
    ecs: FakeEcs, resource: str, tags: list[dict[str, str]], words: str
) -> None:
    ecs.clusters["default"].tags.update({f"t{n}": "" for n in range(20)})
    with pytest.raises(ApiError, match="InvalidParameterException") as caught:
        tagging.put(ecs.region, {"resourceArn": f"{ARN}:{resource}", "tags": tags})
    assert words in caught.value.message
