"""The real SDK against the fake's front: protocols, validation, faults, limits, rights."""

import time
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError, HTTPClientError

from broker.demo.clouds.aws import FakeAws
from broker.demo.clouds.faults import Fault
from broker.demo.clouds.model import ApiError, Call, Parameters, Service
from broker.demo.clouds.serving import serving
from tests.fake_aws import a_client


class Echo(Service):
    """Some actions of ECS."""

    name = "ecs"
    started = 0

    async def DescribeClusters(self, call: Call) -> Parameters:
        """Says what it was asked."""
        return {"clusters": [{"clusterName": name} for name in call.parameters.get("clusters", [])], "failures": []}

    async def RunTask(self, call: Call) -> Parameters:
        """Counts."""
        self.started += 1
        return {"tasks": [{"taskArn": "arn", "createdAt": datetime(2026, 1, 2, 3, 4, 5, 678000, UTC)}], "failures": []}

    async def StopTask(self, call: Call) -> Parameters:
        """Never knows the task."""
        raise ApiError("ClusterNotFoundException", "Cluster not found.")

    async def ListTasks(self, call: Call) -> Parameters:
        """Gives what the model does not know."""
        return {"taskArnz": []}


@pytest.fixture
def fake() -> FakeAws:
    """One with ECS that echoes."""
    fake = FakeAws()
    fake.add(Echo())
    return fake


async def _code(fake: FakeAws, service: str, action: str, **parameters: object) -> tuple[str, int]:
    """The error that a call comes to, with its status."""
    async with serving(fake) as url, a_client(fake, url, service) as client:
        with pytest.raises(ClientError) as refused:
            await getattr(client, action)(**parameters)
    said = refused.value.response
    return said["Error"]["Code"], said["ResponseMetadata"]["HTTPStatusCode"]


async def test_a_signed_call_reaches_its_handler_and_the_ledger(fake: FakeAws) -> None:
    async with serving(fake) as url, a_client(fake, url) as ecs:
        said = await ecs.describe_clusters(clusters=["ci"])
    assert said["clusters"] == [{"clusterName": "ci"}]
    assert [(call.action, call.status, call.identity.arn, call.region) for call in fake.ledger] == [
        ("DescribeClusters", 200, "arn:aws:iam::111122223333:user/broker", "eu-west-1")
    ]


async def test_a_handlers_error_comes_as_the_services_own(fake: FakeAws) -> None:
    async with serving(fake) as url, a_client(fake, url) as ecs:
        with pytest.raises(ecs.exceptions.ClusterNotFoundException):
            await ecs.stop_task(task="x")
    assert fake.ledger[0].code == "ClusterNotFoundException"


async def test_times_go_over_json_with_their_milliseconds(fake: FakeAws) -> None:
    async with serving(fake) as url, a_client(fake, url) as ecs:
        said = await ecs.run_task(taskDefinition="x")
    assert said["tasks"][0]["createdAt"] == datetime(2026, 1, 2, 3, 4, 5, 678000, UTC)


async def test_a_reply_that_does_not_fit_the_model_is_the_fakes_own_fault(fake: FakeAws) -> None:
    assert await _code(fake, "ecs", "list_tasks") == ("FakeIsWrong", 500)
    assert "taskArnz" in fake.ledger.problems[0]


async def test_an_action_that_the_fake_does_not_know_is_its_own_fault(fake: FakeAws) -> None:
    assert await _code(fake, "ecs", "list_services") == ("FakeIsWrong", 501)
    assert "ListServices" in fake.ledger.problems[0]


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({}, "InvalidParameterException"),
        ({"taskDefinition": "x", "launchType": "MOON"}, "InvalidParameterException"),
        ({"taskDefinition": "x", "tags": [{"key": "k", "value": "v"}] * 51}, "InvalidParameterException"),
        ({"taskDefinition": "x", "tags": [{"key": "ä[]", "value": "v"}]}, "InvalidParameterException"),
        ({"taskDefinition": "x", "tags": [{"key": "k" * 129, "value": "v"}]}, "InvalidParameterException"),
        ({"taskDefinition": "x", "placementStrategy": [{"type": "spread", "feld": "a"}]}, None),
        ({"taskDefinition": "x", "count": "many"}, "SerializationException"),
        ({"taskDefinition": 7}, "SerializationException"),
        ({"taskDefinition": "x", "enableExecuteCommand": "yes"}, "SerializationException"),
    ],
)
async def test_members_that_do_not_fit_are_refused(fake: FakeAws, parameters: Parameters, code: str | None) -> None:
    if code is None:  # the SDK itself leaves a member out that it does not know
        async with serving(fake) as url, a_client(fake, url) as ecs:
            with pytest.raises(KeyError):
                await ecs.run_task(**parameters)
        return
    assert await _code(fake, "ecs", "run_task", **parameters) == (code, 400)


@pytest.mark.parametrize(
    ("service", "action", "parameters", "code"),
    [
        ("sts", "assume_role", {"RoleArn": "arn:aws:iam::111122223333:role/ci"}, "ValidationError"),
        ("sts", "assume_role", {"RoleArn": "short", "RoleSessionName": "x y"}, "ValidationError"),
        ("ec2", "describe_subnets", {"MaxResults": 2}, "InvalidParameterValue"),
        ("logs", "get_log_events", {"logGroupName": "g", "logStreamName": "a:b"}, "InvalidParameterException"),
        ("ssm", "get_parameters", {"Names": []}, "ValidationException"),
        ("secretsmanager", "create_secret", {"Name": ""}, "ValidationException"),
    ],
)
async def test_each_service_refuses_in_its_own_words(
    fake: FakeAws, service: str, action: str, parameters: Parameters, code: str
) -> None:
    assert await _code(fake, service, action, **parameters) == (code, 400)


@pytest.mark.parametrize(
    ("service", "code", "status"),
    [("ecs", "AccessDeniedException", 400), ("sts", "AccessDenied", 403), ("ec2", "UnauthorizedOperation", 403)],
)
async def test_what_is_denied_is_refused_in_the_services_words(
    fake: FakeAws, service: str, code: str, status: int
) -> None:
    action = {"ecs": "describe_clusters", "sts": "get_caller_identity", "ec2": "describe_subnets"}[service]
    fake.rights.deny(f"{service}:*")
    assert await _code(fake, service, action) == (code, status)
    fake.rights.allow_all()
    async with serving(fake) as url, a_client(fake, url, service) as client:
        await getattr(client, action)()


async def test_a_denial_may_concern_one_resource_alone(fake: FakeAws) -> None:
    fake.rights.deny("ecs:DescribeClusters", lambda said: "prod" in said.get("clusters", []))
    async with serving(fake) as url, a_client(fake, url) as ecs:
        await ecs.describe_clusters(clusters=["ci"])
        with pytest.raises(ClientError, match=r"not authorized to perform: ecs:DescribeClusters"):
            await ecs.describe_clusters(clusters=["prod"])


async def test_a_fault_strikes_so_often_as_it_says_and_no_other_action(fake: FakeAws) -> None:
    fault = fake.faults.add(Fault(action="RunTask", code="ServerException", message="oops", times=2))
    async with serving(fake) as url, a_client(fake, url) as ecs:
        await ecs.describe_clusters()
        for _ in range(2):
            with pytest.raises(ecs.exceptions.ServerException, match="oops"):
                await ecs.run_task(taskDefinition="x")
        await ecs.run_task(taskDefinition="x")
    assert fault.happened == 2
    assert [call.status for call in fake.ledger.of("RunTask")] == [500, 500, 200]


async def test_a_fault_before_the_effect_leaves_none_and_one_after_it_does(fake: FakeAws) -> None:
    echo = Echo()
    fake.add(echo)
    fake.faults.add(Fault(action="RunTask", code="ServerException"))
    fake.faults.add(Fault(action="RunTask", code="ServerException", after_effect=True))
    async with serving(fake) as url, a_client(fake, url) as ecs:
        with pytest.raises(ecs.exceptions.ServerException):
            await ecs.run_task(taskDefinition="x")
        assert echo.started == 0
        with pytest.raises(ecs.exceptions.ServerException):
            await ecs.run_task(taskDefinition="x")
        assert echo.started == 1


@pytest.mark.parametrize("after_effect", [False, True])
async def test_a_line_that_is_cut_gives_no_answer(fake: FakeAws, after_effect: bool) -> None:
    echo = Echo()
    fake.add(echo)
    fake.faults.add(Fault(action="RunTask", drop=True, after_effect=after_effect))
    async with serving(fake) as url, a_client(fake, url) as ecs:
        with pytest.raises((ConnectionClosedError, HTTPClientError)):
            await ecs.run_task(taskDefinition="x")
    assert echo.started == after_effect
    assert fake.ledger[0].status == 0


async def test_a_page_of_a_balancer_is_no_answer_of_the_service(fake: FakeAws) -> None:
    fake.faults.add(Fault(html=True, status=502))
    async with serving(fake) as url, a_client(fake, url) as ecs:
        with pytest.raises(Exception, match=r"502|invalid|parse") as refused:
            await ecs.describe_clusters()
    assert not isinstance(refused.value, ecs.exceptions.ServerException)


async def test_a_fault_may_be_a_delay_alone(fake: FakeAws) -> None:
    fake.faults.add(Fault(delay_s=0.3))
    async with serving(fake) as url, a_client(fake, url) as ecs:
        began = time.monotonic()
        await ecs.describe_clusters()
    assert time.monotonic() - began >= 0.3


async def test_a_fault_may_concern_some_parameters_alone(fake: FakeAws) -> None:
    fake.faults.add(Fault(code="ClientException", times=None, where=lambda said: said.get("clusters") == ["a"]))
    async with serving(fake) as url, a_client(fake, url) as ecs:
        await ecs.describe_clusters(clusters=["b"])
        with pytest.raises(ecs.exceptions.ClientException):
            await ecs.describe_clusters(clusters=["a"])


async def test_chances_repeat_with_the_seed() -> None:
    async def struck() -> list[int]:
        fake = FakeAws()
        fake.add(Echo())
        fake.faults.add(Fault(code="ServerException", probability=0.5, times=None))
        async with serving(fake) as url, a_client(fake, url) as ecs:
            for _ in range(12):
                with suppress(ClientError):
                    await ecs.describe_clusters()
        return [call.status for call in fake.ledger]

    first = await struck()
    assert {200, 500} == set(first)
    assert await struck() == first
