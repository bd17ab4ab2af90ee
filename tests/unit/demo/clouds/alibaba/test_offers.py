"""What there is to have: regions, zones, stock, types, images, spot prices."""

from typing import Any

import pytest

from broker.demo.clouds.alibaba.catalog import Image
from broker.demo.clouds.alibaba.cloud import FakeAlibaba
from tests.fake_alibaba import Sdk


async def available(api: Sdk, **query: Any) -> dict[str, list[tuple[str, str, str]]]:
    """By zone: each resource with its status and category."""
    told = await api("DescribeAvailableResource", **{"DestinationResource": "InstanceType", **query})
    return {
        zone["ZoneId"]: [
            (one["Value"], one["Status"], one["StatusCategory"])
            for kind in zone.get("AvailableResources", {}).get("AvailableResource", [])
            for one in kind["SupportedResources"]["SupportedResource"]
        ]
        for zone in told["AvailableZones"]["AvailableZone"]
    }


async def test_regions_and_their_zones_are_told(fake: FakeAlibaba, api: Sdk) -> None:
    regions = (await api("DescribeRegions"))["Regions"]["Region"]
    assert {"cn-hangzhou", "eu-central-1"} <= {one["RegionId"] for one in regions}
    fake.stock.sell_out("cn-hangzhou-h", "ecs.g7.large")
    zones = (await api("DescribeZones"))["Zones"]["Zone"]
    assert [one["ZoneId"] for one in zones] == ["cn-hangzhou-h", "cn-hangzhou-i", "cn-hangzhou-j"]
    assert "ecs.g7.large" not in zones[0]["AvailableInstanceTypes"]["InstanceTypes"]
    assert "ecs.g7.large" in zones[1]["AvailableInstanceTypes"]["InstanceTypes"]
    there = (await api("DescribeZones", RegionId="eu-central-1"))["Zones"]["Zone"]
    assert [one["ZoneId"] for one in there] == ["eu-central-1a", "eu-central-1b", "eu-central-1c"]


async def test_stock_is_told_zone_by_zone_and_for_each_way_to_pay(fake: FakeAlibaba, api: Sdk) -> None:
    fake.stock.put("cn-hangzhou-h", "ecs.g7.large", spot=True, count=0)
    fake.stock.put("cn-hangzhou-i", "ecs.g7.large", spot=True, count=3)
    fake.stock.withdraw("cn-hangzhou-j", "ecs.g7.large")
    spot = await available(api, InstanceType="ecs.g7.large", SpotStrategy="SpotAsPriceGo")
    assert spot == {
        "cn-hangzhou-h": [("ecs.g7.large", "SoldOut", "WithoutStock")],
        "cn-hangzhou-i": [("ecs.g7.large", "Available", "ClosedWithStock")],
    }
    demand = await available(api, InstanceType="ecs.g7.large")
    assert demand["cn-hangzhou-h"] == [("ecs.g7.large", "Available", "WithStock")]
    sized = await available(api, Cores=2, Memory=8.0, ZoneId="cn-hangzhou-i")
    assert {one[0] for one in sized["cn-hangzhou-i"]} == {"ecs.g7.large", "ecs.g6.large", "ecs.g8y.large"}
    assert await available(api, DestinationResource="Zone", ZoneId="cn-hangzhou-h") == {"cn-hangzhou-h": []}
    disks = await available(api, DestinationResource="SystemDisk", InstanceType="ecs.g7.large", ZoneId="cn-hangzhou-h")
    assert ("cloud_essd", "Available", "WithStock") in disks["cn-hangzhou-h"]


async def test_a_closed_zone_has_nothing(fake: FakeAlibaba, api: Sdk) -> None:
    fake.stock.close("cn-hangzhou-h")
    told = await available(api, InstanceType="ecs.g7.large", ZoneId="cn-hangzhou-h")
    assert told == {"cn-hangzhou-h": [("ecs.g7.large", "SoldOut", "WithoutStock")]}


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({"DestinationResource": "Moon"}, "Invalid.DestinationResource"),
        ({"SpotStrategy": "Cheap"}, "Invalid.SpotStrategy"),
        ({"InstanceChargeType": "Never"}, "Invalid.InstanceChargeType"),
        ({"IoOptimized": "yes"}, "Invalid.IoOptimized"),
        ({"NetworkCategory": "token-ring"}, "Invalid.NetworkCategory"),
        ({"ResourceType": "moon"}, "Invalid.ResourceType"),
        ({"DestinationResource": "SystemDisk"}, "MissingParameter"),
        ({"InstanceType": "ecs.g7.large", "Cores": 2}, "InvalidParam.TypeAndCpuMem.Conflict"),
    ],
)
async def test_a_question_about_stock_has_a_form(api: Sdk, said: dict[str, Any], code: str) -> None:
    asked = {"DestinationResource": "InstanceType", **said}
    assert (await api.refused("DescribeAvailableResource", **asked)).code == code


async def test_types_have_sizes_and_architectures(api: Sdk) -> None:
    told = await api("DescribeInstanceTypes", InstanceTypes=["ecs.g7.xlarge"])
    (one,) = told["InstanceTypes"]["InstanceType"]
    assert (one["CpuCoreCount"], one["MemorySize"], one["CpuArchitecture"]) == (4, 16.0, "X86")
    arm = await api("DescribeInstanceTypes", CpuArchitecture="ARM", MinimumCpuCoreCount=8, MaximumMemorySize=64.0)
    assert [one["InstanceTypeId"] for one in arm["InstanceTypes"]["InstanceType"]] == [
        "ecs.g8y.2xlarge",
        "ecs.g8y.4xlarge",
    ]
    gpu = await api("DescribeInstanceTypes", MinimumGPUAmount=1)
    assert [one["GPUSpec"] for one in gpu["InstanceTypes"]["InstanceType"]] == ["NVIDIA A10"]
    first = await api("DescribeInstanceTypes", MaxResults=20)
    rest = await api("DescribeInstanceTypes", MaxResults=20, NextToken=first["NextToken"])
    assert (len(first["InstanceTypes"]["InstanceType"]), len(rest["InstanceTypes"]["InstanceType"])) == (20, 12)
    many = [f"ecs.g7.{number}" for number in range(11)]
    assert (await api.refused("DescribeInstanceTypes", InstanceTypes=many)).code == "InvalidParameter"


async def test_images_are_found_by_what_they_are(fake: FakeAlibaba, api: Sdk) -> None:
    fake.ecs.add_image(Image(id="m-1", name="agent-jdk21", owner="self", tags={"of": "ci"}))
    fake.ecs.add_image(Image(id="m-2", owner="self", status="Creating"))
    for query, found in (
        ({"ImageOwnerAlias": "self"}, ["m-1"]),
        ({"ImageOwnerAlias": "self", "Status": "Creating,Available"}, ["m-1", "m-2"]),
        ({"ImageId": "m-1,m-2"}, ["m-1"]),
        ({"ImageName": "*jdk21*"}, ["m-1"]),
        ({"Tag": [{"Key": "of", "Value": "ci"}]}, ["m-1"]),
        ({"OSType": "windows"}, ["win2022_21H2_x64_dtc_en-us_40G_alibase_20260610.vhd"]),
        ({"Architecture": "arm64"}, ["aliyun_3_arm64_20G_alibase_20260528.vhd"]),
        ({"InstanceType": "ecs.g8y.large"}, ["aliyun_3_arm64_20G_alibase_20260528.vhd"]),
        ({"ImageFamily": "acs:ubuntu_24_04_x64"}, ["ubuntu_24_04_x64_20G_alibase_20260615.vhd"]),
    ):
        told = await api("DescribeImages", PageSize=100, **query)
        assert [one["ImageId"] for one in told["Images"]["Image"]] == found, query
    assert len((await api("DescribeImages", PageSize=2, PageNumber=3))["Images"]["Image"]) == 2


async def test_spot_prices_are_told_hour_by_hour(fake: FakeAlibaba, api: Sdk) -> None:
    fake.stock.price_spot("cn-hangzhou-i", "ecs.g7.large", 0.5)
    asked = {"InstanceType": "ecs.g7.large", "NetworkType": "vpc"}
    told = (await api("DescribeSpotPriceHistory", **asked))["SpotPrices"]["SpotPriceType"]
    assert {(one["ZoneId"], one["SpotPrice"], one["OriginPrice"]) for one in told} == {
        ("cn-hangzhou-h", 0.12, 0.6),
        ("cn-hangzhou-i", 0.5, 0.6),
        ("cn-hangzhou-j", 0.12, 0.6),
    }
    zone = await api("DescribeSpotPriceHistory", ZoneId="cn-hangzhou-h", StartTime="2026-01-01T00:00:00Z", **asked)
    assert [one["Timestamp"] for one in zone["SpotPrices"]["SpotPriceType"]] == ["2026-01-01T00:00:00Z"]
    for said, code in (
        ({"InstanceType": "ecs.none"}, "InvalidInstanceType.ValueNotSupported"),
        ({"NetworkType": "token-ring"}, "InvalidParams.NetworkType"),
        ({"StartTime": "yesterday"}, "InvalidParams.StartTime"),
    ):
        assert (await api.refused("DescribeSpotPriceHistory", **{**asked, **said})).code == code


async def test_a_family_is_its_newest_image_that_is_available(fake: FakeAlibaba, api: Sdk) -> None:
    images = fake.ecs.catalog.images
    for number, status in ((1, "Available"), (2, "Available"), (3, "Creating")):
        created = f"2026-0{number}-01T00:00:00Z"
        images[f"m-{number}"] = Image(id=f"m-{number}", family="ci", status=status, created_at=created)
    assert (await api("DescribeImageFromFamily", ImageFamily="ci"))["Image"]["ImageId"] == "m-2"
    assert "Image" not in await api("DescribeImageFromFamily", ImageFamily="nobody-s")
