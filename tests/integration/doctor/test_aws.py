"""A doctor's visit to AWS: each thing that can be wrong is found, in words with a next step, and nothing is changed."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from broker.backends.aws_ecs.iam import CALLS
from broker.demo.clouds.aws import FakeAws
from broker.demo.clouds.ec2 import SecurityGroup, Subnet
from broker.demo.clouds.faults import Fault
from broker.demo.clouds.serving import serving
from broker.doctor.report import Check, Status
from broker.testing.clock import ManualClock
from tests.integration.doctor.aws_config import GROUP, SUBNETS, sound, visit

Config = dict[str, Any]
_READS = ("Describe", "Get", "List", "Simulate", "AssumeRole")


class World:
    """A fake account with a cluster `ci`, and the config that is checked against it."""

    def __init__(self, fake: FakeAws, url: str, directory: Path) -> None:
        self.fake = fake
        self.config = sound(fake, url)
        self._directory = directory

    async def found(self, clock: ManualClock | None = None) -> dict[str, Check]:
        return await visit(self._directory, self.config, clock)

    @property
    def pool(self) -> Config:
        return self.of("pools", "fargate")

    @property
    def backend(self) -> Config:
        return self.of("backends", "aws")

    @property
    def template(self) -> Config:
        return self.of("templates", "java")

    def of(self, noun: str, name: str) -> Config:
        found: Config = self.config[noun][name]
        return found


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    fake = FakeAws()
    fake.ecs.add_cluster("ci")
    async with serving(fake) as url:
        yield World(fake, url, tmp_path)


def ends(check: Check, status: Status, *words: str) -> None:
    told = f"{check.message} | {check.hint}"
    assert check.status is status, told
    for word in words:
        assert word in told


async def test_a_sound_backend_has_every_check_green_and_is_not_changed(world: World) -> None:
    found = await world.found()
    assert {name: check.status for name, check in found.items()} == dict.fromkeys(
        ["credentials", "clock", "cluster", "capacity", "subnets", "security groups", "iam", "roles"],
        Status.OK,
    )
    told = {name: check.message for name, check in found.items()}
    assert told["credentials"] == "user broker, account 111122223333, region eu-west-1"
    assert told["cluster"] == "ci ACTIVE; capacity providers: FARGATE, FARGATE_SPOT"
    assert told["capacity"] == "FARGATE"
    assert told["subnets"] == "3 in 3 zones, 750 free addresses"
    assert told["security groups"] == "1, in the VPC of their subnets; out to port 443"
    assert told["roles"] == "agentbroker-exec may be passed to tasks"
    called = {f"{call.service}:{call.action}" for call in world.fake.ledger}
    assert called <= CALLS
    assert all(action.partition(":")[2].startswith(_READS) for action in called)


async def test_an_assumed_role_is_told_with_its_end(world: World) -> None:
    role = world.fake.sts.add_role("agentbroker", trusts=["arn:aws:iam::111122223333:user/broker"])
    world.backend["assume_role_arn"] = role.arn
    found = await world.found()
    ends(found["credentials"], Status.OK, "role agentbroker (assumed), account 111122223333", "until ", " UTC")
    ends(found["iam"], Status.OK)


async def test_keys_that_aws_does_not_take_skip_the_rest(world: World) -> None:
    world.backend["secret_access_key"] = "wrong"
    found = await world.found()
    ends(found["credentials"], Status.FAILED, "SignatureDoesNotMatch", "renew the keys")
    assert {found[name].status for name in ("cluster", "subnets", "iam")} == {Status.SKIPPED}


async def test_a_role_that_may_not_be_taken_is_told_with_the_clouds_words(world: World) -> None:
    world.backend["assume_role_arn"] = "arn:aws:iam::111122223333:role/other"
    ends((await world.found())["credentials"], Status.FAILED, "not authorized to perform: sts:AssumeRole")


@pytest.mark.parametrize(
    ("off", "status", "words"),
    [
        (timedelta(seconds=2), Status.OK, "that of AWS"),
        (timedelta(seconds=90), Status.WARNING, "s ahead of AWS's clock"),
        (timedelta(minutes=-9), Status.FAILED, "AWS refuses signatures that are 5 min off"),
    ],
)
async def test_a_clock_that_is_off_is_told_before_or_with_its_harm(
    world: World, off: timedelta, status: Status, words: str
) -> None:
    found = await world.found(ManualClock(start=datetime.now(UTC) + off))
    ends(found["clock"], status, words)


async def test_a_clock_too_far_off_is_found_behind_refused_signatures(world: World) -> None:
    world.backend["secret_access_key"] = "wrong"
    found = await world.found(ManualClock(start=datetime.now(UTC) + timedelta(minutes=20)))
    ends(found["clock"], Status.FAILED, "s ahead of AWS's clock", "NTP")


async def test_a_missing_cluster_is_told_with_those_that_there_are(world: World) -> None:
    world.backend["cluster"] = "nope"
    found = await world.found()
    ends(
        found["cluster"], Status.FAILED, "no cluster nope in eu-west-1", "known: ci, default; set backends.aws.cluster"
    )
    assert "capacity" not in found


async def test_an_unknown_capacity_provider_is_told_with_those_of_the_cluster(world: World) -> None:
    world.pool["capacity_provider"] = "spot-fleet"
    check = (await world.found())["capacity"]
    ends(check, Status.FAILED, "cluster ci has no capacity provider spot-fleet", "known: FARGATE, FARGATE_SPOT")


async def test_a_pool_without_any_capacity_is_told(world: World) -> None:
    del world.pool["capacity_provider"]
    ends(
        (await world.found())["capacity"],
        Status.FAILED,
        "no default and no instances",
        "pools.fargate.capacity_provider",
    )


async def test_a_missing_subnet_is_named(world: World) -> None:
    world.pool["subnets"] = [SUBNETS[0], f"subnet-{'9' * 17}"]
    found = await world.found()
    ends(
        found["subnets"],
        Status.FAILED,
        f"pool fargate: no subnet subnet-{'9' * 17}",
        "agentbroker discover aws subnets",
    )
    assert "security groups" not in found


async def test_subnets_of_two_vpcs_are_told(world: World) -> None:
    world.fake.ec2.add(Subnet(id=f"subnet-{'d' * 17}", zone="eu-west-1a", vpc="vpc-0dddddddddddddddd"))
    world.pool["subnets"] = [SUBNETS[0], f"subnet-{'d' * 17}"]
    ends((await world.found())["subnets"], Status.FAILED, "are in different VPCs", "pools.fargate.subnets")


async def test_a_subnet_with_few_addresses_is_worth_a_look(world: World) -> None:
    world.fake.ec2.subnets[SUBNETS[1]].free_addresses = 3
    ends((await world.found())["subnets"], Status.WARNING, f"{SUBNETS[1]} has 3", "503 free addresses")


async def test_a_missing_security_group_is_named(world: World) -> None:
    world.pool["security_groups"] = [f"sg-{'9' * 17}"]
    ends((await world.found())["security groups"], Status.FAILED, f"no security group sg-{'9' * 17}")


async def test_a_security_group_of_another_vpc_is_told(world: World) -> None:
    world.fake.ec2.add(SecurityGroup(id=f"sg-{'d' * 17}", name="other", vpc="vpc-0dddddddddddddddd"))
    world.pool["security_groups"] = [f"sg-{'d' * 17}"]
    ends((await world.found())["security groups"], Status.FAILED, "is in vpc-0ddd", "its subnets are in vpc-0123")


@pytest.mark.parametrize(
    ("egress", "status", "words"),
    [
        ([], Status.FAILED, "let nothing out to agents.example.com:443"),
        (
            [{"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}],
            Status.FAILED,
            "let tcp 443 out",
        ),
        (
            [{"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}],
            Status.WARNING,
            "let tcp 443 out only to 10.0.0.0/8",
        ),
        ([{"IpProtocol": "-1", "Ipv6Ranges": [{"CidrIpv6": "::/0"}]}], Status.OK, "out to port 443"),
    ],
)
async def test_a_security_group_must_let_agents_out_to_where_they_connect(
    world: World, egress: list[Config], status: Status, words: str
) -> None:
    world.fake.ec2.security_groups[GROUP].egress = egress
    ends((await world.found())["security groups"], status, words)


async def test_actions_that_are_not_allowed_are_named_with_what_fails_without_them(world: World) -> None:
    world.fake.rights.deny("ecs:TagResource")
    world.fake.rights.deny("ecs:ListTasks")
    check = (await world.found())["iam"]
    ends(check, Status.FAILED, "ecs:TagResource is not allowed (no task can be started", "ecs:ListTasks is not allowed")
    ends(check, Status.FAILED, "agentbroker iam aws --backend aws prints the policy")


async def test_rights_that_may_not_be_asked_for_are_not_checkable(world: World) -> None:
    world.fake.rights.deny("iam:SimulatePrincipalPolicy")
    found = await world.found()
    ends(found["iam"], Status.SKIPPED, "not checkable: iam:SimulatePrincipalPolicy is not allowed")
    ends(found["roles"], Status.SKIPPED, "not checkable")


async def test_a_role_that_may_not_be_passed_is_named(world: World) -> None:
    world.fake.rights.deny("iam:PassRole")
    found = await world.found()
    ends(found["roles"], Status.FAILED, "role/agentbroker-exec may not be passed to tasks", "allow iam:PassRole")
    ends(found["iam"], Status.OK)


async def test_a_role_of_another_account_is_told(world: World) -> None:
    world.pool["execution_role_arn"] = "arn:aws:iam::444455556666:role/x"
    ends(
        (await world.found())["roles"], Status.FAILED, "is of account 444455556666", "pools.fargate.execution_role_arn"
    )


LOGS = {"log_driver": "awslogs", "options": {"awslogs-group": "/ci/agents", "awslogs-stream-prefix": "java"}}


async def test_a_missing_log_group_is_told(world: World) -> None:
    world.template["ecs"] = {"log_configuration": LOGS}
    world.fake.logs.create_group("/ci/agents-of-others")
    ends((await world.found())["logs"], Status.FAILED, "no log group /ci/agents in eu-west-1", "awslogs-create-group")
    world.fake.logs.create_group("/ci/agents")
    ends((await world.found())["logs"], Status.OK, "/ci/agents")


async def test_a_log_group_that_the_driver_makes_may_be_missing(world: World) -> None:
    options = {**LOGS["options"], "awslogs-create-group": "true"}  # type: ignore[dict-item]
    world.template["ecs"] = {"log_configuration": {**LOGS, "options": options}}
    assert "logs" not in await world.found()


def definition(fake: FakeAws) -> None:
    containers = [{"name": name, "image": "x", "memory": 512} for name in ("agent", "database")]
    fake.ecs.region.definitions.register({"family": "builds", "containerDefinitions": containers}, "arn:of:somebody")


async def test_a_named_task_definition_must_be_there_with_the_agents_container(world: World) -> None:
    world.config["templates"]["java"] = {"task_definition": "builds", "agent_container": "agent"}
    check = (await world.found())["task definitions"]
    ends(check, Status.FAILED, "no task definition builds", "agentbroker discover aws task-definitions")
    definition(world.fake)
    ends((await world.found())["task definitions"], Status.OK, "builds:1, agent in agent")
    world.template["agent_container"] = "jenkins"
    check = (await world.found())["task definitions"]
    ends(check, Status.FAILED, "builds:1 has no container jenkins", "known: agent, database")


@pytest.fixture
def on_instances(world: World) -> World:
    world.config["pools"]["fargate"] = {"backend": "aws", "launch_type": "EC2"}
    return world


async def test_instances_are_told_with_the_agents_that_they_have_room_for(on_instances: World) -> None:
    for _ in range(2):
        on_instances.fake.ecs.add_instance("ci", cpu=2048, memory=5000)
    check = (await on_instances.found())["instances"]
    ends(check, Status.OK, "2 of 2 connected, free: 4 vCPU, 9.8 GiB; room for 4 of java")


async def test_no_instances_at_all_fail_a_pool_that_needs_some(on_instances: World) -> None:
    ends((await on_instances.found())["instances"], Status.FAILED, "no active instances", "add some to cluster ci")


async def test_no_instances_are_no_fault_where_a_capacity_provider_makes_them(on_instances: World) -> None:
    on_instances.fake.ecs.add_provider("fleet", "ci")
    on_instances.config["pools"]["fargate"] = {"backend": "aws", "capacity_provider": "fleet"}
    ends((await on_instances.found())["instances"], Status.OK, "their capacity providers make them")


async def test_instances_that_are_full_are_worth_a_look(on_instances: World) -> None:
    on_instances.fake.ecs.add_instance("ci", cpu=512, memory=1024)
    ends((await on_instances.found())["instances"], Status.WARNING, "room for 0 of java")


def deny(action: str) -> Callable[[World], None]:
    return lambda world: world.fake.rights.deny(action)


def down(world: World) -> None:
    world.fake.faults.add(Fault(service="ecs", drop=True, times=None))


@pytest.mark.parametrize(
    ("harm", "name", "words"),
    [
        (deny("ecs:DescribeClusters"), "cluster", "allow ecs:DescribeClusters: see agentbroker iam aws --backend aws"),
        (deny("ec2:DescribeSubnets"), "subnets", "UnauthorizedOperation"),
        (down, "cluster", "ecs:DescribeClusters: ConnectionClosedError"),
    ],
)
async def test_what_cannot_be_asked_fails_alone(
    world: World, harm: Callable[[World], None], name: str, words: str
) -> None:
    harm(world)
    found = await world.found()
    ends(found[name], Status.FAILED, words)
    ends(found["roles"], Status.OK)
