"""The commands for Alibaba Cloud as people and programs call them: discover, doctor, iam, cleanup, config init."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from broker.backends.alibaba_ecs.network import Network, NetworkOf, memory_key
from broker.backends.alibaba_ecs.options import BackendOptions
from broker.backends.alibaba_ecs.session import Sessions
from broker.cli.cleanup import cleanup
from broker.cli.config import config as config_command
from broker.cli.discover import discover
from broker.cli.doctor import doctor
from broker.cli.exits import CliError
from broker.cli.iam import iam
from broker.clock import SystemClock
from broker.config.load import load
from broker.config.settings import Config
from broker.demo.clouds.alibaba.cloud import FakeAlibaba
from broker.demo.clouds.alibaba.knobs import Timing
from broker.demo.clouds.serving import serving
from broker.doctor.alibaba_ask import AlibabaCloud
from broker.domain.ids import BackendName, PoolName
from broker.keys import open_keyring
from broker.store.engine import open_store
from broker.store.kept import KeptText
from broker.telemetry.metrics import Metrics
from tests.integration.doctor.alibaba_config import a_key, sound, written


class Account:
    """A fake account, a config for it, and the commands with it."""

    def __init__(self, fake: FakeAlibaba, url: str, directory: Path) -> None:
        self.fake, self.url, self.directory = fake, url, directory
        self.config = sound(fake, url, a_key(directory)[0])

    async def run(self, command: click.Command, *arguments: str, config: bool = True) -> Result:
        """In a thread: commands bring a loop of their own."""
        given = ["--config", str(written(self.directory, self.config))] if config else []
        return await asyncio.to_thread(CliRunner().invoke, command, [*arguments, *given])

    async def items(self, *arguments: str) -> list[dict[str, Any]]:
        ran = await self.run(discover, "ali", *arguments, "-o", "json")
        assert ran.exit_code == 0, ran.output
        found: list[dict[str, Any]] = json.loads(ran.stdout)["items"]
        return found

    def leave_out_the_network(self) -> None:
        self.config["backends"]["ali"]["auto_network"] = True
        for key in ("vswitches", "security_groups", "instance_types"):
            del self.config["pools"]["hangzhou"][key]

    async def make_the_network(self) -> None:
        """As a broker does that runs, and then does not."""
        self.leave_out_the_network()
        self.fake.ecs.timing = Timing.at_once()
        config: Config = load(str(written(self.directory, self.config)))
        definition, clock = config.definitions.backends[BackendName("ali")], SystemClock()
        async with open_store(config.server, Metrics(clock)) as database:
            keyring = open_keyring(config.server.keys_dir, None)
            await database.remember("broker_key", keyring.fingerprint)
            of = NetworkOf.of(definition, database.installation, keyring.sign)
            sessions = Sessions(BackendOptions.of(definition), clock, "ali")
            memory = KeptText(database, f"backend:{memory_key('ali')}")
            network = Network(of, AlibabaCloud(sessions, "ali").call, memory, clock)
            await network.complete(config.definitions.pools[PoolName("hangzhou")])
            await sessions.close()


@pytest.fixture
async def account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Account]:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "AGENTBROKER_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    fake = FakeAlibaba()
    async with serving(fake) as url:
        yield Account(fake, url, tmp_path)


def error(ran: Result) -> CliError:
    assert isinstance(ran.exception, CliError), ran.output
    return ran.exception


async def test_vswitches_are_a_table_for_people_and_json_for_programs(account: Account) -> None:
    ran = await account.run(discover, "ali", "vswitches")
    assert ran.stdout.splitlines()[0].split()[:4] == ["ID", "VPC", "ZONE", "BLOCK"]
    assert len(ran.stdout.splitlines()) == 4
    found = await account.items("vswitches", "--in", "vpc-bp1agents")
    assert [one["zone"] for one in found] == ["cn-hangzhou-h", "cn-hangzhou-i", "cn-hangzhou-j"]


async def test_types_tell_where_they_are_in_stock_on_demand_and_as_spot(account: Account) -> None:
    account.fake.stock.put("cn-hangzhou-h", "ecs.g7.large", spot=True, count=0)
    (found,) = [one for one in await account.items("types") if one["id"] == "ecs.g7.large"]
    assert len(found["zones"]) == 3
    assert found["spot_zones"] == ["cn-hangzhou-i", "cn-hangzhou-j"]


async def test_a_refusal_ends_with_1_and_what_to_do(account: Account) -> None:
    account.fake.rights.deny("ecs:DescribeKeyPairs")
    refused = error(await account.run(discover, "ali", "key-pairs"))
    assert refused.code == 1
    assert "agentbroker iam alibaba --backend ali" in str(refused)


async def test_a_backend_that_is_not_there_is_5_and_names_those_that_are(account: Account) -> None:
    refused = error(await account.run(discover, "ali", "vpcs", "--backend", "none"))
    assert refused.code == 5
    assert "known: ali" in str(refused)


async def test_doctor_ends_with_7_when_a_check_fails(account: Account) -> None:
    ran = await account.run(doctor, "--backend", "ali", "-o", "json")
    assert ran.exit_code == 7, ran.output
    failed = [one["name"] for one in json.loads(ran.stdout)["items"] if one["status"] == "failed"]
    assert "key pair" in failed


async def test_the_policy_is_json_and_nothing_is_asked(account: Account) -> None:
    ran = await account.run(iam, "alibaba", "--account", "1234567890123456")
    policy = json.loads(ran.stdout)
    assert policy["Version"] == "1"
    assert "vpc:CreateVpc" not in ran.stdout
    account.leave_out_the_network()
    ran = await account.run(iam, "alibaba", "--account", "1234567890123456", "--cleanup")
    assert "vpc:CreateVpc" in ran.stdout
    assert "vpc:DeleteVpc" in ran.stdout
    assert len(account.fake.ledger) == 0


async def test_cleanup_shows_what_would_go_and_removes_nothing_without_yes(account: Account) -> None:
    await account.make_the_network()
    ran = await account.run(cleanup, "alibaba", "-o", "json")
    assert ran.exit_code == 9
    told = json.loads(ran.stdout)
    assert [one["kind"] for one in told["items"]] == ["security-group", "vswitch", "vswitch", "vswitch", "vpc"]
    assert not any(call.action.startswith("Delete") for call in account.fake.ledger)


async def test_cleanup_with_yes_removes_just_what_was_made(account: Account) -> None:
    await account.make_the_network()
    ran = await account.run(cleanup, "alibaba", "--yes")
    assert ran.exit_code == 0, ran.output
    assert ran.stdout.count("removed") == 5
    networks = account.fake.vpc.region().networks
    assert set(networks.vpcs) == {"vpc-bp1agents"}
    again = await account.run(cleanup, "alibaba", "--yes", "-o", "json")
    assert (again.exit_code, json.loads(again.stdout)["items"]) == (0, [])


async def test_cleanup_while_the_broker_runs_says_to_stop_it(account: Account) -> None:
    await account.make_the_network()
    config = load(str(written(account.directory, account.config)))
    async with open_store(config.server, Metrics(SystemClock())):
        refused = error(await account.run(cleanup, "alibaba", "--yes"))
    assert refused.code == 1
    assert "stop the broker" in str(refused)


async def test_cleanup_where_no_broker_has_run_makes_no_state(account: Account) -> None:
    refused = error(await account.run(cleanup, "alibaba"))
    assert "no broker has run here" in str(refused)
    assert not (account.directory / "state").exists()


async def test_a_new_config_tells_what_there_is_in_the_account_as_comments(account: Account) -> None:
    arguments = ["init", "--backend", "alibaba-ecs", "--discover"]
    given = ["--from", str(written(account.directory, account.config))]
    ran = await asyncio.to_thread(CliRunner().invoke, config_command, [*arguments, *given])
    assert ran.exit_code == 0, ran.output
    assert "type: alibaba-ecs" in ran.stdout
    lines = [line for line in ran.stdout.splitlines() if line.startswith("#")]
    assert any("vsw-bp1agentsh" in line for line in lines)
    assert any("ecs.g7.large" in line for line in lines)
