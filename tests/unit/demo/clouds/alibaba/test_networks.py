"""VPCs, vSwitches and security groups."""

from typing import Any

import pytest

from broker.demo.clouds.alibaba.cloud import FakeAlibaba
from broker.demo.clouds.serving import serving
from broker.testing.clock import ManualClock
from tests.fake_alibaba import Sdk
from tests.unit.demo.clouds.alibaba.conftest import launched

ZONE = "cn-hangzhou-h"


async def a_vpc(api: Sdk, clock: ManualClock, cidr: str = "192.168.0.0/16") -> str:
    """The id of one that is Available."""
    made = await api("CreateVpc", CidrBlock=cidr, VpcName="other")
    await clock.advance(5)
    return str(made["VpcId"])


async def test_a_vpc_is_pending_at_first_and_takes_nothing_then(api: Sdk, clock: ManualClock) -> None:
    made = await api("CreateVpc", CidrBlock="192.168.0.0/16")
    vpc = made["VpcId"]
    assert (await api("DescribeVpcs", VpcId=vpc))["Vpcs"]["Vpc"][0]["Status"] == "Pending"
    refused = await api.refused("CreateVSwitch", VpcId=vpc, ZoneId=ZONE, CidrBlock="192.168.0.0/24")
    assert refused.code == "IncorrectVpcStatus"
    assert (await api.refused("CreateSecurityGroup", VpcId=vpc)).code == "IncorrectVpcStatus"
    await clock.advance(3)
    assert (await api("DescribeVpcs", VpcId=vpc))["Vpcs"]["Vpc"][0]["Status"] == "Available"
    await api("CreateVSwitch", VpcId=vpc, ZoneId=ZONE, CidrBlock="192.168.0.0/24")


async def test_the_same_token_makes_one_vpc_one_vswitch_one_group(
    fake: FakeAlibaba, api: Sdk, clock: ManualClock
) -> None:
    first = await api("CreateVpc", CidrBlock="192.168.0.0/16", ClientToken="a")
    assert (await api("CreateVpc", CidrBlock="192.168.0.0/16", ClientToken="a"))["VpcId"] == first["VpcId"]
    assert (
        await api.refused("CreateVpc", CidrBlock="10.0.0.0/8", ClientToken="a")
    ).code == "IdempotentParameterMismatch"
    await clock.advance(5)
    said = {"VpcId": first["VpcId"], "ZoneId": ZONE, "CidrBlock": "192.168.0.0/24", "ClientToken": "a"}
    assert (await api("CreateVSwitch", **said))["VSwitchId"] == (await api("CreateVSwitch", **said))["VSwitchId"]
    group = {"VpcId": first["VpcId"], "ClientToken": "a"}
    made = await api("CreateSecurityGroup", **group)
    assert (await api("CreateSecurityGroup", **group))["SecurityGroupId"] == made["SecurityGroupId"]
    networks = fake.vpc.region().networks
    assert (len(networks.vpcs), len(networks.vswitches), len(networks.groups)) == (2, 4, 2)


@pytest.mark.parametrize(
    "cidr", ["192.168.0.1/16", "192.168.0.0", "10.0.0.0/7", "10.0.0.0/29", "100.64.0.0/16", "127.0.0.0/8"]
)
async def test_a_vpc_wants_a_block_of_its_own_kind(api: Sdk, cidr: str) -> None:
    assert (await api.refused("CreateVpc", CidrBlock=cidr)).code == "InvalidCidrBlock.Malformed"


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({"CidrBlock": "10.0.2.0/23"}, "InvalidCidrBlock.Overlapped"),
        ({"CidrBlock": "10.0.0.0/16"}, "InvalidCidrBlock.Overlapped"),
        ({"CidrBlock": "10.0.8.0/15"}, "InvalidCidrBlock.Malformed"),
        ({"CidrBlock": "10.0.8.0/30"}, "InvalidCidrBlock.Malformed"),
        ({"CidrBlock": "10.0.8.1/24"}, "InvalidCidrBlock.Malformed"),
        ({"CidrBlock": "10.1.0.0/24"}, "InvalidCidrBlock.Malformed"),
        ({"CidrBlock": ""}, "MissingParameter"),
        ({"VpcId": "vpc-gone"}, "InvalidVpcID.NotFound"),
        ({"ZoneId": "cn-hangzhou-z"}, "InvalidZoneId.NotFound"),
        ({"VSwitchName": "http://x"}, "InvalidVSwitchName.Malformed"),
    ],
)
async def test_a_vswitch_wants_a_free_block_of_its_vpc(api: Sdk, said: dict[str, Any], code: str) -> None:
    usual = {"VpcId": "vpc-bp1agents", "ZoneId": ZONE, "CidrBlock": "10.0.8.0/24"}
    assert (await api.refused("CreateVSwitch", **{**usual, **said})).code == code


async def test_a_vswitch_counts_its_free_addresses(api: Sdk, clock: ManualClock) -> None:
    made = await api("CreateVSwitch", VpcId="vpc-bp1agents", ZoneId=ZONE, CidrBlock="10.0.8.0/29")
    vswitch = made["VSwitchId"]
    pending = await api.refused("DeleteVSwitch", VSwitchId=vswitch)
    assert pending.code == "IncorrectVSwitchStatus"
    await clock.advance(2)
    (one,) = await launched(api, VSwitchId=vswitch)
    told = (await api("DescribeVSwitches", VSwitchId=vswitch))["VSwitches"]["VSwitch"][0]
    assert (told["AvailableIpAddressCount"], told["Status"], told["ZoneId"]) == (3, "Available", ZONE)
    assert (await api.refused("DeleteVSwitch", VSwitchId=vswitch)).code == "DependencyViolation"
    await clock.advance(20)
    await api("DeleteInstance", InstanceId=one, Force=True)
    await clock.advance(20)
    await api("DeleteVSwitch", VSwitchId=vswitch)
    assert (await api.refused("DeleteVSwitch", VSwitchId=vswitch)).code == "InvalidVSwitchId.NotFound"


async def test_vswitches_come_in_pages_of_fifty_at_most(api: Sdk) -> None:
    for number in range(20, 80):
        await api("CreateVSwitch", VpcId="vpc-bp1agents", ZoneId=ZONE, CidrBlock=f"10.0.{number}.0/24")
    assert len((await api("DescribeVSwitches"))["VSwitches"]["VSwitch"]) == 10
    pages = [await api("DescribeVSwitches", PageSize=50, PageNumber=number) for number in (1, 2, 3)]
    assert [len(page["VSwitches"]["VSwitch"]) for page in pages] == [50, 13, 0]
    assert pages[0]["TotalCount"] == 63
    assert (await api.refused("DescribeVSwitches", PageSize=51)).code == "InvalidParameter"
    assert len((await api("DescribeVSwitches", ZoneId="cn-hangzhou-i"))["VSwitches"]["VSwitch"]) == 1


async def test_quotas_hold_for_networks(fake: FakeAlibaba, api: Sdk) -> None:
    fake.ecs.quotas.vpcs, fake.ecs.quotas.vswitches, fake.ecs.quotas.security_groups = 1, 3, 1
    assert (await api.refused("CreateVpc")).code == "QuotaExceeded.Vpc"
    refused = await api.refused("CreateVSwitch", VpcId="vpc-bp1agents", ZoneId=ZONE, CidrBlock="10.0.8.0/24")
    assert refused.code == "QuotaExceeded.VSwitch"
    assert (await api.refused("CreateSecurityGroup", VpcId="vpc-bp1agents")).code == "QuotaExceed.SecurityGroup"


async def test_a_vpc_is_deleted_when_nothing_is_left_in_it(api: Sdk, clock: ManualClock) -> None:
    vpc = await a_vpc(api, clock)
    made = await api("CreateVSwitch", VpcId=vpc, ZoneId=ZONE, CidrBlock="192.168.0.0/24")
    group = await api("CreateSecurityGroup", VpcId=vpc)
    await clock.advance(2)
    assert (await api.refused("DeleteVpc", VpcId=vpc)).code == "DependencyViolation.VSwitch"
    await api("DeleteVSwitch", VSwitchId=made["VSwitchId"])
    assert (await api.refused("DeleteVpc", VpcId=vpc)).code == "DependencyViolation.SecurityGroup"
    await api("DeleteSecurityGroup", SecurityGroupId=group["SecurityGroupId"])
    await api("DeleteVpc", VpcId=vpc)
    assert (await api.refused("DeleteVpc", VpcId=vpc)).code == "InvalidVpcID.NotFound"
    assert [one["VpcId"] for one in (await api("DescribeVpcs"))["Vpcs"]["Vpc"]] == ["vpc-bp1agents"]


async def test_networks_are_found_by_their_tags(api: Sdk) -> None:
    tag = [{"Key": "installation", "Value": "prod"}]
    vpc = (await api("CreateVpc", Tag=tag))["VpcId"]
    assert [one["VpcId"] for one in (await api("DescribeVpcs", Tag=tag))["Vpcs"]["Vpc"]] == [vpc]
    assert (await api("DescribeVpcs", VpcId=vpc))["Vpcs"]["Vpc"][0]["Tags"] == {"Tag": tag}
    made = await api("CreateVSwitch", VpcId="vpc-bp1agents", ZoneId=ZONE, CidrBlock="10.0.8.0/24", Tag=tag)
    found = (await api("DescribeVSwitches", Tag=tag))["VSwitches"]["VSwitch"]
    assert [one["VSwitchId"] for one in found] == [made["VSwitchId"]]


async def test_a_bare_account_has_no_network() -> None:
    fake = FakeAlibaba(bare=True)
    async with serving(fake) as url:
        api = Sdk(fake, url)
        assert (await api("DescribeVpcs"))["TotalCount"] == 0
        assert (await api("DescribeSecurityGroups"))["TotalCount"] == 0


async def test_a_group_lets_in_what_it_is_told(api: Sdk) -> None:
    rule = {
        "IpProtocol": "tcp",
        "PortRange": "22/22",
        "SourceCidrIp": "10.0.0.0/8",
        "Policy": "accept",
        "Priority": "1",
    }
    for _ in range(2):  # the same rule again is a success
        await api("AuthorizeSecurityGroup", SecurityGroupId="sg-bp1agents", Permissions=[rule])
    told = await api("DescribeSecurityGroupAttribute", SecurityGroupId="sg-bp1agents", Direction="ingress")
    (known,) = told["Permissions"]["Permission"]
    assert (known["IpProtocol"], known["PortRange"], known["SourceCidrIp"], known["Policy"]) == (
        "TCP", "22/22", "10.0.0.0/8", "Accept",
    )  # fmt: skip
    egress = await api("DescribeSecurityGroupAttribute", SecurityGroupId="sg-bp1agents", Direction="egress")
    assert egress["Permissions"]["Permission"] == []


RULE = {"IpProtocol": "TCP", "PortRange": "22/22", "SourceCidrIp": "10.0.0.0/8"}


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({"IpProtocol": "SSH"}, "InvalidIpProtocol.ValueNotSupported"),
        ({"PortRange": "22"}, "InvalidIpProtocol.Malformed"),
        ({"PortRange": "-1/-1"}, "OperationDenied"),
        ({"PortRange": "23/22"}, "OperationDenied"),
        ({"PortRange": "22/70000"}, "OperationDenied"),
        ({"IpProtocol": "ICMP"}, "OperationDenied"),
        ({"SourceCidrIp": "10.0.0"}, "InvalidSourceCidrIp.Malformed"),
        ({"SourceCidrIp": ""}, "MissingParameter.Source"),
        ({"SourceGroupId": "sg-gone"}, "InvalidSourceGroupId.NotFound"),
        ({"Policy": "maybe"}, "InvalidPolicy.Malformed"),
        ({"Priority": "101"}, "InvalidPriority.ValueNotSupported"),
        ({"Description": "x" * 513}, "InvalidSecurityGroupDiscription.Malformed"),
    ],
)
async def test_a_rule_that_is_none_is_refused(fake: FakeAlibaba, api: Sdk, said: dict[str, str], code: str) -> None:
    good = {**RULE, "PortRange": "80/80"}
    refused = await api.refused(
        "AuthorizeSecurityGroup", SecurityGroupId="sg-bp1agents", Permissions=[good, {**RULE, **said}]
    )
    assert refused.code == code
    assert fake.vpc.region().networks.groups["sg-bp1agents"].rules == []


async def test_rules_are_bounded_and_of_groups_that_are_there(fake: FakeAlibaba, api: Sdk) -> None:
    fake.ecs.quotas.group_rules = 1
    await api("AuthorizeSecurityGroup", SecurityGroupId="sg-bp1agents", **RULE)
    more = await api.refused("AuthorizeSecurityGroup", SecurityGroupId="sg-bp1agents", **{**RULE, "PortRange": "80/80"})
    assert more.code == "AuthorizationLimitExceed"
    gone = await api.refused("AuthorizeSecurityGroup", SecurityGroupId="sg-gone", **RULE)
    assert gone.code == "InvalidSecurityGroupId.NotFound"
    both = await api.refused("AuthorizeSecurityGroup", SecurityGroupId="sg-bp1agents", Permissions=[RULE], **RULE)
    assert both.code == "InvalidParameter.Conflict"


async def test_a_group_that_is_used_stays(api: Sdk, clock: ManualClock) -> None:
    other = (await api("CreateSecurityGroup", VpcId="vpc-bp1agents"))["SecurityGroupId"]
    rule = {"IpProtocol": "ALL", "PortRange": "-1/-1", "SourceGroupId": "sg-bp1agents"}
    await api("AuthorizeSecurityGroup", SecurityGroupId=other, Permissions=[rule])
    (one,) = await launched(api, SecurityGroupId=other)
    used = await api.refused("DeleteSecurityGroup", SecurityGroupId=other)
    assert (used.code, used.status_code) == ("DependencyViolation", 403)
    named = await api.refused("DeleteSecurityGroup", SecurityGroupId="sg-bp1agents")
    assert named.code == "DependencyViolation"
    await clock.advance(20)
    await api("DeleteInstance", InstanceId=one, Force=True)
    await clock.advance(20)
    await api("DeleteSecurityGroup", SecurityGroupId=other)
    await api("DeleteSecurityGroup", SecurityGroupId="sg-bp1agents")
    assert (await api.refused("DeleteSecurityGroup", SecurityGroupId=other)).code == "InvalidSecurityGroupId.NotFound"


async def test_groups_are_found_page_by_page(api: Sdk) -> None:
    for number in range(12):
        await api("CreateSecurityGroup", VpcId="vpc-bp1agents", SecurityGroupName=f"group-{number}")
    assert len((await api("DescribeSecurityGroups"))["SecurityGroups"]["SecurityGroup"]) == 10
    first = await api("DescribeSecurityGroups", MaxResults=7)
    rest = await api("DescribeSecurityGroups", MaxResults=7, NextToken=first["NextToken"])
    assert len(first["SecurityGroups"]["SecurityGroup"] + rest["SecurityGroups"]["SecurityGroup"]) == 13
    found = await api("DescribeSecurityGroups", SecurityGroupName="group-1", IsQueryEcsCount=True)
    assert [one["EcsCount"] for one in found["SecurityGroups"]["SecurityGroup"]] == [0]
    fuzzy = await api("DescribeSecurityGroups", SecurityGroupName="group-1", FuzzyQuery=True)
    assert fuzzy["TotalCount"] == 3
    for said, code in (
        ({"VpcId": "vpc-gone"}, "InvalidVpcId.NotFound"),
        ({}, "InvalidVpcId.NotFound"),
        ({"VpcId": "vpc-bp1agents", "SecurityGroupName": "1"}, "InvalidSecurityGroupName.Malformed"),
        ({"VpcId": "vpc-bp1agents", "Description": "x"}, "InvalidSecurityGroupDiscription.Malformed"),
    ):
        assert (await api.refused("CreateSecurityGroup", **said)).code == code
