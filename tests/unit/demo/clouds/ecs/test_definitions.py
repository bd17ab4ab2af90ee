"""Task definitions: what is refused, what AWS makes of them, revisions and their end."""

from typing import Any

import pytest

from broker.demo.clouds.ecs.definitions import Definitions
from broker.demo.clouds.ecs.fargate import SIZES
from broker.demo.clouds.ecs.service import FakeEcs
from broker.testing.clock import EPOCH, ManualClock
from tests.unit.demo.clouds.ecs.conftest import Api
from tests.unit.demo.clouds.ecs.requests import fargate_definition, machine_definition, on_fargate

ROLE = "arn:aws:iam::111122223333:role/execution"
SECRET = {"name": "S", "valueFrom": "arn:aws:secretsmanager:eu-west-1:111122223333:secret:s"}
AWSLOGS = {"awslogs-group": "g", "awslogs-region": "eu-west-1", "awslogs-stream-prefix": "p"}


def _on_fargate(**container: Any) -> dict[str, Any]:
    return fargate_definition(containerDefinitions=[{"name": "agent", "image": "x", **container}])


def _two(**second: Any) -> dict[str, Any]:
    both = [{"name": "agent", "image": "x", "memory": 64}, {"name": "other", "image": "y", "memory": 64, **second}]
    return {"family": "machines", "containerDefinitions": both}


REFUSED: list[tuple[dict[str, Any], str]] = [
    (machine_definition() | {"family": "a b"}, "Family contains invalid characters."),
    (machine_definition() | {"family": ""}, "Family should not be null or empty."),
    (machine_definition() | {"family": "x" * 256}, "Family"),
    (machine_definition() | {"containerDefinitions": []}, "between 1 and 10"),
    (machine_definition(name="a b"), "Container.name contains invalid characters."),
    (machine_definition(name=""), "Container.name should not be null or empty."),
    (machine_definition(image=""), "Container.image should not be null or empty."),
    (machine_definition(image="a b"), "Container.image"),
    (machine_definition(user="jenkins build"), "Container.user contains invalid characters."),
    (machine_definition(user=""), "Container.user contains invalid characters."),
    (machine_definition(memory=0), "At least one of 'memory' or 'memoryReservation' must be specified."),
    (machine_definition(memory=5), "minimum memory"),
    (machine_definition(memory=100, memoryReservation=200), "'memoryReservation' must not be greater"),
    (machine_definition() | {"memory": "1024"}, "greater than the task's"),
    (machine_definition() | {"cpu": "512"}, "greater than the task's"),
    (machine_definition() | {"cpu": "half"}, "Invalid 'cpu' setting for task."),
    (machine_definition() | {"cpu": "64"}, "Invalid 'cpu' setting for task."),
    (machine_definition(essential=False), "At least one container"),
    (machine_definition(environment=[{"value": "1"}]), "Environment variable name"),
    (machine_definition(environmentFiles=[{"value": "arn:aws:s3:::b/x.txt", "type": "s3"}]), ".env"),
    (machine_definition(ulimits=[{"name": "nofile", "softLimit": 2, "hardLimit": 1}]), "softLimit"),
    (machine_definition(resourceRequirements=[{"type": "GPU", "value": "0"}]), "number of GPUs"),
    (machine_definition(resourceRequirements=[{"type": "NeuronDevice", "value": "ALL"}]), "number of GPUs"),
    (machine_definition(healthCheck={"command": ["curl", "x"]}), "CMD"),
    (machine_definition(healthCheck={"command": ["CMD", "x"], "interval": 1}), "interval"),
    (machine_definition(mountPoints=[{"sourceVolume": "v", "containerPath": "/v"}]), "Unknown volume 'v'."),
    (machine_definition(volumesFrom=[{"sourceContainer": "v"}]), "Unknown container 'v'"),
    (machine_definition(portMappings=[{"containerPort": 80, "hostPort": 81}]) | {"networkMode": "host"}, "must match"),
    (machine_definition(portMappings=[{"containerPort": 80}]) | {"networkMode": "none"}, "networkMode=none"),
    (machine_definition(links=["x"]) | {"networkMode": "host"}, "not supported on container when networkMode=host"),
    (machine_definition() | {"taskRoleArn": "arn:aws:s3:::x"}, "Role is not valid"),
    (machine_definition() | {"volumes": [{"name": "v"}, {"name": "v"}]}, "Volume names"),
    (
        machine_definition() | {"placementConstraints": [{"type": "memberOf", "expression": "stack == x"}]},
        "Invalid expression",
    ),
    (
        machine_definition()
        | {
            "volumes": [
                {
                    "name": "v",
                    "efsVolumeConfiguration": {
                        "fileSystemId": "fs-1",
                        "authorizationConfig": {"accessPointId": "fsap-1"},
                    },
                }
            ]
        },
        "Transit encryption",
    ),
    (_two(name="agent"), "unique"),
    (_two(dependsOn=[{"containerName": "x", "condition": "START"}]), "Unknown container 'x'"),
    (_two(dependsOn=[{"containerName": "agent", "condition": "SUCCESS"}]), "essential"),
    (_two(dependsOn=[{"containerName": "agent", "condition": "HEALTHY"}]), "health check"),
    (fargate_definition(networkMode="bridge"), "Fargate only supports network mode 'awsvpc'."),
    (fargate_definition(cpu="1"), "Invalid 'cpu'"),
    (fargate_definition(memory="512"), "No Fargate configuration exists for given values: 512 CPU, 512 memory."),
    (fargate_definition(ephemeralStorage={"sizeInGiB": 20}), "between 21 and 200"),
    (fargate_definition(ephemeralStorage={"sizeInGiB": 201}), "between 21 and 200"),
    (fargate_definition(pidMode="host"), "namespaces"),
    (fargate_definition(ipcMode="task"), "namespaces"),
    (fargate_definition(runtimePlatform={"operatingSystemFamily": "WINDOWS_SERVER_2022_CORE"}), "No Fargate"),
    (
        fargate_definition(placementConstraints=[{"type": "memberOf", "expression": "attribute:a exists"}]),
        "placement constraints",
    ),
    (fargate_definition(volumes=[{"name": "v", "host": {"sourcePath": "/v"}}]), "host.sourcePath"),
    (fargate_definition(volumes=[{"name": "v", "dockerVolumeConfiguration": {}}]), "dockerVolumeConfiguration"),
    (_on_fargate(privileged=True), "privileged"),
    (_on_fargate(extraHosts=[{"hostname": "a", "ipAddress": "10.0.0.1"}]), "networkMode=awsvpc"),
    (_on_fargate(hostname="a"), "networkMode=awsvpc"),
    (_on_fargate(dockerSecurityOptions=["no-new-privileges"]), "dockerSecurityOptions"),
    (_on_fargate(linuxParameters={"sharedMemorySize": 64}), "sharedMemorySize"),
    (_on_fargate(linuxParameters={"capabilities": {"add": ["SYS_ADMIN"]}}), "SYS_PTRACE"),
    (_on_fargate(resourceRequirements=[{"type": "GPU", "value": "1"}]), "resourceRequirements"),
    (_on_fargate(stopTimeout=121), "stopTimeout"),
    (_on_fargate(secrets=[SECRET]), "execution role ARN to support secrets"),
    (_on_fargate(image="1.dkr.ecr.eu-west-1.amazonaws.com/x"), "execution role ARN to support ECR"),
    (_on_fargate(logConfiguration={"logDriver": "json-file"}), "not supported on Fargate"),
    (_on_fargate(logConfiguration={"logDriver": "awslogs", "options": AWSLOGS}), "support log driver awslogs."),
    (_on_fargate(logConfiguration={"logDriver": "awslogs"}), "awslogs-stream-prefix"),
    (_on_fargate(portMappings=[{"containerPort": 80, "hostPort": 81}]), "must match"),
    (fargate_definition() | {"requiresCompatibilities": ["EXTERNAL"]}, "EXTERNAL"),
]


@pytest.mark.parametrize(("definition", "words"), REFUSED)
async def test_a_definition_that_is_wrong_is_refused(refusal: Any, definition: dict[str, Any], words: str) -> None:
    error = await refusal("RegisterTaskDefinition", **definition)
    assert error.code in {"ClientException", "InvalidParameterException"}
    assert words in error.message


@pytest.mark.parametrize("field", ["cpu", "memory"])
async def test_fargate_needs_the_tasks_size(refusal: Any, field: str) -> None:
    definition = _on_fargate(memory=512)
    del definition[field]
    error = await refusal("RegisterTaskDefinition", **definition)
    assert error.message == f"Fargate requires that '{field}' be defined at the task level."


@pytest.mark.parametrize(("cpu", "memories"), SIZES.items())
async def test_every_size_that_fargate_has_is_taken(api: Api, cpu: int, memories: list[int]) -> None:
    for memory in memories:
        await api("RegisterTaskDefinition", **fargate_definition(cpu=str(cpu), memory=str(memory)))


async def test_dependencies_in_a_circle_are_refused(refusal: Any) -> None:
    both = _two(dependsOn=[{"containerName": "agent", "condition": "START"}])
    both["containerDefinitions"][0]["dependsOn"] = [{"containerName": "other", "condition": "START"}]
    assert "cycle" in (await refusal("RegisterTaskDefinition", **both)).message


async def test_a_definition_comes_back_completed(api: Api) -> None:
    container = {
        "name": "agent",
        "image": "x",
        "portMappings": [{"containerPort": 8080}],
        "healthCheck": {"command": ["CMD", "true"]},
        "logConfiguration": {"logDriver": "splunk"},
    }
    asked = fargate_definition(cpu=".5 vCPU", memory="1 GB", containerDefinitions=[container], volumes=[{"name": "v"}])
    told = (await api("RegisterTaskDefinition", **asked))["taskDefinition"]
    assert told["containerDefinitions"] == [
        {
            "name": "agent",
            "image": "x",
            "cpu": 0,
            "essential": True,
            "portMappings": [{"containerPort": 8080, "hostPort": 8080, "protocol": "tcp"}],
            "environment": [],
            "mountPoints": [],
            "volumesFrom": [],
            "systemControls": [],
            "healthCheck": {"command": ["CMD", "true"], "interval": 30, "timeout": 5, "retries": 3},
            "logConfiguration": {"logDriver": "splunk", "options": {}},
        }
    ]
    assert (told["cpu"], told["memory"], told["volumes"]) == ("512", "1024", [{"name": "v", "host": {}}])
    assert (told["status"], told["revision"], told["registeredAt"]) == ("ACTIVE", 1, EPOCH)
    assert told["taskDefinitionArn"] == "arn:aws:ecs:eu-west-1:111122223333:task-definition/agents:1"
    assert told["registeredBy"] == "arn:aws:iam::111122223333:user/broker"
    assert "FARGATE" in told["compatibilities"]


async def test_what_a_definition_needs_of_a_machine_is_told(api: Api) -> None:
    log = {"logDriver": "awslogs", "options": AWSLOGS}
    asked = machine_definition(privileged=True, secrets=[SECRET], logConfiguration=log) | {
        "networkMode": "awsvpc",
        "taskRoleArn": ROLE,
        "executionRoleArn": ROLE,
    }
    told = (await api("RegisterTaskDefinition", **asked))["taskDefinition"]
    assert {one["name"] for one in told["requiresAttributes"]} >= {
        "com.amazonaws.ecs.capability.privileged-container",
        "com.amazonaws.ecs.capability.logging-driver.awslogs",
        "com.amazonaws.ecs.capability.task-iam-role",
        "ecs.capability.execution-role-awslogs",
        "ecs.capability.secrets.asm.environment-variables",
        "ecs.capability.task-eni",
    }
    assert told["compatibilities"] == ["EC2", "MANAGED_INSTANCES"]


async def test_equal_definitions_are_new_revisions_each(api: Api) -> None:
    arns = [(await api("RegisterTaskDefinition", **machine_definition()))["taskDefinition"] for _ in range(3)]
    assert [one["revision"] for one in arns] == [1, 2, 3]
    latest = await api("DescribeTaskDefinition", taskDefinition="machines")
    assert latest["taskDefinition"]["revision"] == 3
    first = await api("DescribeTaskDefinition", taskDefinition="machines:1")
    assert first["taskDefinition"]["taskDefinitionArn"].endswith("machines:1")


async def test_revisions_go_on_after_the_last_one_was_ended(api: Api, refusal: Any) -> None:
    await api("RegisterTaskDefinition", **machine_definition())
    ended = await api("DeregisterTaskDefinition", taskDefinition="machines:1")
    assert (ended["taskDefinition"]["status"], ended["taskDefinition"]["deregisteredAt"]) == ("INACTIVE", EPOCH)
    error = await refusal("DescribeTaskDefinition", taskDefinition="machines")
    assert (error.code, error.message) == ("ClientException", "Unable to describe task definition.")
    again = await api("RegisterTaskDefinition", **machine_definition())
    assert again["taskDefinition"]["revision"] == 2


async def test_deregistering_needs_a_revision_that_is_there(api: Api, refusal: Any) -> None:
    await api("RegisterTaskDefinition", **machine_definition())
    assert (await refusal("DeregisterTaskDefinition", taskDefinition="machines")).code == "InvalidParameterException"
    assert (await refusal("DeregisterTaskDefinition", taskDefinition="machines:2")).code == "ClientException"


async def test_only_inactive_revisions_are_deleted_and_those_in_use_later(
    ecs: FakeEcs, api: Api, clock: ManualClock
) -> None:
    for _ in range(3):
        await api("RegisterTaskDefinition", **fargate_definition())
    task = (await api("RunTask", **on_fargate(ecs, taskDefinition="agents:2")))["tasks"][0]
    await api("DeregisterTaskDefinition", taskDefinition="agents:1")
    await api("DeregisterTaskDefinition", taskDefinition="agents:2")
    names = ["agents:1", "agents:2", "agents:3", "agents:9", "agents"]
    reply = await api("DeleteTaskDefinitions", taskDefinitions=names)
    assert [one["status"] for one in reply["taskDefinitions"]] == ["DELETE_IN_PROGRESS"] * 2
    assert len(reply["failures"]) == 3
    in_progress = await api("ListTaskDefinitions", status="DELETE_IN_PROGRESS")
    assert [arn.rpartition(":")[2] for arn in in_progress["taskDefinitionArns"]] == ["2"]
    ecs.stop(task["taskArn"])
    await clock.advance(60)
    assert (await api("ListTaskDefinitions", status="DELETE_IN_PROGRESS"))["taskDefinitionArns"] == []


async def test_at_most_ten_are_deleted_at_once(refusal: Any) -> None:
    error = await refusal("DeleteTaskDefinitions", taskDefinitions=[f"a:{n}" for n in range(11)])
    assert error.code == "InvalidParameterException"


async def _pages(api: Api, action: str, member: str, **asked: Any) -> list[str]:
    found: list[str] = []
    token: dict[str, str] = {}
    while True:
        page = await api(action, **asked, **token)
        found += page[member]
        if "nextToken" not in page:
            return found
        token = {"nextToken": page["nextToken"]}


async def test_definitions_are_listed_in_order_by_family_and_status(api: Api) -> None:
    for family in ("b", "a", "ab"):
        for _ in range(11):
            await api("RegisterTaskDefinition", **machine_definition() | {"family": family})
    await api("DeregisterTaskDefinition", taskDefinition="a:2")
    arns = await _pages(api, "ListTaskDefinitions", "taskDefinitionArns", maxResults=4)
    numbered = [f"{family}:{n}" for family in ("a", "ab", "b") for n in range(1, 12) if (family, n) != ("a", 2)]
    assert [arn.rpartition("/")[2] for arn in arns] == numbered
    down = await _pages(api, "ListTaskDefinitions", "taskDefinitionArns", maxResults=4, sort="DESC")
    assert down == arns[::-1]
    assert len(await _pages(api, "ListTaskDefinitions", "taskDefinitionArns", familyPrefix="a")) == 10
    gone = await _pages(api, "ListTaskDefinitions", "taskDefinitionArns", status="INACTIVE")
    assert [arn.rpartition("/")[2] for arn in gone] == ["a:2"]


async def test_families_are_listed_by_prefix_and_status(api: Api) -> None:
    for family in ("b", "a", "ab"):
        await api("RegisterTaskDefinition", **machine_definition() | {"family": family})
    await api("DeregisterTaskDefinition", taskDefinition="ab:1")
    assert await _pages(api, "ListTaskDefinitionFamilies", "families", maxResults=1) == ["a", "ab", "b"]
    assert await _pages(api, "ListTaskDefinitionFamilies", "families", familyPrefix="a") == ["a", "ab"]
    assert await _pages(api, "ListTaskDefinitionFamilies", "families", status="ACTIVE") == ["a", "b"]
    assert await _pages(api, "ListTaskDefinitionFamilies", "families", status="INACTIVE") == ["ab"]


async def test_registrations_of_one_family_that_overlap_are_refused(
    ecs: FakeEcs, api: Api, clock: ManualClock, refusal: Any
) -> None:
    ecs.region.definitions.registering_s = 0.5
    await api("RegisterTaskDefinition", **machine_definition())
    error = await refusal("RegisterTaskDefinition", **machine_definition())
    words = "Too many concurrent attempts to create a new revision of the specified family."
    assert (error.code, error.message) == ("ClientException", words)
    await api("RegisterTaskDefinition", **machine_definition() | {"family": "other"})
    await clock.advance(0.5)
    again = await api("RegisterTaskDefinition", **machine_definition())
    assert again["taskDefinition"]["revision"] == 2


async def test_a_family_has_no_more_than_a_million_revisions(ecs: FakeEcs, api: Api, refusal: Any) -> None:
    assert Definitions.__dataclass_fields__["revisions_per_family"].default == 1_000_000
    ecs.region.definitions.revisions_per_family = 1
    await api("RegisterTaskDefinition", **machine_definition())
    assert (await refusal("RegisterTaskDefinition", **machine_definition())).code == "LimitExceededException"


async def test_what_was_registered_is_not_changed_by_its_caller(api: Api) -> None:
    asked = machine_definition()
    await api("RegisterTaskDefinition", **asked)
    asked["containerDefinitions"][0]["image"] = "other"
    told = await api("DescribeTaskDefinition", taskDefinition="machines", include=["TAGS"])
    assert told["taskDefinition"]["containerDefinitions"][0]["image"] == "jenkins/inbound-agent"
    assert told["tags"] == []
