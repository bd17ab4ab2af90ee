"""The small services through the real SDK: EC2, logs, SSM, Secrets Manager."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from broker.demo.clouds.aws import FakeAws
from broker.demo.clouds.ec2 import SecurityGroup, Subnet
from broker.demo.clouds.serving import serving
from broker.testing.clock import ManualClock
from tests.fake_aws import a_client


@pytest.fixture
async def fake() -> AsyncIterator[FakeAws]:
    """One that has given no wrong answer at the end."""
    fake = FakeAws(ManualClock())
    yield fake
    assert fake.ledger.problems == []


@pytest.fixture
async def url(fake: FakeAws) -> AsyncIterator[str]:
    """Where it serves."""
    async with serving(fake) as url:
        yield url


async def _all(client: Any, action: str, member: str, **parameters: object) -> list[dict[str, Any]]:
    pages = client.get_paginator(action).paginate(**parameters)
    return [item async for page in pages for item in page[member]]


async def test_subnets_come_in_pages_with_their_zones(fake: FakeAws, url: str) -> None:
    for number in range(12):
        fake.ec2.add(Subnet(id=f"subnet-{number:017d}", zone="eu-west-1a", tags={"team": "ci"}))
    fake.ec2.add(Subnet(id="subnet-elsewhere", zone="us-east-1a", region="us-east-1"))
    async with a_client(fake, url, "ec2") as ec2:
        found = await _all(ec2, "describe_subnets", "Subnets", PaginationConfig={"PageSize": 5})
        assert len(found) == 15
        assert len(fake.ledger.of("DescribeSubnets")) == 3
        one = await ec2.describe_subnets(SubnetIds=["subnet-" + "b" * 17])
        assert [(subnet["AvailabilityZone"], subnet["AvailableIpAddressCount"]) for subnet in one["Subnets"]] == [
            ("eu-west-1b", 250)
        ]
        tagged = await ec2.describe_subnets(Filters=[{"Name": "tag:team", "Values": ["ci"]}])
        assert len(tagged["Subnets"]) == 12
        assert tagged["Subnets"][0]["Tags"] == [{"Key": "team", "Value": "ci"}]


async def test_a_subnet_or_group_that_is_not_there_is_named(fake: FakeAws, url: str) -> None:
    async with a_client(fake, url, "ec2") as ec2:
        with pytest.raises(ClientError, match=r"InvalidSubnetID.NotFound.*subnet-gone"):
            await ec2.describe_subnets(SubnetIds=["subnet-gone"])
        with pytest.raises(ClientError, match=r"InvalidGroup.NotFound.*sg-gone"):
            await ec2.describe_security_groups(GroupIds=["sg-gone"])


async def test_security_groups_and_zones_are_listed(fake: FakeAws, url: str) -> None:
    for number in range(7):
        fake.ec2.add(SecurityGroup(id=f"sg-{number:017d}", name=f"group-{number}", vpc="vpc-2"))
    async with a_client(fake, url, "ec2") as ec2:
        found = await _all(ec2, "describe_security_groups", "SecurityGroups", PaginationConfig={"PageSize": 5})
        assert len(found) == 8
        inside = await ec2.describe_security_groups(Filters=[{"Name": "vpc-id", "Values": ["vpc-2"]}])
        assert len(inside["SecurityGroups"]) == 7
        zones = await ec2.describe_availability_zones()
    assert [zone["ZoneName"] for zone in zones["AvailabilityZones"]] == ["eu-west-1a", "eu-west-1b", "eu-west-1c"]


async def test_the_last_lines_of_a_log_are_read(fake: FakeAws, url: str) -> None:
    fake.logs.put("/ecs/agents", "agent/agent/1", [f"line {number}" for number in range(30)])
    async with a_client(fake, url, "logs") as logs:
        said = await logs.get_log_events(logGroupName="/ecs/agents", logStreamName="agent/agent/1", limit=3)
        assert [event["message"] for event in said["events"]] == ["line 27", "line 28", "line 29"]
        assert said["events"][0]["timestamp"] == int(fake.clock.now().timestamp() * 1000)
        more = {"logGroupName": "/ecs/agents", "logStreamName": "agent/agent/1", "limit": 3}
        before = await logs.get_log_events(nextToken=said["nextBackwardToken"], **more)
        assert [event["message"] for event in before["events"]] == ["line 24", "line 25", "line 26"]
        first = await logs.get_log_events(startFromHead=True, **more)
        assert [event["message"] for event in first["events"]] == ["line 0", "line 1", "line 2"]
        end = await logs.get_log_events(nextToken=said["nextForwardToken"], **more)
        assert (end["events"], end["nextForwardToken"]) == ([], said["nextForwardToken"])


async def test_a_log_that_is_not_there_is_not_found(fake: FakeAws, url: str) -> None:
    fake.logs.create_group("/ecs/agents")
    async with a_client(fake, url, "logs") as logs:
        for group in ("/ecs/agents", "/ecs/others"):
            with pytest.raises(logs.exceptions.ResourceNotFoundException):
                await logs.get_log_events(logGroupName=group, logStreamName="x")
        with pytest.raises(logs.exceptions.InvalidParameterException):
            await logs.get_log_events(logStreamName="x")


async def test_a_parameter_lives_from_put_to_delete(fake: FakeAws, url: str) -> None:
    async with a_client(fake, url, "ssm") as ssm:
        new = {"Name": "/agentbroker/ci/a1", "Value": "s3cret", "Type": "SecureString"}
        made = await ssm.put_parameter(**new, Tags=[{"Key": "agentbroker:installation", "Value": "ci"}])
        assert made["Version"] == 1
        with pytest.raises(ssm.exceptions.ParameterAlreadyExists):
            await ssm.put_parameter(**new)
        assert (await ssm.put_parameter(**new, Overwrite=True))["Version"] == 2
        plain = await ssm.get_parameter(Name="/agentbroker/ci/a1", WithDecryption=True)
        assert plain["Parameter"]["Value"] == "s3cret"
        assert (await ssm.get_parameter(Name="/agentbroker/ci/a1"))["Parameter"]["Value"] != "s3cret"
        assert fake.ssm.value_of(plain["Parameter"]["ARN"]) == "s3cret"
        tags = await ssm.list_tags_for_resource(ResourceType="Parameter", ResourceId="/agentbroker/ci/a1")
        assert tags["TagList"] == [{"Key": "agentbroker:installation", "Value": "ci"}]
        both = await ssm.delete_parameters(Names=["/agentbroker/ci/a1", "/gone"])
        assert (both["DeletedParameters"], both["InvalidParameters"]) == (["/agentbroker/ci/a1"], ["/gone"])
        with pytest.raises(ssm.exceptions.ParameterNotFound):
            await ssm.get_parameter(Name="/agentbroker/ci/a1")
        with pytest.raises(ssm.exceptions.ParameterNotFound):
            await ssm.delete_parameter(Name="/agentbroker/ci/a1")


async def test_parameters_are_found_by_path_in_pages(fake: FakeAws, url: str) -> None:
    async with a_client(fake, url, "ssm") as ssm:
        for number in range(7):
            await ssm.put_parameter(Name=f"/agentbroker/{number}", Value="x", Type="SecureString")
        await ssm.put_parameter(Name="/other/1", Value="x", Type="String")
        wanted = [{"Key": "Path", "Option": "Recursive", "Values": ["/agentbroker"]}]
        found = await _all(
            ssm, "describe_parameters", "Parameters", ParameterFilters=wanted, PaginationConfig={"PageSize": 3}
        )
    assert len(found) == 7


async def test_a_parameter_that_ssm_would_not_take_is_refused(fake: FakeAws, url: str) -> None:
    async with a_client(fake, url, "ssm") as ssm:
        for wrong in ({"Name": "/aws/x"}, {"Name": "a b"}, {"Value": "x" * 4097}, {"Type": None}):
            said = {"Name": "/a", "Value": "x", "Type": "String", **wrong}
            with pytest.raises(ClientError, match="ValidationException"):
                await ssm.put_parameter(**{name: value for name, value in said.items() if value is not None})


async def test_a_secret_lives_from_create_to_delete(fake: FakeAws, url: str) -> None:
    async with a_client(fake, url, "secretsmanager") as manager:
        token = "0" * 32
        new = {"Name": "agentbroker/ci/a1", "SecretString": "s3cret", "ClientRequestToken": token}
        made = await manager.create_secret(**new, Tags=[{"Key": "k", "Value": "v"}])
        assert (await manager.create_secret(**new))["ARN"] == made["ARN"]
        with pytest.raises(manager.exceptions.ResourceExistsException):
            await manager.create_secret(**new | {"SecretString": "another"})
        await manager.put_secret_value(SecretId=made["ARN"], SecretString="newer")
        assert (await manager.get_secret_value(SecretId="agentbroker/ci/a1"))["SecretString"] == "newer"
        assert (await manager.get_secret_value(SecretId=made["ARN"], VersionId=token))["SecretString"] == "s3cret"
        assert fake.secretsmanager.value_of(made["ARN"]) == "newer"
        await manager.delete_secret(SecretId=made["ARN"])
        with pytest.raises(manager.exceptions.InvalidRequestException):
            await manager.get_secret_value(SecretId=made["ARN"])
        with pytest.raises(manager.exceptions.InvalidRequestException):
            await manager.create_secret(**new)
        await manager.delete_secret(SecretId=made["ARN"], ForceDeleteWithoutRecovery=True)
        with pytest.raises(manager.exceptions.ResourceNotFoundException):
            await manager.get_secret_value(SecretId=made["ARN"])
        await manager.create_secret(**new)
    assert [one.name for one in fake.secretsmanager.secrets] == ["agentbroker/ci/a1"]
