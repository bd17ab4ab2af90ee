"""`agentbroker iam aws`, `discover aws` and `doctor --backend`, as people and programs call them."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from broker.cli.discover import discover
from broker.cli.doctor import doctor
from broker.cli.exits import CliError
from broker.cli.iam import iam
from broker.demo.clouds.aws import FakeAws
from broker.demo.clouds.ec2 import Subnet
from broker.demo.clouds.serving import serving
from tests.integration.doctor.aws_config import GROUP, SUBNETS, sound, written

BASE = "arn:aws:iam::111122223333:role/"


class Account:
    """A fake account, a config for it, and the commands with it."""

    def __init__(self, fake: FakeAws, url: str, directory: Path) -> None:
        self.fake, self.url = fake, url
        self.config = sound(fake, url)
        self._directory = directory

    async def run(self, command: click.Command, *arguments: str, config: bool = True) -> Result:
        """In a thread: commands bring a loop of their own."""
        given = ["--config", str(written(self._directory, self.config))] if config else []
        return await asyncio.to_thread(CliRunner().invoke, command, [*arguments, *given])

    async def items(self, *arguments: str) -> list[dict[str, Any]]:
        ran = await self.run(discover, "aws", *arguments, "-o", "json")
        assert ran.exit_code == 0, ran.output
        found: list[dict[str, Any]] = json.loads(ran.stdout)["items"]
        return found


@pytest.fixture
async def account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Account]:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "AWS_PROFILE", "AGENTBROKER_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    fake = FakeAws()
    async with serving(fake) as url:
        yield Account(fake, url, tmp_path)


def error(ran: Result) -> CliError:
    assert isinstance(ran.exception, CliError), ran.output
    return ran.exception


async def test_all_pages_of_clusters_are_shown(account: Account) -> None:
    for number in range(230):
        account.fake.ecs.add_cluster(f"c{number:03}")
    names = [item["name"] for item in await account.items("clusters")]
    assert names == [f"c{number:03}" for number in range(230)] + ["default"]
    assert account.fake.ledger.count("DescribeClusters") == 3


async def test_clusters_are_a_table_for_people(account: Account) -> None:
    ran = await account.run(discover, "aws", "clusters")
    assert ran.stdout.splitlines() == [
        "NAME     STATUS  TASKS  INSTANCES  CAPACITY PROVIDERS",
        "default  ACTIVE  0      0          FARGATE,FARGATE_SPOT",
    ]


async def test_capacity_providers_are_those_of_the_account_or_of_a_cluster(account: Account) -> None:
    account.fake.ecs.add_cluster("ci", [])
    account.fake.ecs.add_provider("fleet", "ci")
    found = {item["name"]: item for item in await account.items("capacity-providers")}
    assert set(found) == {"FARGATE", "FARGATE_SPOT", "fleet"}
    assert (found["fleet"]["kind"], found["fleet"]["managed_scaling"]) == ("auto-scaling group", "ENABLED")
    assert found["FARGATE"]["kind"] == "Fargate"
    assert [item["name"] for item in await account.items("capacity-providers", "--in", "ci")] == ["fleet"]
    assert await account.items("capacity-providers", "--in", "nope") == []


async def test_subnets_are_those_of_the_region_or_of_a_vpc(account: Account) -> None:
    account.fake.ec2.add(Subnet(id=f"subnet-{'d' * 17}", zone="eu-west-1a", vpc="vpc-0d", tags={"Name": "private"}))
    assert [item["id"] for item in await account.items("subnets")] == [*SUBNETS, f"subnet-{'d' * 17}"]
    (only,) = await account.items("subnets", "--in", "vpc-0d")
    assert only == {
        "id": f"subnet-{'d' * 17}",
        "zone": "eu-west-1a",
        "cidr": "10.0.0.0/24",
        "free_addresses": 250,
        "public": False,
        "vpc": "vpc-0d",
        "name": "private",
    }


async def test_all_pages_of_subnets_are_shown(account: Account) -> None:
    for number in range(1100):
        account.fake.ec2.add(Subnet(id=f"subnet-{number:017}", zone="eu-west-1a"))
    assert len(await account.items("subnets")) == 1103
    assert account.fake.ledger.count("DescribeSubnets") == 2


async def test_security_groups_are_shown(account: Account) -> None:
    (only,) = await account.items("security-groups")
    assert (only["id"], only["name"]) == (GROUP, "agents")


async def test_families_and_their_revisions_are_shown(account: Account) -> None:
    for family in ("builds", "builds", "builds-large"):
        containers = [{"name": "agent", "image": "x", "memory": 512}]
        account.fake.ecs.region.definitions.register({"family": family, "containerDefinitions": containers}, "arn:of:x")
    assert [item["family"] for item in await account.items("task-definitions")] == ["builds", "builds-large"]
    assert [item["revision"] for item in await account.items("task-definitions", "--in", "builds")] == [2, 1]


async def test_an_account_is_shown_without_a_config(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", account.fake.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", account.fake.secret_key)
    place = ("--region", "eu-west-1", "--endpoint-url", account.url)
    ran = await account.run(discover, "aws", "clusters", *place, "-o", "jsonl", config=False)
    assert json.loads(ran.stdout)["name"] == "default"


async def test_nothing_is_said_to_people_not_to_programs(account: Account) -> None:
    ran = await account.run(discover, "aws", "subnets", "--in", "vpc-0nope")
    assert (ran.stdout, ran.stderr) == ("", "no subnets of vpc-0nope there\n")


async def test_a_refusal_is_told_with_the_clouds_words_and_what_to_allow(account: Account) -> None:
    account.fake.rights.deny("ecs:ListClusters")
    told = str(error(await account.run(discover, "aws", "clusters")))
    assert "not authorized to perform: ecs:ListClusters" in told
    assert "allow ecs:ListClusters: see agentbroker iam aws --backend aws" in told


async def test_a_backend_that_is_not_there_is_told_with_those_that_are(account: Account) -> None:
    refused = error(await account.run(iam, "aws", "--backend", "nope"))
    assert refused.code == 5
    assert "known: aws" in str(refused)


async def test_one_of_several_backends_must_be_chosen(account: Account) -> None:
    account.config["backends"]["us"] = {**account.config["backends"]["aws"], "region": "us-east-1"}
    assert "choose one with --backend: aws, us" in str(error(await account.run(iam, "aws")))
    ran = await account.run(iam, "aws", "--backend", "us", "--account", "444455556666")
    assert "arn:aws:ecs:us-east-1:444455556666:cluster/ci" in ran.stdout


def actions(ran: Result) -> set[str]:
    found = set[str]()
    for statement in json.loads(ran.stdout)["Statement"]:
        action = statement["Action"]
        found |= {action} if isinstance(action, str) else set(action)
    return found


async def test_what_only_the_doctor_asks_can_be_left_out(account: Account) -> None:
    everything, least = await account.run(iam, "aws"), await account.run(iam, "aws", "--no-doctor")
    assert actions(everything) - actions(least) == {
        "ec2:DescribeSecurityGroups",
        "ecs:DescribeClusters",
        "iam:SimulatePrincipalPolicy",
    }


async def test_each_link_of_a_chain_of_roles_has_a_policy_of_its_own(account: Account) -> None:
    account.config["backends"]["aws"]["assume_role_arn"] = [{"role_arn": f"{BASE}hub"}, {"role_arn": f"{BASE}spoke"}]
    for whose, taken in (("base", "hub"), (f"{BASE}hub", "spoke")):
        (only,) = json.loads((await account.run(iam, "aws", "--for", whose)).stdout)["Statement"]
        assert (only["Action"], only["Resource"]) == ("sts:AssumeRole", BASE + taken)
    last = await account.run(iam, "aws", "--for", f"{BASE}spoke")
    assert last.stdout == (await account.run(iam, "aws")).stdout
    assert "sts:AssumeRole" not in actions(last)
    assert f"of {BASE}spoke; who takes it needs" in last.stderr
    assert error(await account.run(iam, "aws", "--for", "other")).code == 5


async def test_an_account_that_nothing_tells_is_any(account: Account) -> None:
    del account.config["pools"]["fargate"]["execution_role_arn"]
    ran = await account.run(iam, "aws")
    assert "arn:aws:ecs:eu-west-1:*:cluster/ci" in ran.stdout
    assert "say which with --account" in ran.stderr


async def test_roles_and_logs_of_a_named_definition_are_given_by_hand(account: Account) -> None:
    account.config["templates"]["java"] = {"task_definition": "builds"}
    assert "name the roles of its task definition with --pass-role" in (await account.run(iam, "aws")).stderr
    ran = await account.run(iam, "aws", "--pass-role", f"{BASE}builds", "--log-group", "/builds")
    assert f"{BASE}builds" in ran.stdout
    assert "log-group:/builds:log-stream:*" in ran.stdout
    assert "ecs:RegisterTaskDefinition" not in actions(ran)


async def test_doctor_looks_at_one_backend(account: Account) -> None:
    account.fake.ecs.add_cluster("ci")
    ran = await account.run(doctor, "--backend", "aws")
    assert ran.exit_code == 0, ran.output
    assert "backend aws  ✔ credentials      user broker, account 111122223333, region eu-west-1\n" in ran.stdout
    assert ran.stdout.endswith("8 ok, 0 warnings, 0 failed\n")


async def test_doctor_says_so_where_a_backend_has_nothing_to_ask(account: Account) -> None:
    account.config["backends"]["here"] = {"type": "process"}
    ran = await account.run(doctor, "--backend", "here")
    assert "backend here  - cloud  agents of type process run without one" in ran.stdout


async def test_doctor_without_a_choice_looks_at_backends_too(account: Account) -> None:
    account.config["backends"]["here"] = {"type": "process"}
    ran = await account.run(doctor)
    assert ran.exit_code == 7
    assert "no cluster ci in eu-west-1" in ran.stdout
    assert "gateway" in ran.stdout
    assert "backend here" not in ran.stdout


async def test_doctor_of_a_backend_that_is_not_there_names_those_that_are(account: Account) -> None:
    assert "configured: aws" in str(error(await account.run(doctor, "--backend", "aws2")))
