"""The real SDK against the fake's front: signatures, protocols, validation, faults."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from botocore.exceptions import ClientError

from broker.demo.clouds.aws import FakeAws, serving
from broker.demo.clouds.model import ApiError, Call, Parameters, Service

ONCE = {"total_max_attempts": 1}


class Echo(Service):
    """Two actions of ECS."""

    name = "ecs"

    async def DescribeClusters(self, call: Call) -> Parameters:
        """Says what it was asked."""
        return {"clusters": [{"clusterName": name} for name in call.parameters.get("clusters", [])], "failures": []}

    async def StopTask(self, call: Call) -> Parameters:
        """Never knows the task."""
        raise ApiError("ClusterNotFoundException", "Cluster not found.")

    async def ListTasks(self, call: Call) -> Parameters:
        """Gives what the model does not know."""
        return {"taskArnz": []}


@asynccontextmanager
async def a_client(fake: FakeAws, url: str, service: str = "ecs", **keys: str) -> AsyncIterator[Any]:
    """The real client."""
    given = {"aws_access_key_id": fake.access_key, "aws_secret_access_key": fake.secret_key, **keys}
    config = AioConfig(retries=ONCE, parameter_validation=False, connect_timeout=5, read_timeout=5)
    session = get_session()
    async with session.create_client(service, region_name=fake.region, endpoint_url=url, config=config, **given) as one:
        yield one


@pytest.fixture
def fake() -> FakeAws:
    """One with ECS that echoes."""
    fake = FakeAws()
    fake.add(Echo())
    return fake


async def test_a_signed_call_reaches_its_handler_and_the_ledger(fake: FakeAws) -> None:
    async with serving(fake) as url, a_client(fake, url) as ecs:
        said = await ecs.describe_clusters(clusters=["ci"])
    assert said["clusters"] == [{"clusterName": "ci"}]
    assert [(call.action, call.status, call.identity.arn) for call in fake.ledger] == [
        ("DescribeClusters", 200, "arn:aws:iam::111122223333:user/broker")
    ]


@pytest.mark.parametrize(
    ("keys", "code"),
    [
        ({"aws_secret_access_key": "wrong"}, "InvalidSignatureException"),
        ({"aws_access_key_id": "AKIANOBODY"}, "UnrecognizedClientException"),
        ({"aws_session_token": "made up"}, "UnrecognizedClientException"),
        ({"region_name": "xx-nowhere-1"}, "InvalidSignatureException"),
    ],
)
async def test_a_request_that_nobody_known_signed_is_refused(fake: FakeAws, keys: dict[str, str], code: str) -> None:
    async with serving(fake) as url:
        region = keys.pop("region_name", "")
        fake.region = region or fake.region
        async with a_client(fake, url, **keys) as ecs:
            with pytest.raises(ClientError) as refused:
                await ecs.describe_clusters()
    assert refused.value.response["Error"]["Code"] == code
    assert len(fake.ledger) == 0


async def test_a_handlers_error_comes_as_the_services_own(fake: FakeAws) -> None:
    async with serving(fake) as url, a_client(fake, url) as ecs:
        with pytest.raises(ecs.exceptions.ClusterNotFoundException):
            await ecs.stop_task(task="x")
    assert fake.ledger[0].code == "ClusterNotFoundException"


async def test_a_reply_that_does_not_fit_the_model_is_the_fakes_own_fault(fake: FakeAws) -> None:
    async with serving(fake) as url, a_client(fake, url) as ecs:
        with pytest.raises(ClientError, match="FakeIsWrong"):
            await ecs.list_tasks()
    assert "taskArnz" in fake.ledger.problems[0]
