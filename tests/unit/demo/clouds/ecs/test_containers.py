"""Tasks of several containers, and what their containers need to start."""

from typing import Any

import pytest

from broker.demo.clouds.aws import FakeAws
from broker.demo.clouds.ecs.knobs import Timing
from broker.demo.clouds.ecs.service import FakeEcs
from broker.demo.clouds.serving import serving
from broker.testing.clock import ManualClock
from tests.fake_aws import a_client
from tests.unit.demo.clouds.ecs.conftest import Api
from tests.unit.demo.clouds.ecs.requests import fargate_definition, on_fargate

BOTH: list[dict[str, Any]] = [{"name": "agent", "image": "x"}, {"name": "helper", "image": "y", "essential": False}]


async def _run(ecs: FakeEcs, api: Api, clock: ManualClock, containers: list[dict[str, Any]], **other: Any) -> str:
    await api("RegisterTaskDefinition", **fargate_definition(containerDefinitions=containers, **other))
    arn: str = (await api("RunTask", **on_fargate(ecs)))["tasks"][0]["taskArn"]
    await clock.advance(60)
    return arn


def _ends(ecs: FakeEcs, arn: str) -> dict[str, tuple[str, int | None]]:
    return {one["name"]: (one["lastStatus"], one.get("exitCode")) for one in ecs.told(arn)["containers"]}


async def test_the_end_of_a_helper_does_not_end_the_task(ecs: FakeEcs, api: Api, clock: ManualClock) -> None:
    arn = await _run(ecs, api, clock, BOTH)
    ecs.stop(arn, container="helper", exit_code=2)
    await clock.advance(60)
    assert ecs.told(arn)["lastStatus"] == "RUNNING"
    assert _ends(ecs, arn) == {"agent": ("RUNNING", None), "helper": ("STOPPED", 2)}


async def test_the_end_of_an_essential_container_ends_the_others(ecs: FakeEcs, api: Api, clock: ManualClock) -> None:
    ecs.timing = Timing(stopping_s=4)
    arn = await _run(ecs, api, clock, BOTH)
    ecs.stop(arn, exit_code=1)
    assert ecs.told(arn)["lastStatus"] == "STOPPING"
    assert _ends(ecs, arn) == {"agent": ("STOPPED", 1), "helper": ("RUNNING", None)}
    await clock.advance(4)
    assert ecs.told(arn)["lastStatus"] == "DEPROVISIONING"
    assert _ends(ecs, arn) == {"agent": ("STOPPED", 1), "helper": ("STOPPED", 143)}


async def test_an_image_that_is_missing_ends_each_of_its_tasks(ecs: FakeEcs, api: Api, clock: ManualClock) -> None:
    ecs.region.missing_images["x"] = ""
    for _ in range(2):
        told = ecs.told(await _run(ecs, api, clock, BOTH))
        assert told["stoppedReason"].startswith("CannotPullContainerError")
    ecs.region.missing_images.clear()
    assert ecs.told(await _run(ecs, api, clock, BOTH))["lastStatus"] == "RUNNING"


@pytest.mark.parametrize("there", [True, False])
async def test_a_task_whose_secret_is_not_there_does_not_start(
    fake: FakeAws, ecs: FakeEcs, api: Api, clock: ManualClock, there: bool
) -> None:
    arn = "arn:aws:ssm:eu-west-1:111122223333:parameter/token"
    if there:
        async with serving(fake) as url, a_client(fake, url, "ssm") as ssm:
            await ssm.put_parameter(Name="/token", Value="x", Type="SecureString")
    container: dict[str, Any] = {"name": "agent", "image": "x", "secrets": [{"name": "TOKEN", "valueFrom": arn}]}
    role = "arn:aws:iam::111122223333:role/execution"
    told = ecs.told(await _run(ecs, api, clock, [container], executionRoleArn=role))
    if there:
        assert told["lastStatus"] == "RUNNING"
    else:
        assert told["stopCode"] == "TaskFailedToStart"
        assert "unable to retrieve secrets from ssm" in told["stoppedReason"]
