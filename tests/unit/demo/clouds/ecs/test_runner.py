"""Tasks whose containers are run by somebody else."""

from broker.demo.clouds.ecs.service import FakeEcs
from broker.testing.clock import ManualClock
from tests.unit.demo.clouds.ecs.conftest import Api
from tests.unit.demo.clouds.ecs.requests import fargate_definition, on_fargate


async def _running(ecs: FakeEcs, api: Api, clock: ManualClock) -> str:
    ecs.runner = object()
    await api("RegisterTaskDefinition", **fargate_definition())
    arn: str = (await api("RunTask", **on_fargate(ecs)))["tasks"][0]["taskArn"]
    await clock.advance(60)
    assert ecs.told(arn)["lastStatus"] == "RUNNING"
    return arn


async def test_a_task_with_a_runner_ends_when_its_container_has(ecs: FakeEcs, api: Api, clock: ManualClock) -> None:
    arn = await _running(ecs, api, clock)
    await api("StopTask", task=arn)
    await clock.advance(1000)
    assert ecs.told(arn)["lastStatus"] == "STOPPING"
    ecs.stop(arn, exit_code=7)
    await clock.advance(5)
    told = ecs.told(arn)
    assert (told["lastStatus"], told["stopCode"], told["containers"][0]["exitCode"]) == ("STOPPED", "UserInitiated", 7)


async def test_a_runner_sees_that_an_interrupted_task_is_not_wanted(ecs: FakeEcs, api: Api, clock: ManualClock) -> None:
    arn = await _running(ecs, api, clock)
    ecs.interrupt(arn)
    await clock.advance(500)
    assert [(task.arn, task.is_wanted(ecs.now), task.status(ecs.now)) for task in ecs.living] == [
        (arn, False, "RUNNING")
    ]
    ecs.stop(arn, exit_code=143)
    assert ecs.told(arn)["lastStatus"] == "DEPROVISIONING"


async def test_a_task_that_never_ran_needs_no_runner_to_end(ecs: FakeEcs, api: Api, clock: ManualClock) -> None:
    ecs.runner = object()
    await api("RegisterTaskDefinition", **fargate_definition())
    arn = (await api("RunTask", **on_fargate(ecs)))["tasks"][0]["taskArn"]
    await api("StopTask", task=arn)
    await clock.advance(5)
    assert ecs.told(arn)["lastStatus"] == "STOPPED"
