"""What RunTask makes, and what it refuses."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from broker.demo.clouds.aws import FakeAws
from broker.demo.clouds.ec2 import SecurityGroup, Subnet
from broker.demo.clouds.ecs.service import FakeEcs
from broker.demo.clouds.model import ApiError
from broker.testing.clock import EPOCH, ManualClock
from tests.unit.demo.clouds.ecs.conftest import Api
from tests.unit.demo.clouds.ecs.requests import fargate_definition, machine_definition, network, on_fargate

Refusal = Callable[..., Awaitable[ApiError]]
SUBNET = "subnet-" + "a" * 17


@pytest.fixture(autouse=True)
async def definitions(ecs: FakeEcs, api: Api) -> None:
    """`agents` for Fargate, `machines` for a machine, of which there is one."""
    await api("RegisterTaskDefinition", **fargate_definition(tags=[{"key": "kind", "value": "agent"}]))
    await api("RegisterTaskDefinition", **machine_definition())
    ecs.add_instance()


async def test_a_fargate_task_is_told_as_the_api_does(ecs: FakeEcs, api: Api) -> None:
    reply = await api("RunTask", **on_fargate(ecs, networkConfiguration=network(ecs, SUBNET), startedBy="broker/x"))
    task = reply["tasks"][0]
    assert task["taskArn"].startswith("arn:aws:ecs:eu-west-1:111122223333:task/default/")
    told = {
        "clusterArn": "arn:aws:ecs:eu-west-1:111122223333:cluster/default",
        "taskDefinitionArn": "arn:aws:ecs:eu-west-1:111122223333:task-definition/agents:1",
        "lastStatus": "PROVISIONING",
        "desiredStatus": "RUNNING",
        "launchType": "FARGATE",
        "platformVersion": "1.4.0",
        "platformFamily": "Linux",
        "cpu": "512",
        "memory": "1024",
        "group": "family:agents",
        "startedBy": "broker/x",
        "availabilityZone": "eu-west-1a",
        "createdAt": EPOCH,
    }
    assert told.items() <= task.items()
    assert reply["failures"] == []


async def test_a_task_tells_its_interface_once_it_has_one(ecs: FakeEcs, api: Api, clock: ManualClock) -> None:
    reply = await api("RunTask", **on_fargate(ecs, networkConfiguration=network(ecs, SUBNET)))
    assert [one["status"] for one in reply["tasks"][0]["attachments"]] == ["PRECREATED"]
    await clock.advance(30)
    told = ecs.told(reply["tasks"][0]["taskArn"])
    details = {one["name"]: one["value"] for one in told["attachments"][0]["details"]}
    assert (told["attachments"][0]["status"], details["subnetId"]) == ("ATTACHED", SUBNET)
    assert details["privateIPv4Address"] == told["containers"][0]["networkInterfaces"][0]["privateIpv4Address"]


async def test_overrides_go_over_the_definition(ecs: FakeEcs, api: Api) -> None:
    environment = [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]
    container = {"name": "agent", "image": "x", "environment": environment, "command": ["old"]}
    await api("RegisterTaskDefinition", **fargate_definition(containerDefinitions=[container]))
    override = {"name": "agent", "command": ["new"], "environment": [{"name": "B", "value": "3"}]}
    overrides = {"containerOverrides": [override], "cpu": "1024", "memory": "2048"}
    reply = await api("RunTask", **on_fargate(ecs, overrides=overrides))
    task = ecs.tasks[reply["tasks"][0]["taskArn"]]
    assert task.container("agent").environment == {"A": "1", "B": "3"}
    assert task.container("agent").command == ["new"]
    assert (reply["tasks"][0]["cpu"], reply["tasks"][0]["memory"]) == ("1024", "2048")
    assert reply["tasks"][0]["overrides"]["containerOverrides"] == [override]


async def test_tags_of_the_definition_are_propagated_when_asked_for(ecs: FakeEcs, api: Api) -> None:
    own = [{"key": "job", "value": "a/b #1".replace("#", "")}]
    plain = await api("RunTask", **on_fargate(ecs, tags=own))
    both = await api("RunTask", **on_fargate(ecs, tags=own, propagateTags="TASK_DEFINITION", enableECSManagedTags=True))
    assert plain["tasks"][0]["tags"] == own
    assert {one["key"] for one in both["tasks"][0]["tags"]} == {"kind", "job", "aws:ecs:clusterName"}


async def test_the_same_token_and_request_make_the_same_task(ecs: FakeEcs, api: Api, clock: ManualClock) -> None:
    first = await api("RunTask", **on_fargate(ecs, clientToken="t1"))
    await clock.advance(7)
    again = await api("RunTask", **on_fargate(ecs, clientToken="t1"))
    assert [one["taskArn"] for one in again["tasks"]] == [one["taskArn"] for one in first["tasks"]]
    assert again["tasks"][0]["lastStatus"] == "PENDING"
    assert len(ecs.tasks) == 1


async def test_another_request_with_the_token_is_a_conflict_that_names_the_tasks(
    ecs: FakeEcs, api: Api, refusal: Refusal
) -> None:
    first = await api("RunTask", **on_fargate(ecs, clientToken="t1", count=2))
    error = await refusal("RunTask", **on_fargate(ecs, clientToken="t1"))
    assert error.code == "ConflictException"
    assert error.members == {"resourceIds": [one["taskArn"] for one in first["tasks"]]}


async def test_a_token_holds_for_a_day_and_in_its_cluster(ecs: FakeEcs, api: Api, clock: ManualClock) -> None:
    ecs.add_cluster("other")
    await api("RunTask", **on_fargate(ecs, clientToken="t1"))
    await api("RunTask", **on_fargate(ecs, clientToken="t1", cluster="other"))
    assert len(ecs.tasks) == 2
    await clock.advance(timedelta(hours=24).total_seconds())
    await api("RunTask", **on_fargate(ecs, clientToken="t1", count=2))
    assert len(ecs.living) == 4


async def test_a_call_that_made_nothing_leaves_no_token(ecs: FakeEcs, api: Api) -> None:
    ecs.failures_next("RESOURCE:ENI")
    failed = await api("RunTask", **on_fargate(ecs, clientToken="t1"))
    assert (failed["tasks"], failed["failures"]) == ([], [{"reason": "RESOURCE:ENI"}])
    made = await api("RunTask", **on_fargate(ecs, clientToken="t1", count=2))
    assert len(made["tasks"]) == 2


def _override(**fields: Any) -> dict[str, Any]:
    return {"overrides": {"containerOverrides": [{"name": "agent", **fields}]}}


WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"count": 0}, "InvalidParameterException", "count must be"),
    ({"count": 11}, "InvalidParameterException", "count must be"),
    ({"cluster": "nowhere"}, "ClusterNotFoundException", "Cluster not found."),
    ({"cluster": "not a name"}, "InvalidParameterException", "Identifier"),
    ({"taskDefinition": "nothing"}, "ClientException", "TaskDefinition not found."),
    ({"taskDefinition": "agents:7"}, "ClientException", "TaskDefinition not found."),
    ({"startedBy": "a b"}, "InvalidParameterException", "startedBy"),
    ({"startedBy": "x" * 129}, "InvalidParameterException", "startedBy"),
    ({"group": "service:web"}, "InvalidParameterException", "Invalid namespace"),
    ({"clientToken": "x" * 65}, "InvalidParameterException", "clientToken"),
    ({"clientToken": "a b"}, "InvalidParameterException", "clientToken"),
    ({"tags": [{"key": "aws:x", "value": "1"}]}, "InvalidParameterException", "aws:"),
    ({"tags": [{"key": "AWS:x", "value": "1"}]}, "InvalidParameterException", "aws:"),
    ({"tags": [{"key": "a"}, {"key": "a"}]}, "InvalidParameterException", "Duplicate"),
    ({"propagateTags": "SERVICE"}, "InvalidParameterException", "SERVICE"),
    ({"enableExecuteCommand": True}, "InvalidParameterException", "task role"),
    (
        {"capacityProviderStrategy": [{"capacityProvider": "FARGATE", "weight": 1}]},
        "InvalidParameterException",
        "Specifying both a launch type and capacity provider strategy",
    ),
    ({"launchType": "MANAGED_INSTANCES"}, "InvalidParameterException", "MANAGED_INSTANCES"),
    ({"launchType": "EXTERNAL"}, "InvalidParameterException", "does not support launch_type EXTERNAL"),
    ({"networkConfiguration": {}}, "InvalidParameterException", "Network Configuration must be provided"),
    (
        {"networkConfiguration": {"awsvpcConfiguration": {"subnets": ["subnet-x"]}}},
        "InvalidParameterException",
        "Error retrieving subnet information for [subnet-x]: The subnet ID 'subnet-x' does not exist",
    ),
    (
        {"networkConfiguration": {"awsvpcConfiguration": {"subnets": [SUBNET], "securityGroups": ["sg-x"]}}},
        "InvalidParameterException",
        "Error retrieving security group information for [sg-x]",
    ),
    (
        {"networkConfiguration": {"awsvpcConfiguration": {"subnets": [SUBNET], "securityGroups": ["sg-b"]}}},
        "InvalidParameterException",
        "VPC",
    ),
    (
        {"networkConfiguration": {"awsvpcConfiguration": {"subnets": [SUBNET, "subnet-b"]}}},
        "InvalidParameterException",
        "same VPC",
    ),
    ({"platformVersion": "9.9"}, "PlatformUnknownException", "does not exist"),
    ({"placementStrategy": [{"type": "random"}]}, "InvalidParameterException", "not supported with FARGATE"),
    (
        {"placementConstraints": [{"type": "distinctInstance"}]},
        "InvalidParameterException",
        "not supported with FARGATE",
    ),
    ({"overrides": {"containerOverrides": [{"name": "x"}]}}, "InvalidParameterException", "container named x is not"),
    (_override(command=["x" * 8200]), "InvalidParameterException", "Container Overrides length must be at most 8192"),
    ({"overrides": {"cpu": "512", "memory": "512"}}, "InvalidParameterException", "No Fargate configuration"),
    ({"overrides": {"ephemeralStorage": {"sizeInGiB": 20}}}, "InvalidParameterException", "between 21 and 200"),
    (_override(memory=2000), "InvalidParameterException", "greater than the memory of the task"),
    ({"volumeConfigurations": [{"name": "data"}]}, "InvalidParameterException", "configured at launch"),
]


@pytest.mark.parametrize(("change", "code", "words"), WRONG)
async def test_what_is_wrong_is_refused_in_the_vendors_words(
    fake: FakeAws, ecs: FakeEcs, refusal: Refusal, change: dict[str, Any], code: str, words: str
) -> None:
    asked = on_fargate(ecs, **change)
    fake.ec2.add(SecurityGroup(id="sg-b", name="other", vpc="vpc-other"))
    fake.ec2.add(Subnet(id="subnet-b", zone="eu-west-1a", vpc="vpc-other"))
    error = await refusal("RunTask", **asked)
    assert (error.code, error.status) == (code, 400)
    assert words in error.message
    assert ecs.tasks == {}


ON_MACHINES: list[tuple[dict[str, Any], str]] = [
    ({"platformVersion": "1.4.0"}, "The platform version must be null"),
    ({"networkConfiguration": {"awsvpcConfiguration": {"subnets": [SUBNET]}}}, "not valid for the given networkMode"),
    ({"placementStrategy": [{"type": "random"}] * 6}, "at most 5"),
    ({"placementConstraints": [{"type": "distinctInstance"}] * 11}, "at most 10"),
    ({"placementStrategy": [{"type": "binpack", "field": "disk"}]}, "binpack"),
    ({"placementStrategy": [{"type": "spread", "field": "cpu"}]}, "spread"),
    ({"placementStrategy": [{"type": "random", "field": "cpu"}]}, "random"),
    ({"placementConstraints": [{"type": "memberOf", "expression": "attribute:"}]}, "Invalid expression"),
    ({"placementConstraints": [{"type": "distinctInstance", "expression": "x"}]}, "cannot be specified"),
    ({"overrides": {"ephemeralStorage": {"sizeInGiB": 30}}}, "on Fargate"),
    ({"launchType": "FARGATE"}, "does not support launch_type FARGATE"),
]


@pytest.mark.parametrize(("change", "words"), ON_MACHINES)
async def test_what_machines_do_not_take_is_refused(refusal: Refusal, change: dict[str, Any], words: str) -> None:
    error = await refusal("RunTask", taskDefinition="machines", **change)
    assert error.code == "InvalidParameterException"
    assert words in error.message


async def test_an_inactive_definition_is_not_run(ecs: FakeEcs, api: Api, refusal: Refusal) -> None:
    await api("DeregisterTaskDefinition", taskDefinition="agents:1")
    by_number = await refusal("RunTask", **on_fargate(ecs, taskDefinition="agents:1"))
    by_family = await refusal("RunTask", **on_fargate(ecs))
    assert (by_number.code, by_number.message) == ("InvalidParameterException", "TaskDefinition is inactive")
    assert (by_family.code, by_family.message) == ("ClientException", "TaskDefinition not found.")


async def test_an_inactive_cluster_takes_no_task(ecs: FakeEcs, refusal: Refusal) -> None:
    ecs.clusters["default"].status = "INACTIVE"
    assert "inactive" in (await refusal("RunTask", **on_fargate(ecs))).message


async def test_a_role_that_cannot_be_assumed_is_refused(ecs: FakeEcs, refusal: Refusal) -> None:
    role = "arn:aws:iam::111122223333:role/nobody"
    ecs.region.unassumable_roles.add(role)
    error = await refusal("RunTask", **on_fargate(ecs, overrides={"taskRoleArn": role}))
    assert (error.code, error.message[:38]) == ("ClientException", "ECS was unable to assume the role 'arn")


async def test_execute_command_works_with_a_role_in_the_overrides(ecs: FakeEcs, api: Api) -> None:
    overrides = {"taskRoleArn": "arn:aws:iam::111122223333:role/agent"}
    reply = await api("RunTask", **on_fargate(ecs, enableExecuteCommand=True, overrides=overrides))
    assert reply["tasks"][0]["enableExecuteCommand"] is True


async def test_a_volume_configured_at_launch_comes_with_its_configuration(ecs: FakeEcs, api: Api) -> None:
    container = {"name": "agent", "image": "x", "mountPoints": [{"sourceVolume": "data", "containerPath": "/data"}]}
    volumes = [{"name": "data", "configuredAtLaunch": True}]
    await api("RegisterTaskDefinition", **fargate_definition(containerDefinitions=[container], volumes=volumes))
    disk = {"sizeInGiB": 50, "roleArn": "arn:aws:iam::111122223333:role/infrastructure"}
    configured = [{"name": "data", "managedEBSVolume": disk}]
    reply = await api("RunTask", **on_fargate(ecs, volumeConfigurations=configured))
    assert "AmazonElasticBlockStorage" in [one["type"] for one in reply["tasks"][0]["attachments"]]


async def test_an_older_platform_that_lacks_what_the_definition_needs_is_refused(
    ecs: FakeEcs, api: Api, refusal: Refusal
) -> None:
    await api("RegisterTaskDefinition", **fargate_definition(ephemeralStorage={"sizeInGiB": 100}))
    error = await refusal("RunTask", **on_fargate(ecs, platformVersion="1.3.0"))
    assert error.code == "PlatformTaskDefinitionIncompatibilityException"


async def test_a_subnet_without_addresses_ends_its_tasks(
    fake: FakeAws, ecs: FakeEcs, api: Api, clock: ManualClock
) -> None:
    fake.ec2.subnets[SUBNET].free_addresses = 1
    where = network(ecs, SUBNET)
    arns = [(await api("RunTask", **on_fargate(ecs, networkConfiguration=where)))["tasks"][0]["taskArn"] for _ in "ab"]
    await clock.advance(60)
    assert [ecs.told(arn)["lastStatus"] for arn in arns] == ["RUNNING", "STOPPED"]
    assert "InsufficientFreeAddressesInSubnet" in ecs.told(arns[1])["stoppedReason"]
    ecs.stop(arns[0])
    await clock.advance(60)
    assert (ecs.living, fake.ec2.subnets[SUBNET].free_addresses) == ([], 1)


async def test_fargate_without_capacity_in_a_zone_goes_to_the_others(ecs: FakeEcs, api: Api) -> None:
    ecs.close_capacity("FARGATE", "eu-west-1a")
    ecs.close_capacity("FARGATE", "eu-west-1b")
    reply = await api("RunTask", **on_fargate(ecs, count=10))
    assert {task["availabilityZone"] for task in reply["tasks"]} == {"eu-west-1c"}
    ecs.close_capacity("FARGATE")
    reply = await api("RunTask", **on_fargate(ecs, count=2))
    words = "Capacity is unavailable at this time. Please try again later or in a different availability zone"
    assert reply == {"tasks": [], "failures": [{"reason": words}] * 2}


async def test_the_quota_of_vcpus_gives_some_tasks_and_failures_for_the_rest(
    ecs: FakeEcs, api: Api, clock: ManualClock
) -> None:
    ecs.quotas.fargate_vcpus = 1.5
    reply = await api("RunTask", **on_fargate(ecs, count=5))
    assert len(reply["tasks"]) == 3
    words = "You've reached the limit on the number of vCPUs you can run concurrently"
    assert reply["failures"] == [{"reason": words}] * 2
    spot = await api("RunTask", **_spot(ecs, count=5))
    assert len(spot["tasks"]) == 5
    ecs.stop(reply["tasks"][0]["taskArn"])
    await clock.advance(60)
    assert len((await api("RunTask", **on_fargate(ecs)))["tasks"]) == 1


async def test_the_quota_of_tasks_counts_what_is_not_over(ecs: FakeEcs, api: Api) -> None:
    ecs.quotas.fargate_tasks = 1
    reply = await api("RunTask", **on_fargate(ecs, count=2))
    assert len(reply["tasks"]) == 1
    assert reply["failures"] == [{"reason": "You've reached the limit on the number of tasks you can run concurrently"}]


def _spot(ecs: FakeEcs, **other: Any) -> dict[str, Any]:
    asked = on_fargate(ecs, capacityProviderStrategy=[{"capacityProvider": "FARGATE_SPOT", "weight": 1}], **other)
    del asked["launchType"]
    return asked


async def test_a_task_of_a_strategy_names_its_provider(ecs: FakeEcs, api: Api) -> None:
    task = (await api("RunTask", **_spot(ecs)))["tasks"][0]
    assert (task["launchType"], task["capacityProviderName"]) == ("FARGATE", "FARGATE_SPOT")


async def test_without_launch_type_the_clusters_default_strategy_counts(ecs: FakeEcs, api: Api) -> None:
    await api(
        "PutClusterCapacityProviders",
        cluster="default",
        capacityProviders=["FARGATE", "FARGATE_SPOT"],
        defaultCapacityProviderStrategy=[{"capacityProvider": "FARGATE_SPOT", "weight": 1}],
    )
    asked = on_fargate(ecs)
    del asked["launchType"]
    assert (await api("RunTask", **asked))["tasks"][0]["capacityProviderName"] == "FARGATE_SPOT"


STRATEGIES: list[tuple[list[dict[str, Any]], str]] = [
    ([{"capacityProvider": "FARGATE", "weight": 0}], "weight greater than 0"),
    ([{"capacityProvider": "FARGATE", "base": 1, "weight": 1}, {"capacityProvider": "FARGATE_SPOT", "base": 1}], "one"),
    ([{"capacityProvider": "FARGATE", "weight": 1}] * 2, "only once"),
    ([{"capacityProvider": "elsewhere", "weight": 1}], "not associated with the cluster"),
    ([{"capacityProvider": f"p{n}", "weight": 1} for n in range(21)], "maximum of 20"),
]


@pytest.mark.parametrize(("strategy", "words"), STRATEGIES)
async def test_a_strategy_that_breaks_a_rule_is_refused(
    ecs: FakeEcs, refusal: Refusal, strategy: list[dict[str, Any]], words: str
) -> None:
    asked = on_fargate(ecs, capacityProviderStrategy=strategy)
    del asked["launchType"]
    error = await refusal("RunTask", **asked)
    assert error.code == "InvalidParameterException"
    assert words in error.message
