"""RunInstances: what it makes, and everything for which it refuses."""

import base64
from typing import Any

import pytest

from broker.demo.clouds.alibaba.catalog import Image
from broker.demo.clouds.alibaba.cloud import FakeAlibaba
from broker.demo.clouds.alibaba.roles import ECS
from broker.testing.clock import ManualClock
from tests.fake_alibaba import Sdk
from tests.unit.demo.clouds.alibaba.conftest import an_order, launched, seen

WINDOWS = "win2022_21H2_x64_dtc_en-us_40G_alibase_20260610.vhd"
ARM = "aliyun_3_arm64_20G_alibase_20260528.vhd"


async def test_a_launch_makes_what_was_ordered(fake: FakeAlibaba, api: Sdk, clock: ManualClock) -> None:
    fake.sts.add_role("builder", trusts=[ECS])
    order = an_order(
        Amount=2, InstanceName="agent-[1,3]", Tag=[{"Key": "lease", "Value": "x y"}], RamRoleName="builder",
        SpotStrategy="SpotWithPriceLimit", SpotPriceLimit=0.5, SpotDuration=0, HttpTokens="required",
        InternetMaxBandwidthOut=10, AutoReleaseTime="2026-01-01T04:00:30Z",
        UserData=base64.b64encode(b"#!/bin/sh").decode(),
        SystemDisk={"Category": "cloud_essd", "Size": "60", "PerformanceLevel": "PL0"},
        DataDisk=[{"Category": "cloud_auto", "Size": 200}],
    )  # fmt: skip
    answered = await api("RunInstances", **order)
    ids = answered["InstanceIdSets"]["InstanceIdSet"]
    assert (len(ids), answered["TradePrice"]) == (2, 0.24)
    await clock.advance(20)
    first, second = await seen(api, InstanceIds=f'["{ids[0]}","{ids[1]}"]')
    assert (first["InstanceName"], second["InstanceName"]) == ("agent-001", "agent-002")
    assert first["Status"] == "Running"
    assert first["Tags"] == {"Tag": [{"TagKey": "lease", "TagValue": "x y"}]}
    assert first["AutoReleaseTime"] == "2026-01-01T04:00:00Z"
    assert (first["SpotStrategy"], first["SpotPriceLimit"], first["SpotDuration"]) == ("SpotWithPriceLimit", 0.5, 0)
    assert first["MetadataOptions"]["HttpTokens"] == "required"
    assert first["VpcAttributes"]["PrivateIpAddress"]["IpAddress"] == ["10.0.0.1"]
    assert first["PublicIpAddress"]["IpAddress"] != second["PublicIpAddress"]["IpAddress"]
    assert fake.ecs.instance(ids[0]).user_data == b"#!/bin/sh"
    disks = (await api("DescribeDisks", InstanceId=ids[0]))["Disks"]["Disk"]
    assert [(one["Type"], one["Category"], one["Size"]) for one in disks] == [
        ("system", "cloud_essd", 60),
        ("data", "cloud_auto", 200),
    ]


async def test_a_dry_run_that_is_right_is_refused_as_one_and_makes_nothing(fake: FakeAlibaba, api: Sdk) -> None:
    refused = await api.refused("RunInstances", **an_order(DryRun=True))
    assert (refused.code, refused.status_code) == ("DryRunOperation", 400)
    assert fake.ecs.living == []


async def test_a_dry_run_that_is_wrong_says_what_is(api: Sdk) -> None:
    assert (
        await api.refused("RunInstances", **an_order(DryRun=True, ImageId="m-gone"))
    ).code == "InvalidImageId.NotFound"


async def test_the_same_token_makes_nothing_new_for_a_day(fake: FakeAlibaba, api: Sdk, clock: ManualClock) -> None:
    first = await launched(api, ClientToken="t-1")
    assert await launched(api, ClientToken="t-1") == first
    refused = await api.refused("RunInstances", **an_order(ClientToken="t-1", Amount=2))
    assert refused.code == "IdempotentParameterMismatch"
    assert len(fake.ecs.living) == 1
    await clock.advance(86400)
    assert await launched(api, ClientToken="t-1") != first


async def test_a_launch_that_failed_does_not_use_up_its_token(fake: FakeAlibaba, api: Sdk) -> None:
    fake.stock.sell_out("cn-hangzhou-h", "ecs.g7.large")
    await api.refused("RunInstances", **an_order(ClientToken="t-1"))
    fake.stock.refill()
    assert len(await launched(api, ClientToken="t-1", Amount=2)) == 2


async def test_without_a_least_amount_a_launch_is_all_or_nothing(fake: FakeAlibaba, api: Sdk) -> None:
    fake.stock.put("cn-hangzhou-h", "ecs.g7.large", spot=False, count=3)
    refused = await api.refused("RunInstances", **an_order(Amount=4))
    assert (refused.code, refused.status_code) == ("OperationDenied.NoStock", 403)
    assert fake.ecs.living == []


async def test_with_a_least_amount_it_makes_what_is_in_stock(fake: FakeAlibaba, api: Sdk) -> None:
    fake.stock.put("cn-hangzhou-h", "ecs.g7.large", spot=False, count=3)
    assert len(await launched(api, Amount=10, MinAmount=2)) == 3
    assert (await api.refused("RunInstances", **an_order(Amount=10, MinAmount=1))).code == "OperationDenied.NoStock"


async def test_stock_is_that_of_a_zone_a_type_and_a_way_to_pay(fake: FakeAlibaba, api: Sdk) -> None:
    fake.stock.put("cn-hangzhou-h", "ecs.g7.large", spot=True, count=0)
    refused = await api.refused("RunInstances", **an_order(SpotStrategy="SpotAsPriceGo"))
    assert refused.code == "OperationDenied.NoStock"
    assert await launched(api)
    assert await launched(api, SpotStrategy="SpotAsPriceGo", InstanceType="ecs.c7.large")
    assert await launched(api, SpotStrategy="SpotAsPriceGo", VSwitchId="vsw-bp1agentsi")


async def test_stock_comes_back_with_an_instance_that_goes(fake: FakeAlibaba, api: Sdk, clock: ManualClock) -> None:
    fake.stock.put("cn-hangzhou-h", "ecs.g7.large", spot=False, count=1)
    (one,) = await launched(api)
    await clock.advance(20)
    await api("DeleteInstance", InstanceId=one, Force=True)
    await clock.advance(20)
    assert await launched(api)


async def test_a_spot_price_above_the_limit_refuses(fake: FakeAlibaba, api: Sdk) -> None:
    order = an_order(SpotStrategy="SpotWithPriceLimit", SpotPriceLimit=0.12)
    await api("RunInstances", **order)
    fake.stock.price_spot("cn-hangzhou-h", "ecs.g7.large", 0.121)
    assert (await api.refused("RunInstances", **order)).code == "InvalidSpotPriceLimit.LowerThanPublicPrice"


async def test_quotas_count_instances_and_cpus_of_each_way_to_pay(fake: FakeAlibaba, api: Sdk) -> None:
    fake.ecs.quotas.vcpus, fake.ecs.quotas.spot_vcpus = 4, 2
    await launched(api, Amount=2)
    assert (await api.refused("RunInstances", **an_order())).code == "QuotaExceed.ElasticQuota"
    await launched(api, SpotStrategy="SpotAsPriceGo")
    fake.ecs.quotas.vcpus, fake.ecs.quotas.instances = None, 3
    assert (await api.refused("RunInstances", **an_order())).code == "QuotaExceed.AfterpayInstance"


async def test_a_vswitch_has_so_many_addresses(fake: FakeAlibaba, api: Sdk) -> None:
    fake.ecs.region().networks.vswitches["vsw-bp1agentsh"].taken_elsewhere = 250
    refused = await api.refused("RunInstances", **an_order(Amount=3))
    assert refused.code == "QuotaExceeded.PrivateIpAddress"
    assert len(await launched(api, Amount=2)) == 2


async def test_a_key_pair_does_not_go_with_windows_but_a_password_does(api: Sdk) -> None:
    refused = await api.refused("RunInstances", **an_order(ImageId=WINDOWS))
    assert refused.code == "DependencyViolation.WindowsInstance"
    assert await launched(api, ImageId=WINDOWS, KeyPairName=None, Password="Secret-123456")


async def test_an_instance_may_have_an_address_of_ones_choice(api: Sdk) -> None:
    await launched(api, PrivateIpAddress="10.0.0.77")
    again = await api.refused("RunInstances", **an_order(PrivateIpAddress="10.0.0.77"))
    assert again.code == "InvalidPrivateIpAddress.Duplicated"


MALFORMED: list[tuple[dict[str, Any], str]] = [
    ({"ImageId": None}, "MissingParameter"),
    ({"InstanceType": None}, "MissingParameter"),
    ({"VSwitchId": None}, "MissingParameter"),
    ({"SecurityGroupId": None}, "MissingParameter"),
    ({"Amount": 0}, "InvalidParam.Amount"),
    ({"Amount": 101}, "InvalidParam.Amount"),
    ({"MinAmount": 2}, "InvalidMinAmount.Malformed"),
    ({"MinAmount": 0}, "InvalidMinAmount.Malformed"),
    ({"ClientToken": "x" * 65}, "InvalidClientToken.ValueNotSupported"),
    ({"ClientToken": "ü"}, "InvalidClientToken.ValueNotSupported"),
    ({"InstanceName": "x"}, "InvalidInstanceName.Malformed"),
    ({"InstanceName": "1agent"}, "InvalidInstanceName.Malformed"),
    ({"InstanceName": "a b"}, "InvalidInstanceName.Malformed"),
    ({"InstanceName": "http://agent"}, "InvalidInstanceName.Malformed"),
    ({"InstanceName": "agent-[1,7]"}, "InvalidInstanceName.Malformed"),
    ({"InstanceName": "a" * 129}, "InvalidInstanceName.Malformed"),
    ({"HostName": "-x"}, "InvalidHostName.Malformed"),
    ({"HostName": "a..b"}, "InvalidHostName.Malformed"),
    ({"Description": "x"}, "InvalidDescription.Malformed"),
    ({"AutoReleaseTime": "2026-01-01T00:29:00Z"}, "InvalidAutoReleaseTime.Malformed"),
    ({"AutoReleaseTime": "2026-01-01 04:00"}, "InvalidAutoReleaseTime.Malformed"),
    ({"AutoReleaseTime": "2026-01-01T04:00:00+01:00"}, "InvalidAutoReleaseTime.Malformed"),
    ({"AutoReleaseTime": "2030-01-01T04:00:00Z"}, "InvalidAutoReleaseTime.Malformed"),
    ({"UserData": "not base64!"}, "InvalidUserData.Base64FormatInvalid"),
    ({"UserData": base64.b64encode(b"x" * 32769).decode()}, "InvalidUserData.SizeExceeded"),
    ({"Password": "simple"}, "InvalidPassword.Malformed"),
    ({"Password": "onlyletters"}, "InvalidPassword.Malformed"),
    ({"SpotStrategy": "Cheap"}, "InvalidSpotStrategy"),
    ({"SpotStrategy": "SpotWithPriceLimit"}, "InvalidSpotPriceLimit"),
    ({"SpotStrategy": "SpotWithPriceLimit", "SpotPriceLimit": 0.1234}, "InvalidSpotPriceLimit"),
    ({"SpotStrategy": "SpotAsPriceGo", "SpotDuration": 7}, "InvalidSpotDuration"),
    ({"SpotStrategy": "SpotAsPriceGo", "SpotInterruptionBehavior": "Sleep"}, "InvalidSpotInterruptionBehavior"),
    ({"InternetMaxBandwidthOut": 101}, "InvalidParameter"),
    ({"InternetMaxBandwidthIn": 11, "InternetMaxBandwidthOut": 5}, "InvalidInternetMaxBandwidthIn.Malformed"),
    ({"InternetChargeType": "Free"}, "InvalidInternetChargeType.ValueNotSupported"),
    ({"InstanceChargeType": "Never"}, "InvalidInstanceChargeType.NotFound"),
    ({"IoOptimized": "yes"}, "InvalidIoOptimize.ValueNotSupported"),
    ({"HttpTokens": "yes"}, "InvalidParameter"),
    ({"CreditSpecification": "Unlimited"}, "InvalidParameter.CreditSpecification"),
    ({"SystemDisk": {"Category": "floppy"}}, "InvalidSystemDiskCategory.ValueNotSupported"),
    ({"SystemDisk": {"Size": "big"}}, "InvalidSystemDiskSize.ValueNotSupported"),
    ({"SystemDisk": {"Category": "cloud_essd", "Size": "19"}}, "InvalidSystemDiskSize.LessThanMinSize"),
    ({"SystemDisk": {"Category": "cloud_auto", "Size": "10"}}, "InvalidSystemDiskSize.LessThanImageSize"),
    ({"SystemDisk": {"Size": "2049"}}, "InvalidSystemDiskSize.MoreThanMaxSize"),
    ({"SystemDisk": {"Category": "cloud_auto", "PerformanceLevel": "PL1"}}, "InvalidPerformanceLevel.Malformed"),
    ({"SystemDisk": {"DiskName": "-"}}, "InvalidDiskName.Malformed"),
    ({"DataDisk": [{"Category": "cloud_essd"}]}, "MissingParameter"),
    ({"DataDisk": [{"Category": "tape", "Size": 20}]}, "InvalidDataDiskCategory.ValueNotSupported"),
    ({"DataDisk": [{"Category": "cloud_ssd", "Size": 19}]}, "InvalidDataDiskSize.ValueNotSupported"),
    (
        {"DataDisk": [{"Category": "cloud_essd", "Size": 100, "PerformanceLevel": "PL3"}]},
        "InvalidDataDiskSize.ValueNotSupported",
    ),
    ({"DataDisk": [{"Category": "cloud_ssd", "Size": 20}] * 17}, "InstanceDiskNumber.LimitExceed"),
    ({"Tag": [{"Key": f"k{number}", "Value": "v"} for number in range(21)]}, "InvalidTagCount"),
    ({"Tag": [{"Key": "k", "Value": "v"}, {"Key": "k", "Value": "w"}]}, "Duplicate.TagKey"),
    ({"Tag": [{"Key": "aliyun-x", "Value": "v"}]}, "InvalidTagKey.Malformed"),
    ({"Tag": [{"Key": "x" * 129, "Value": "v"}]}, "InvalidTagKey.Malformed"),
    ({"Tag": [{"Key": "k", "Value": "see http://x"}]}, "InvalidTagValue.Malformed"),
    ({"Tag": [{"Key": "k", "Value": "acs:x"}]}, "InvalidTagValue.Malformed"),
    ({"PrivateIpAddress": "10.0.0"}, "InvalidPrivateIpAddress.Malformed"),
    ({"PrivateIpAddress": "10.9.0.5"}, "InvalidPrivateIpAddress"),
    ({"PrivateIpAddress": "10.0.0.254"}, "InvalidPrivateIpAddress"),
]


@pytest.mark.parametrize(("said", "code"), MALFORMED, ids=[f"{one[1]}-{n}" for n, one in enumerate(MALFORMED)])
async def test_a_malformed_order_is_refused(fake: FakeAlibaba, api: Sdk, said: dict[str, Any], code: str) -> None:
    assert (await api.refused("RunInstances", **an_order(**said))).code == code
    assert fake.ecs.living == []


UNFIT: list[tuple[dict[str, Any], str, int]] = [
    ({"ImageId": "m-gone"}, "InvalidImageId.NotFound", 404),
    ({"ImageId": "m-bad"}, "OperationDenied.ImageNotValid", 403),
    ({"ImageId": "m-old", "UserData": "eA=="}, "ImageNotSupportCloudInit", 400),
    ({"ImageId": None, "ImageFamily": "acs:none"}, "InvalidImageId.NotFound", 404),
    ({"ImageFamily": "acs:debian_12_12_x64"}, "InvalidParameter.Conflict", 400),
    ({"ImageId": ARM}, "InvalidParameter.Conflict", 400),
    ({"InstanceType": "ecs.none.large"}, "InvalidInstanceType.ValueNotSupported", 400),
    ({"InstanceType": "ecs.r7.large"}, "InvalidInstanceType.ZoneNotSupported", 403),
    ({"ZoneId": "cn-hangzhou-z"}, "InvalidZoneId.NotFound", 404),
    ({"ZoneId": "cn-hangzhou-i"}, "InvalidParameter.Mismatch", 400),
    ({"VSwitchId": "vsw-gone"}, "InvalidVSwitchId.NotFound", 404),
    ({"SecurityGroupId": "sg-gone"}, "InvalidSecurityGroupId.NotFound", 404),
    ({"SecurityGroupIds": ["sg-bp1agents"]}, "InvalidParameter.Conflict", 400),
    ({"SecurityGroupId": None, "SecurityGroupIds": ["sg-bp1agents"] * 2}, "InvalidSecurityGroupId", 400),
    ({"KeyPairName": "gone"}, "InvalidKeyPairName.NotFound", 404),
    ({"RamRoleName": "gone"}, "InvalidRamRole.NotFound", 404),
    ({"RamRoleName": "user-role"}, "InvalidRamRole.NotEcsRole", 401),
]


@pytest.mark.parametrize(("said", "code", "status"), UNFIT, ids=[f"{one[1]}-{n}" for n, one in enumerate(UNFIT)])
async def test_an_order_that_does_not_fit_what_there_is_is_refused(
    fake: FakeAlibaba, api: Sdk, said: dict[str, Any], code: str, status: int
) -> None:
    fake.ecs.add_image(Image(id="m-bad", status="UnAvailable"))
    fake.ecs.add_image(Image(id="m-old", cloud_init=False))
    fake.stock.withdraw("cn-hangzhou-h", "ecs.r7.large")
    fake.sts.add_role("user-role", trusts=["acs:ram::1234567890123456:root"])
    refused = await api.refused("RunInstances", **an_order(**said))
    assert (refused.code, refused.status_code) == (code, status)


async def test_a_group_of_another_vpc_does_not_fit(api: Sdk, clock: ManualClock) -> None:
    vpc = (await api("CreateVpc", CidrBlock="192.168.0.0/16"))["VpcId"]
    await clock.advance(5)
    group = (await api("CreateSecurityGroup", VpcId=vpc))["SecurityGroupId"]
    refused = await api.refused("RunInstances", **an_order(SecurityGroupId=group))
    assert (refused.code, refused.message) == (
        "InvalidParameter.Mismatch",
        "code: 400, Specified security group and virtual switch are not in the same VPC. "
        f"request id: {refused.data['RequestId']}",
    )


async def test_a_parameter_that_the_fake_has_not_built_in_is_its_own_fault(fake: FakeAlibaba, api: Sdk) -> None:
    refused = await api.refused("RunInstances", **an_order(DeploymentSetId="ds-1"))
    assert (refused.code, refused.status_code) == ("FakeIsWrong", 501)
    assert fake.ledger.problems == ["RunInstances: the parameter DeploymentSetId"]
    fake.ledger.problems.clear()
