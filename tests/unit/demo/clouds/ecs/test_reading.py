"""What DescribeTasks and ListTasks tell, and when."""

import time
from typing import Any

import pytest

from broker.demo.clouds.ecs.service import FakeEcs
from broker.demo.clouds.model import Call, Identity
from broker.testing.clock import ManualClock
from tests.unit.demo.clouds.ecs.conftest import Api
from tests.unit.demo.clouds.ecs.requests import fargate_definition, machine_definition, on_fargate


@pytest.fixture(autouse=True)
async def definition(api: Api) -> None:
    """`agents` for Fargate."""
    await api("RegisterTaskDefinition", **fargate_definition())


async def _run(ecs: FakeEcs, api: Api, count: int = 1, **other: Any) -> list[str]:
    return [task["taskArn"] for task in (await api("RunTask", **on_fargate(ecs, count=count, **other)))["tasks"]]


async def _listed(api: Api, **asked: Any) -> list[str]:
    """All pages."""
    found: list[str] = []
    token: dict[str, str] = {}
    while True:
        page = await api("ListTasks", **asked, **token)
        found += page["taskArns"]
        if "nextToken" not in page:
            return found
        token = {"nextToken": page["nextToken"]}


async def test_lists_come_in_pages_of_a_hundred_at_most(ecs: FakeEcs, api: Api) -> None:
    arns = [arn for _ in range(12) for arn in await _run(ecs, api, 10)]
    first = await api("ListTasks")
    assert (len(first["taskArns"]), "nextToken" in first) == (100, True)
    assert await _listed(api) == arns
    assert await _listed(api, maxResults=7) == arns


async def test_what_ends_between_two_pages_loses_no_other(ecs: FakeEcs, api: Api, clock: ManualClock) -> None:
    arns = await _run(ecs, api, 10)
    await clock.advance(60)
    page = await api("ListTasks", maxResults=5)
    for arn in arns[:6]:
        ecs.stop(arn)
    rest = await api("ListTasks", maxResults=5, nextToken=page["nextToken"])
    assert page["taskArns"] + rest["taskArns"] == arns[:5] + arns[6:]


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"maxResults": 0}, "maxResults"),
    ({"maxResults": 101}, "maxResults"),
    ({"nextToken": "nonsense"}, "Invalid token"),
    ({"nextToken": "bm9uc2Vuc2U="}, "Invalid token"),
    ({"startedBy": "x", "family": "agents"}, "only filter"),
    ({"startedBy": "x", "launchType": "FARGATE"}, "only filter"),
    ({"startedBy": "x", "desiredStatus": "RUNNING"}, "only filter"),
    ({"containerInstance": "0" * 32}, "does not exist"),
    ({"containerInstance": "nonsense"}, "length should be one of"),
]


@pytest.mark.parametrize(("asked", "words"), WRONG)
async def test_a_list_that_is_asked_for_wrongly_is_refused(refusal: Any, asked: dict[str, Any], words: str) -> None:
    error = await refusal("ListTasks", **asked)
    assert error.code == "InvalidParameterException"
    assert words in error.message


async def test_a_token_holds_for_its_own_query_alone(ecs: FakeEcs, api: Api, refusal: Any) -> None:
    await _run(ecs, api, 5)
    token = (await api("ListTasks", maxResults=2))["nextToken"]
    assert "Invalid token" in (await refusal("ListTasks", maxResults=2, family="agents", nextToken=token)).message


async def test_lists_are_filtered(ecs: FakeEcs, api: Api, clock: ManualClock) -> None:
    ecs.add_cluster("other")
    machine = ecs.add_instance()
    await api("RegisterTaskDefinition", **machine_definition())
    mine, theirs = await _run(ecs, api, startedBy="broker/a"), await _run(ecs, api, startedBy="broker/b")
    there = await _run(ecs, api, cluster="other")
    on_machine = [(await api("RunTask", taskDefinition="machines"))["tasks"][0]["taskArn"]]
    assert await _listed(api, startedBy="broker/a") == mine
    assert await _listed(api, desiredStatus="STOPPED") == []
    assert await _listed(api, cluster="other") == there
    assert await _listed(api, family="agents") == mine + theirs
    assert await _listed(api, launchType="EC2") == on_machine
    assert await _listed(api, containerInstance=machine.arn) == on_machine
    assert await _listed(api, desiredStatus="PENDING") == []


async def test_a_task_is_listed_by_what_is_wanted_not_by_what_is(ecs: FakeEcs, api: Api, clock: ManualClock) -> None:
    arns = await _run(ecs, api, startedBy="broker/a")
    await clock.advance(60)
    ecs.interrupt(arns[0])
    assert await _listed(api, startedBy="broker/a") == []
    assert await _listed(api, desiredStatus="STOPPED") == arns
    await clock.advance(120 + 5 + 3600)
    assert await _listed(api, desiredStatus="STOPPED") == []


async def test_a_fresh_task_is_missing_and_unlisted_for_a_while(
    ecs: FakeEcs, api: Api, clock: ManualClock, refusal: Any
) -> None:
    ecs.visible_after_s = 60
    arns = await _run(ecs, api, startedBy="broker/a")
    await clock.advance(59)
    reply = await api("DescribeTasks", tasks=arns)
    assert reply == {"tasks": [], "failures": [{"arn": arns[0], "reason": "MISSING"}]}
    assert await _listed(api) == []
    assert (await refusal("StopTask", task=arns[0])).message == "The referenced task was not found."
    await clock.advance(1)
    assert (await api("DescribeTasks", tasks=arns))["failures"] == []
    assert await _listed(api) == arns


async def test_a_task_that_ends_may_be_listed_as_running_still(ecs: FakeEcs, api: Api, clock: ManualClock) -> None:
    ecs.listed_after_end_s = 30
    arns = await _run(ecs, api)
    await api("StopTask", task=arns[0])
    await clock.advance(29)
    assert await _listed(api) == arns
    await clock.advance(1)
    assert (await _listed(api), await _listed(api, desiredStatus="STOPPED")) == ([], arns)


async def test_tags_are_told_when_asked_for(ecs: FakeEcs, api: Api) -> None:
    tags = [{"key": "agentbroker:agent-id", "value": "a1"}]
    arns = await _run(ecs, api, tags=tags)
    assert (await api("DescribeTasks", tasks=arns))["tasks"][0]["tags"] == []
    assert (await api("DescribeTasks", tasks=arns, include=["TAGS"]))["tasks"][0]["tags"] == tags


@pytest.mark.parametrize("kept", [True, False])
async def test_a_stop_takes_the_tags_as_the_reference_says(ecs: FakeEcs, api: Api, kept: bool) -> None:
    ecs.region.stop_deletes_tags = not kept
    arns = await _run(ecs, api, tags=[{"key": "a", "value": "1"}])
    await api("StopTask", task=arns[0])
    assert bool((await api("DescribeTasks", tasks=arns, include=["TAGS"]))["tasks"][0]["tags"]) is kept


async def test_tasks_are_described_by_id_or_arn(ecs: FakeEcs, api: Api) -> None:
    arns = await _run(ecs, api, 2)
    reply = await api("DescribeTasks", tasks=[arns[0].rpartition("/")[2], arns[1], arns[0]])
    assert [task["taskArn"] for task in reply["tasks"]] == arns


DESCRIBED: list[tuple[dict[str, Any], str, str]] = [
    ({"tasks": []}, "InvalidParameterException", "empty"),
    ({"tasks": [f"{n:032x}" for n in range(101)]}, "InvalidParameterException", "100"),
    ({"tasks": ["x"]}, "InvalidParameterException", "taskId length should be one of [32,36]"),
    (
        {"tasks": [f"arn:aws:ecs:eu-west-1:111122223333:task/other/{'0' * 32}"]},
        "InvalidParameterException",
        "Identifier is for cluster other. Your cluster is default",
    ),
    (
        {"tasks": [f"arn:aws:ecs:us-east-1:111122223333:task/default/{'0' * 32}"]},
        "InvalidParameterException",
        "Invalid",
    ),
    ({"tasks": ["0" * 32], "cluster": "nowhere"}, "ClusterNotFoundException", "Cluster not found."),
]


@pytest.mark.parametrize(("asked", "code", "words"), DESCRIBED)
async def test_a_description_that_is_asked_for_wrongly_is_refused(
    refusal: Any, asked: dict[str, Any], code: str, words: str
) -> None:
    error = await refusal("DescribeTasks", **asked)
    assert error.code == code
    assert words in error.message


async def test_a_task_that_is_not_there_cannot_be_stopped(refusal: Any) -> None:
    error = await refusal("StopTask", task="0" * 32)
    assert (error.code, error.message) == ("InvalidParameterException", "The referenced task was not found.")


async def test_regions_know_nothing_of_each_other(ecs: FakeEcs, api: Api) -> None:
    await _run(ecs, api)
    assert ecs.elsewhere("us-east-1").tasks == {}
    assert ecs.elsewhere("us-east-1").clusters.known["default"].arn.startswith("arn:aws:ecs:us-east-1:")


async def test_a_hundred_of_a_thousand_tasks_are_described_in_a_few_milliseconds(
    ecs: FakeEcs, api: Api, clock: ManualClock
) -> None:
    arns = [arn for _ in range(100) for arn in await _run(ecs, api, 10)]
    handler = ecs.handler("DescribeTasks")
    assert handler
    call = _call(arns[:100], clock)
    took = []
    for _ in range(20):
        began = time.perf_counter()
        await handler(call)
        took.append(time.perf_counter() - began)
    assert min(took) < 0.005


def _call(arns: list[str], clock: ManualClock) -> Call:
    who = Identity(account="111122223333", arn="arn:aws:iam::111122223333:user/broker", user_id="AIDA")
    parameters = {"tasks": arns, "include": ["TAGS"]}
    return Call(
        service="ecs", action="DescribeTasks", parameters=parameters, identity=who, region="eu-west-1", at=clock.now()
    )
