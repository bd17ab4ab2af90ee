"""A doctor's visit to Alibaba Cloud: each thing that can be wrong is found, with a next step; nothing is changed."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from broker.backends.alibaba_ecs.iam import CALLS
from broker.demo.clouds.alibaba.cloud import FakeAlibaba
from broker.demo.clouds.faults import Fault
from broker.demo.clouds.serving import serving
from broker.doctor.report import Check, Status
from broker.testing.clock import ManualClock
from tests.integration.doctor.alibaba_config import a_key, sound, visit

Config = dict[str, Any]
ZONES = [f"cn-hangzhou-{letter}" for letter in "hij"]
RULE = {
    "SecurityGroupRuleId": "sgr-1",
    "Direction": "ingress",
    "IpProtocol": "TCP",
    "PortRange": "22/22",
    "SourceCidrIp": "203.0.113.0/24",
    "SourceGroupId": "",
    "DestCidrIp": "",
    "Policy": "Accept",
    "Priority": "1",
    "NicType": "intranet",
    "Description": "",
    "CreateTime": "2026-01-01T00:00:00Z",
}


class World:
    """A fake account with a network, a key pair and an open door, and the config that is checked against it."""

    def __init__(self, fake: FakeAlibaba, url: str, directory: Path) -> None:
        self.fake = fake
        self.directory = directory
        key, public = a_key(directory)
        self.config = sound(fake, url, key)
        fake.ecs.add_key_pair("agents", public)
        for one in [*fake.vpc.region().networks.vswitches.values()]:
            fake.vpc.add(replace(one, id=one.id.replace("agents-", "agents")))
        self.rules = fake.vpc.region().networks.groups["sg-bp1agents"].rules
        self.rules.append(dict(RULE))

    async def found(self, clock: ManualClock | None = None) -> dict[str, Check]:
        return await visit(self.directory, self.config, clock)

    @property
    def pool(self) -> Config:
        found: Config = self.config["pools"]["hangzhou"]
        return found

    @property
    def backend(self) -> Config:
        found: Config = self.config["backends"]["ali"]
        return found


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    fake = FakeAlibaba()
    async with serving(fake) as url:
        yield World(fake, url, tmp_path)
    assert fake.ledger.problems == []


def ends(check: Check, status: Status, *words: str) -> None:
    told = f"{check.message} | {check.hint}"
    assert check.status is status, told
    for word in words:
        assert word in told


async def test_a_sound_backend_has_every_check_green_and_is_not_changed(world: World) -> None:
    found = await world.found()
    assert {name: (check.status, check.message) for name, check in found.items() if check.status is not Status.OK} == {}
    told = {name: check.message for name, check in found.items()}
    assert told["credentials"].startswith("user broker, account 1234567890123456")
    assert told["region"] == "cn-hangzhou"
    assert "Available, Ubuntu 24.04 64 bit, x86_64" in told["image"]
    assert "that of the private key" in told["key pair"]
    assert told["vswitches"] == "2 in 2 zones, 504 free addresses"
    assert told["security groups"] == "sg-bp1agents let in 203.0.113.7/32 to tcp 22"
    assert told["stock"] == "pool hangzhou: 2 of 2 in stock"
    assert told["dry run"] == "RunInstances(DryRun) accepted for hangzhou"
    assert "not checkable without doing it" in told["rights"]
    assert world.fake.ecs.living == []
    reads = ("Describe", "Get", "RunInstances")
    asked = {f"{call.service}:{call.action}" for call in world.fake.ledger}
    assert asked <= CALLS
    assert all(call.action.startswith(reads) for call in world.fake.ledger)
    assert all(call.parameters.get("DryRun") for call in world.fake.ledger.of("RunInstances"))


async def test_keys_that_do_not_stand_are_wrong_and_the_rest_is_skipped(world: World) -> None:
    world.backend["access_key_secret"] = "no"
    found = await world.found()
    ends(found["credentials"], Status.FAILED, "SignatureDoesNotMatch", "keys")
    assert found["dry run"].status is Status.SKIPPED


async def test_a_clock_that_is_off_is_a_warning_and_then_wrong(world: World) -> None:
    for seconds, status in ((60, Status.WARNING), (1200, Status.FAILED)):
        found = await world.found(ManualClock(datetime.now(UTC) + timedelta(seconds=seconds)))
        ends(found["clock"], status, "ahead of Alibaba Cloud's clock", "NTP")


async def test_a_region_that_is_none_is_named_with_those_that_are_near(world: World) -> None:
    world.backend["region"] = "cn-hangzhu"
    found = await world.found()
    ends(found["region"], Status.FAILED, "no region cn-hangzhu", "backends.ali.region", "cn-hangzhou")
    assert found["image"].status is Status.SKIPPED


async def test_every_question_is_about_the_region_of_the_config(world: World) -> None:
    world.backend["region"] = "eu-central-1"
    found = await world.found()
    of_all = {"GetCallerIdentity", "DescribeRegions", "DescribeInstanceTypes"}
    assert {call.region for call in world.fake.ledger if call.action not in of_all} == {"eu-central-1"}
    ends(found["vswitches"], Status.FAILED, "vsw-bp1agentsh", "agentbroker discover ali vswitches")


async def test_an_image_that_is_not_there_is_named(world: World) -> None:
    world.pool["image_id"] = "m-bp1none"
    ends((await world.found())["image"], Status.FAILED, "no image m-bp1none", "agentbroker discover ali images")


async def test_an_image_for_other_processors_than_the_types_is_wrong(world: World) -> None:
    world.pool["image_id"] = "aliyun_3_arm64_20G_alibase_20260528.vhd"
    ends((await world.found())["image"], Status.FAILED, "ecs.g7.large is X86, its image is arm64")


async def test_a_windows_image_in_a_pool_of_linux_is_wrong(world: World) -> None:
    world.pool["image_id"] = "win2022_21H2_x64_dtc_en-us_40G_alibase_20260610.vhd"
    ends((await world.found())["image"], Status.FAILED, "is windows, the pool says linux")


async def test_a_private_key_that_is_not_the_key_pairs_is_wrong(world: World) -> None:
    other, _ = a_key(world.directory, "other")
    world.pool["ssh"]["private_key_file"] = str(other)
    found = await world.found()
    ends(found["key pair"], Status.FAILED, "the private key is", "nobody would get onto a host", "private_key_file")


async def test_a_key_pair_that_is_not_there_is_named(world: World) -> None:
    world.pool["key_pair"] = "nobody"
    ends((await world.found())["key pair"], Status.FAILED, "no key pair nobody", "import: true")


async def test_a_vswitch_with_few_addresses_is_a_warning(world: World) -> None:
    world.fake.vpc.region().networks.vswitches["vsw-bp1agentsh"].taken_elsewhere = 250
    ends((await world.found())["vswitches"], Status.WARNING, "vsw-bp1agentsh has 2", "add vSwitches")


async def test_a_vswitch_outside_the_pools_zones_is_wrong(world: World) -> None:
    world.pool["zones"] = [ZONES[0]]
    ends((await world.found())["vswitches"], Status.FAILED, f"vsw-bp1agentsi is in {ZONES[1]}", "zones")


async def test_a_group_that_does_not_let_the_broker_in_is_wrong(world: World) -> None:
    world.rules[0]["SourceCidrIp"] = "10.0.0.0/8"
    found = await world.found()
    ends(found["security groups"], Status.FAILED, "do not let in 203.0.113.7/32 to tcp 22", "security_groups")


async def test_a_group_that_is_open_to_the_world_is_a_warning(world: World) -> None:
    world.rules[0]["SourceCidrIp"] = "0.0.0.0/0"
    ends((await world.found())["security groups"], Status.WARNING, "let the whole world in to tcp 22", "narrow")


async def test_a_rule_that_drops_comes_before_one_that_accepts(world: World) -> None:
    world.rules.append({**RULE, "SecurityGroupRuleId": "sgr-2", "Policy": "Drop", "SourceCidrIp": "203.0.113.7/32"})
    ends((await world.found())["security groups"], Status.FAILED, "do not let in")


async def test_a_group_that_is_not_there_is_named(world: World) -> None:
    world.pool["security_groups"] = ["sg-bp1none"]
    ends((await world.found())["security groups"], Status.FAILED, "no security group sg-bp1none", "discover ali")


async def test_a_type_that_is_sold_out_in_one_zone_is_a_warning_and_in_all_is_wrong(world: World) -> None:
    world.fake.stock.sell_out(ZONES[0], "ecs.g7.large")
    ends((await world.found())["stock"], Status.WARNING, "1 of 2 in stock", f"ecs.g7.large {ZONES[0]} on-demand")
    world.fake.stock.sell_out(ZONES[1], "ecs.g7.large")
    ends((await world.found())["stock"], Status.FAILED, "nothing is in stock", "agentbroker discover ali types")


async def test_spot_and_its_fallback_are_both_told(world: World) -> None:
    world.pool["charge"] = {"spot_strategy": "SpotAsPriceGo", "on_no_stock": "on-demand"}
    world.fake.stock.put(ZONES[0], "ecs.g7.large", spot=True, count=0)
    ends((await world.found())["stock"], Status.WARNING, "3 of 4 in stock", f"ecs.g7.large {ZONES[0]} spot")


async def test_what_the_cloud_would_refuse_is_told_by_the_dry_run_in_its_words(world: World) -> None:
    words = "The specified ImageId does not support it."
    world.fake.faults.add(Fault(action="RunInstances", code="InvalidImageId.NotSupported", message=words))
    ends((await world.found())["dry run"], Status.FAILED, words, "pools.hangzhou")


async def test_a_right_that_is_missing_is_listed_and_the_policy_named(world: World) -> None:
    world.fake.rights.deny("ecs:RunInstances")
    world.fake.rights.deny("ecs:DescribeInstances")
    found = await world.found()
    ends(found["dry run"], Status.FAILED, "allow ecs:RunInstances", "agentbroker iam alibaba --backend ali")
    ends(found["rights"], Status.FAILED, "ecs:DescribeInstances, ecs:RunInstances", "agentbroker iam alibaba")


async def test_a_network_that_is_still_to_be_made_is_said_and_not_made(world: World) -> None:
    world.backend["auto_network"] = True
    for key in ("vswitches", "security_groups", "instance_types"):
        del world.pool[key]
    found = await world.found()
    for name in ("network", "vswitches", "security groups", "dry run"):
        ends(found[name], Status.SKIPPED)
    assert found["stock"].status is Status.OK
    assert not [call for call in world.fake.ledger if call.action.startswith("Create")]


async def test_hosts_that_nobody_would_delete_are_a_warning(world: World) -> None:
    world.backend["auto_release"] = "0s"
    ends((await world.found())["auto release"], Status.WARNING, "auto_release")


async def test_a_backend_without_pools_is_still_asked_for_keys_and_region(world: World) -> None:
    world.backend["region"] = "cn-beijing"
    found = await world.found()
    assert found["credentials"].status is Status.OK
    assert found["region"].message == "cn-beijing"
