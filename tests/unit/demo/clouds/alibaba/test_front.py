"""The endpoint: actions, parameters, rights, faults and limits, before a service is asked."""

import asyncio
import json
from typing import Any

import aiohttp
import pytest
from alibabacloud_tea_openapi.exceptions import (
    AlibabaCloudException,
    ClientException,
    ServerException,
    ThrottlingException,
)
from darabonba.exceptions import UnretryableException

from broker.demo.clouds.alibaba.cloud import FakeAlibaba
from broker.demo.clouds.alibaba.ecs_actions import TABLE
from broker.demo.clouds.alibaba.shapes import MODELS, Shape, misfits, request_shape
from broker.demo.clouds.faults import Fault
from broker.testing.clock import ManualClock
from tests.fake_alibaba import Sdk
from tests.unit.demo.clouds.alibaba.conftest import an_order, seen

ECS, VPC, STS = "2014-05-26", "2016-04-28", "2015-04-01"


async def code_of(api: Sdk, action: str, version: str = ECS, **query: str) -> str:
    """The code of the refusal of any call."""
    with pytest.raises(AlibabaCloudException) as caught:
        await api.raw(action, version, **query)
    return str(caught.value.code)


@pytest.mark.parametrize("action", sorted(TABLE))
def test_each_action_takes_parameters_that_the_sdk_has(action: str) -> None:
    _, needs, takes = TABLE[action]
    shape = request_shape("ecs", action)
    assert shape is not None
    assert {*needs.split(), *takes.split()} <= set(shape.members)


def test_actions_of_vpc_take_parameters_that_the_sdk_has() -> None:
    for name, action in FakeAlibaba().vpc.actions.items():
        shape = request_shape("vpc", name)
        assert shape is not None
        assert {*action.needs, *action.takes} <= set(shape.members)


async def test_each_action_says_what_it_misses(api: Sdk) -> None:
    for name, (_, needs, _) in TABLE.items():
        if needs:
            assert await code_of(api, name) == "MissingParameter", name


async def test_an_action_or_version_that_is_not_there_is_refused(api: Sdk) -> None:
    assert await code_of(api, "RunInstanses", RegionId="cn-hangzhou") == "InvalidAction.NotFound"
    assert await code_of(api, "RunInstances", VPC, RegionId="cn-hangzhou") == "InvalidAction.NotFound"
    assert await code_of(api, "RunInstances", "2011-01-01", RegionId="cn-hangzhou") == "InvalidVersion"


async def test_an_action_that_is_not_built_in_is_the_fakes_fault(fake: FakeAlibaba, api: Sdk) -> None:
    assert await code_of(api, "RebootInstance", InstanceId="i-1") == "FakeIsWrong"
    assert fake.ledger.problems == ["ecs RebootInstance is not built into the fake"]
    fake.ledger.problems.clear()


@pytest.mark.parametrize(
    "query",
    [
        {"VSwitchID": "vsw-1"},
        {"Tag.1.Name": "k"},
        {"Tag.2.Key": "k"},
        {"Tag": "k"},
        {"MaxResults": "many"},
        {"MaxResults.1": "1"},
        {"DryRun": "perhaps"},
        {"RegionId.1": "x"},
    ],
)
async def test_a_parameter_that_the_action_does_not_have_is_refused(api: Sdk, query: dict[str, str]) -> None:
    said = {"RegionId": "cn-hangzhou", **query}
    assert await code_of(api, "DescribeInstances", **said) == "InvalidParameter"


async def test_booleans_come_in_any_case(api: Sdk) -> None:
    for text in ("True", "true", "FALSE"):
        assert await api.raw("DescribeZones", ECS, RegionId="cn-hangzhou", Verbose=text)


async def test_a_region_that_is_not_there_is_refused(api: Sdk) -> None:
    refused = await api.refused("DescribeZones", RegionId="cn-atlantis")
    assert (refused.code, refused.status_code) == ("InvalidRegionId.NotFound", 404)


async def test_regions_know_nothing_of_one_another(api: Sdk) -> None:
    await api("RunInstances", **an_order())
    assert len(await seen(api)) == 1
    assert await seen(api, RegionId="eu-central-1") == []


async def test_every_answer_has_its_request_id(fake: FakeAlibaba, api: Sdk) -> None:
    told = await api("DescribeRegions")
    refused = await api.refused("DescribeZones", RegionId="cn-atlantis")
    assert [told["RequestId"], refused.data["RequestId"]] == [call.request_id for call in fake.ledger]


async def test_the_ledger_has_every_call_with_its_end(fake: FakeAlibaba, api: Sdk) -> None:
    await api("DescribeRegions")
    await api.refused("RunInstances", **an_order(ImageId="m-gone"))
    assert [(call.service, call.action, call.status, call.code) for call in fake.ledger] == [
        ("ecs", "DescribeRegions", 200, ""),
        ("ecs", "RunInstances", 404, "InvalidImageId.NotFound"),
    ]
    assert fake.ledger[1].parameters["ImageId"] == "m-gone"


async def test_a_right_that_is_denied_is_denied_in_each_services_words(fake: FakeAlibaba, api: Sdk) -> None:
    fake.rights.deny("ecs:RunInstances", where=lambda said: said.get("InstanceType") == "ecs.g7.large")
    fake.rights.deny("vpc:*")
    fake.rights.deny("sts:AssumeRole")
    refused = await api.refused("RunInstances", **an_order())
    assert (refused.code, refused.status_code) == ("Forbidden.RAM", 403)
    assert await api("RunInstances", **an_order(InstanceType="ecs.c7.large"))
    assert (await api.refused("DescribeVpcs")).code == "Forbidden.RAM"
    assert await code_of(api, "AssumeRole", STS, RoleArn="acs:ram::1:role/x", RoleSessionName="xx") == "NoPermission"


async def test_a_scripted_error_comes_with_its_status(fake: FakeAlibaba, api: Sdk) -> None:
    for kind, code, status in (
        (ServerException, "ServiceUnavailable", 503),
        (ServerException, "InternalError", 500),
        (ClientException, "Throttling.User", 400),
    ):
        fake.faults.add(Fault(action="DescribeRegions", code=code))
        refused = await api.refused("DescribeRegions")
        assert (type(refused), refused.code, refused.status_code) == (kind, code, status)
    assert await api("DescribeRegions")


async def test_a_scripted_error_may_say_when_to_come_again(fake: FakeAlibaba, api: Sdk) -> None:
    fake.faults.add(Fault(code="Throttling.User", retry_after_ms=1500))
    refused = await api.refused("DescribeRegions")
    assert (type(refused), refused.code, refused.retry_after) == (ThrottlingException, "Throttling.User", 1500)


async def test_a_fault_may_strike_after_the_effect(fake: FakeAlibaba, api: Sdk) -> None:
    fake.faults.add(Fault(action="RunInstances", drop=True, after_effect=True))
    fake.faults.add(
        Fault(action="RunInstances", code="ServiceUnavailable", where=lambda said: "ClientToken" not in said)
    )
    with pytest.raises(UnretryableException):
        await api("RunInstances", **an_order(ClientToken="t"))
    (made,) = fake.ecs.living
    assert (await api("RunInstances", **an_order(ClientToken="t")))["InstanceIdSets"]["InstanceIdSet"] == [made.id]
    assert (await api.refused("RunInstances", **an_order())).code == "ServiceUnavailable"
    assert len(fake.ecs.living) == 1


@pytest.mark.parametrize("status", [200, 502])
async def test_a_page_of_html_is_no_answer_of_the_api(fake: FakeAlibaba, api: Sdk, status: int) -> None:
    fake.faults.add(Fault(html=True, status=status))
    with pytest.raises(UnretryableException):
        await api("DescribeRegions")


async def test_a_delay_is_that_of_the_fakes_clock(fake: FakeAlibaba, api: Sdk, clock: ManualClock) -> None:
    fake.faults.add(Fault(action="DescribeRegions", delay_s=5))
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        asking = group.create_task(api("DescribeRegions"), name="asks")
        await clock.advance_until(lambda: clock.next_wake is not None, step_s=0.0001)
        await clock.advance(4.8)
        assert not asking.done()
        await clock.advance(0.2)
    assert asking.result()["Regions"]["Region"]


async def test_an_action_that_was_called_too_often_is_closed_until_the_minute_is_over(
    fake: FakeAlibaba, api: Sdk, clock: ManualClock
) -> None:
    await clock.advance(30)
    fake.throttles.per_minute["DescribeInstances"] = 2
    assert await seen(api) == await seen(api) == []
    for _ in range(2):
        refused = await api.refused("DescribeInstances")
        assert (type(refused), refused.code, refused.status_code) == (ClientException, "Throttling.User", 400)
        await clock.advance(14)
    assert await api("DescribeZones")
    await clock.advance(2)
    assert await seen(api) == []
    assert fake.throttles.refused == 2


async def test_a_refusal_may_say_when_to_come_again(fake: FakeAlibaba, api: Sdk, clock: ManualClock) -> None:
    fake.throttles.retry_after = True
    await clock.advance(45)
    fake.throttles.close("DescribeInstances")
    refused = await api.refused("DescribeInstances")
    assert (type(refused), refused.retry_after) == (ThrottlingException, 15000)


async def test_a_bucket_fills_with_time(fake: FakeAlibaba, api: Sdk, clock: ManualClock) -> None:
    fake.throttles.limit("DescribeRegions", burst=1, rate=0.5)
    await api("DescribeRegions")
    assert (await api.refused("DescribeRegions")).code == "Throttling.User"
    await clock.advance(2)
    await api("DescribeRegions")
    fake.throttles.per_minute["ecs"] = 1
    await clock.advance(60)
    await api("DescribeRegions")
    assert (await api.refused("DescribeZones")).code == "Throttling"
    fake.throttles.unlimited()
    await api("DescribeRegions")


async def test_the_usual_limits_hold_unless_a_test_takes_them_away(fake: FakeAlibaba) -> None:
    from broker.demo.clouds.alibaba.errors import Throttled
    from broker.demo.clouds.model import Call, Identity

    who = Identity(account="1", arn="a", user_id="x")
    call = Call(service="ecs", action="RunInstances", identity=who, region="cn-hangzhou", at=fake.clock.now())
    for _ in range(300):
        fake.throttles.take(call)
    with pytest.raises(Throttled):
        fake.throttles.take(call)


async def test_a_query_that_says_a_thing_twice_is_refused(fake: FakeAlibaba, api: Sdk) -> None:
    async with aiohttp.ClientSession() as session, session.get(f"{api.url}/?RegionId=a&RegionId=b") as answer:
        told: dict[str, Any] = json.loads(await answer.text())
    assert (answer.status, told["Code"]) == (400, "InvalidParameter")


def test_a_reply_that_does_not_fit_is_known() -> None:
    shape = Shape("structure", members={"A": Shape("list", item=Shape("integer")), "B": Shape("boolean")})
    assert list(misfits({"A": [1, "x"], "C": 1, "B": 1}, shape)) == [
        "A.2 is str, not integer",
        "the reply has no member C",
        "B is int, not boolean",
    ]
    assert list(misfits({"A": {}}, shape)) == ["A is no list"]
    assert list(misfits([], shape)) == ["the reply is no structure"]
    assert set(MODELS) == {"ecs", "vpc"}
