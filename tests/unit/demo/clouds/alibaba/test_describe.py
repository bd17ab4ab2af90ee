"""Lists: filters, pages by number and by token, ids as JSON."""

from typing import Any

import pytest

from broker.demo.clouds.alibaba.cloud import FakeAlibaba
from broker.testing.clock import ManualClock
from tests.fake_alibaba import Sdk
from tests.unit.demo.clouds.alibaba.conftest import an_order, launched, seen


async def ids_of(api: Sdk, **query: Any) -> list[str]:
    """The ids that a query finds."""
    return [one["InstanceId"] for one in await seen(api, **query)]


async def test_ids_that_are_not_there_are_left_out(api: Sdk) -> None:
    (one,) = await launched(api)
    assert await ids_of(api, InstanceIds=f'["{one}","i-gone"]') == [one]
    assert await ids_of(api, InstanceIds="[]") == []


@pytest.mark.parametrize("text", ["i-1", "{}", "[1]", "[" + ",".join(f'"i-{n}"' for n in range(101)) + "]"])
async def test_ids_are_a_list_of_texts_in_json(api: Sdk, text: str) -> None:
    assert (await api.refused("DescribeInstances", InstanceIds=text)).code == "InvalidParameter"


async def test_filters_hold_together(api: Sdk, clock: ManualClock) -> None:
    (one,) = await launched(
        api, InstanceName="agent-one", Tag=[{"Key": "lease", "Value": "1"}, {"Key": "of", "Value": "a"}]
    )
    (two,) = await launched(api, VSwitchId="vsw-bp1agentsi", KeyPairName=None, Tag=[{"Key": "of", "Value": "b"}])
    await clock.advance(20)
    for query, found in (
        ({"Tag": [{"Key": "of"}]}, [one, two]),
        ({"Tag": [{"Key": "of", "Value": "b"}]}, [two]),
        ({"Tag": [{"Key": "of", "Value": "a"}, {"Key": "lease", "Value": "1"}]}, [one]),
        ({"Tag": [{"Key": "of", "Value": "b"}, {"Key": "lease", "Value": "1"}]}, []),
        ({"ZoneId": "cn-hangzhou-i"}, [two]),
        ({"VSwitchId": "vsw-bp1agentsh"}, [one]),
        ({"VpcId": "vpc-bp1agents", "Status": "Running"}, [one, two]),
        ({"Status": "Stopped"}, []),
        ({"KeyPairName": "kp"}, [one]),
        ({"InstanceName": "agent-*"}, [one]),
        ({"InstanceName": "agent"}, []),
        ({"SecurityGroupId": "sg-bp1agents"}, [one, two]),
        ({"SecurityGroupId": "sg-other"}, []),
        ({"PrivateIpAddresses": '["10.0.1.1"]'}, [two]),
        ({"InstanceType": "ecs.c7.large"}, []),
        ({"InstanceTypeFamily": "ecs.g7"}, [one, two]),
    ):
        assert await ids_of(api, **query) == found, query
    assert (await api.refused("DescribeInstances", Status="Sleeping")).code == "InvalidStatus.NotFound"
    assert (await api.refused("DescribeInstances", Tag=[{"Value": "b"}])).code == "InvalidTag.Mismatch"


async def test_ten_are_on_a_page_unless_more_are_asked_for(api: Sdk) -> None:
    await launched(api, Amount=25)
    told = await api("DescribeInstances")
    assert (len(told["Instances"]["Instance"]), told["TotalCount"], told["PageNumber"], told["PageSize"]) == (
        10,
        25,
        1,
        10,
    )
    assert len((await api("DescribeInstances", PageNumber=3))["Instances"]["Instance"]) == 5
    assert len((await api("DescribeInstances", MaxResults=3))["Instances"]["Instance"]) == 10  # below 10 is 10
    assert len((await api("DescribeInstances", MaxResults=500))["Instances"]["Instance"]) == 25
    assert (await api.refused("DescribeInstances", PageSize=101)).code == "InvalidParameter"
    assert (await api.refused("DescribeInstances", PageNumber=0)).code == "InvalidParameter"
    assert (await api.refused("DescribeInstanceStatus", PageSize=51)).code == "InvalidParameter"


async def test_tokens_lead_through_all_of_them_whoever_goes_meanwhile(fake: FakeAlibaba, api: Sdk) -> None:
    ids = await launched(api, Amount=25)
    first = await api("DescribeInstances", MaxResults=10)
    fake.ecs.vanish(ids[0])
    second = await api("DescribeInstances", MaxResults=10, NextToken=first["NextToken"])
    third = await api("DescribeInstances", MaxResults=10, NextToken=second["NextToken"])
    told = [one["InstanceId"] for page in (first, second, third) for one in page["Instances"]["Instance"]]
    assert told == ids
    assert third["NextToken"] == ""


async def test_a_token_holds_for_its_own_query_alone(api: Sdk) -> None:
    await launched(api, Amount=11)
    token = (await api("DescribeInstances", MaxResults=10))["NextToken"]
    for query in ({"NextToken": token, "ZoneId": "cn-hangzhou-h"}, {"NextToken": "x"}, {"NextToken": "e30="}):
        assert (await api.refused("DescribeInstances", MaxResults=10, **query)).code == "InvalidNextToken"


async def test_states_are_told_of_those_that_are_named(api: Sdk) -> None:
    first, _ = await launched(api, Amount=2)
    told = await api("DescribeInstanceStatus", InstanceId=[first, "i-gone"])
    assert [one["InstanceId"] for one in told["InstanceStatuses"]["InstanceStatus"]] == [first]


async def test_attributes_are_changed(api: Sdk) -> None:
    (one,) = await launched(api)
    await api("ModifyInstanceAttribute", InstanceId=one, InstanceName="agent-2", Description="for a build")
    (told,) = await seen(api)
    assert (told["InstanceName"], told["Description"]) == ("agent-2", "for a build")
    for said, code in (
        ({"InstanceName": "2"}, "InvalidInstanceName.Malformed"),
        ({"Description": "x"}, "InvalidDescription.Malformed"),
        ({"SecurityGroupIds": ["sg-gone"]}, "InvalidSecurityGroupId.NotFound"),
        ({"InstanceId": "i-gone"}, "InvalidInstanceId.NotFound"),
    ):
        assert (await api.refused("ModifyInstanceAttribute", **{"InstanceId": one, **said})).code == code


async def test_tags_are_added_to_what_is_there(fake: FakeAlibaba, api: Sdk) -> None:
    (one,) = await launched(api, Tag=[{"Key": "a", "Value": "1"}])
    await api("TagResources", ResourceType="instance", ResourceId=[one], Tag=[{"Key": "b", "Value": "2"}])
    assert fake.ecs.instance(one).tags == {"a": "1", "b": "2"}
    disk = fake.ecs.add_disk("cn-hangzhou-h")
    await api("TagResources", ResourceType="disk", ResourceId=[disk.id], Tag=[{"Key": "b", "Value": ""}])
    assert disk.tags == {"b": ""}
    tag = [{"Key": "c", "Value": "3"}]
    many = [{"Key": f"k{number}", "Value": "v"} for number in range(19)]
    for said, code in (
        ({"ResourceType": "planet", "ResourceId": [one], "Tag": tag}, "InvalidResourceType.NotFound"),
        ({"ResourceType": "instance", "ResourceId": [one, "i-gone"], "Tag": tag}, "InvalidResourceId.NotFound"),
        (
            {"ResourceType": "instance", "ResourceId": [f"i-{n}" for n in range(51)], "Tag": tag},
            "NumberExceed.ResourceIds",
        ),
        ({"ResourceType": "instance", "ResourceId": [one], "Tag": many}, "OperationDenied.QuotaExceed"),
        ({"ResourceType": "instance", "ResourceId": [one], "Tag": [{"Key": "acs:x"}]}, "InvalidTagKey.Malformed"),
    ):
        assert (await api.refused("TagResources", **said)).code == code
    assert fake.ecs.instance(one).tags == {"a": "1", "b": "2"}


async def test_an_existing_disk_is_attached_where_it_is(fake: FakeAlibaba, api: Sdk, clock: ManualClock) -> None:
    near, far = fake.ecs.add_disk("cn-hangzhou-h"), fake.ecs.add_disk("cn-hangzhou-i")
    (one,) = await launched(api)
    early = await api.refused("AttachDisk", InstanceId=one, DiskId=near.id)
    assert early.code == "IncorrectInstanceStatus"
    await clock.advance(20)
    for said, code in (
        ({"DiskId": "d-gone"}, "InvalidDiskId.NotFound"),
        ({"DiskId": far.id}, "ResourcesNotInSameZone"),
        ({"DiskId": near.id, "InstanceId": "i-gone"}, "InvalidInstanceId.NotFound"),
    ):
        assert (await api.refused("AttachDisk", **{"InstanceId": one, **said})).code == code
    await api("AttachDisk", InstanceId=one, DiskId=near.id)
    assert (await api.refused("AttachDisk", InstanceId=one, DiskId=near.id)).code == "IncorrectDiskStatus"
    (told,) = (await api("DescribeDisks", DiskIds=f'["{near.id}"]'))["Disks"]["Disk"]
    assert (told["Status"], told["InstanceId"], told["Device"]) == ("In_use", one, "/dev/xvdb")
    await api("DeleteInstance", InstanceId=one, Force=True)
    await clock.advance(20)
    left = (await api("DescribeDisks", Status="Available", MaxResults=100))["Disks"]["Disk"]
    assert {one["DiskId"] for one in left} == {near.id, far.id}


async def test_the_console_shows_what_has_come_up(api: Sdk, clock: ManualClock) -> None:
    import base64

    (one,) = await launched(api)
    assert (await api("GetInstanceConsoleOutput", InstanceId=one))["ConsoleOutput"] == ""
    await clock.advance(20)
    told = await api("GetInstanceConsoleOutput", InstanceId=one)
    assert base64.b64decode(told["ConsoleOutput"]).endswith(b"login: ")
    assert told["LastUpdateTime"] == "2026-01-01 08:00:20"  # China's time
    assert (await api.refused("GetInstanceConsoleOutput", InstanceId="i-gone")).code == "InvalidInstanceId.NotFound"


async def test_the_order_may_come_from_an_image_family(fake: FakeAlibaba, api: Sdk) -> None:
    await api("RunInstances", **an_order(ImageId=None, ImageFamily="acs:debian_12_12_x64"))
    assert fake.ecs.living[0].image.platform == "Debian"
