"""A task's states by the clock."""

from datetime import timedelta
from typing import Any

import pytest

from broker.demo.clouds.ecs import knobs
from broker.demo.clouds.ecs.knobs import Timing
from broker.demo.clouds.ecs.service import FakeEcs
from broker.testing.clock import EPOCH, ManualClock
from tests.unit.demo.clouds.ecs.conftest import Api
from tests.unit.demo.clouds.ecs.requests import fargate_definition, machine_definition, on_fargate

TIMING = Timing(provisioning_s=10, pending_s=20, activating_s=3, deactivating_s=2, stopping_s=5, deprovisioning_s=8)


@pytest.fixture
async def arn(ecs: FakeEcs, api: Api) -> str:
    """A task on Fargate that was just run."""
    ecs.timing = TIMING
    await api("RegisterTaskDefinition", **fargate_definition())
    reply = await api("RunTask", **on_fargate(ecs))
    found: str = reply["tasks"][0]["taskArn"]
    return found


async def _states(api: Api, clock: ManualClock, arn: str, seconds: int) -> list[tuple[int, str, str]]:
    """When a task came to which state, in whole seconds, and what was wanted then."""
    found: list[tuple[int, str, str]] = []
    for _ in range(seconds + 1):
        task = (await api("DescribeTasks", tasks=[arn]))["tasks"][0]
        if not found or found[-1][1:] != (task["lastStatus"], task["desiredStatus"]):
            found.append((round(clock.monotonic()), task["lastStatus"], task["desiredStatus"]))
        await clock.advance(1)
    return found


async def test_a_task_comes_up_in_the_times_that_it_was_given(api: Api, clock: ManualClock, arn: str) -> None:
    assert await _states(api, clock, arn, 60) == [
        (0, "PROVISIONING", "RUNNING"),
        (10, "PENDING", "RUNNING"),
        (30, "ACTIVATING", "RUNNING"),
        (33, "RUNNING", "RUNNING"),
    ]


async def test_a_stopped_task_goes_through_the_states_of_ending(api: Api, clock: ManualClock, arn: str) -> None:
    await clock.advance(40)
    await api("StopTask", task=arn, reason="enough")
    assert await _states(api, clock, arn, 30) == [
        (40, "DEACTIVATING", "STOPPED"),
        (42, "STOPPING", "STOPPED"),
        (47, "DEPROVISIONING", "STOPPED"),
        (55, "STOPPED", "STOPPED"),
    ]


async def test_each_moment_of_a_task_has_its_timestamp(ecs: FakeEcs, clock: ManualClock, arn: str) -> None:
    await clock.advance(40)
    ecs.stop(arn, exit_code=3)
    await clock.advance(20)
    told = ecs.told(arn)
    after = {name: (told[name] - EPOCH) / timedelta(seconds=1) for name in told if name.endswith("At")}
    assert after == {
        "createdAt": 0,
        "connectivityAt": 10,
        "pullStartedAt": 12,
        "pullStoppedAt": 30,
        "startedAt": 33,
        "stoppingAt": 40,
        "executionStoppedAt": 40,
        "stoppedAt": 48,
    }


async def test_a_task_that_ends_by_itself_tells_its_exit_code(ecs: FakeEcs, clock: ManualClock, arn: str) -> None:
    await clock.advance(40)
    ecs.stop(arn, exit_code=3, reason="oops")
    told = ecs.told(arn)
    assert (told["lastStatus"], told["stopCode"]) == ("DEPROVISIONING", "EssentialContainerExited")
    assert told["stoppedReason"] == "Essential container in task exited"
    assert [(one["exitCode"], one["reason"], one["lastStatus"]) for one in told["containers"]] == [
        (3, "oops", "STOPPED")
    ]


async def test_a_task_that_is_stopped_before_it_runs_never_has_an_exit_code(
    ecs: FakeEcs, api: Api, clock: ManualClock, arn: str
) -> None:
    await clock.advance(15)
    await api("StopTask", task=arn)
    await clock.advance(8)
    told = ecs.told(arn)
    assert (told["lastStatus"], told["stopCode"]) == ("STOPPED", "UserInitiated")
    assert "startedAt" not in told
    assert "exitCode" not in told["containers"][0]


async def test_containers_that_ignore_sigterm_are_killed_when_their_patience_is_over(
    ecs: FakeEcs, api: Api, clock: ManualClock, arn: str
) -> None:
    ecs.timing = Timing(provisioning_s=0, pending_s=0, activating_s=0, stopping_s=100, deprovisioning_s=0)
    arn = (await api("RunTask", **on_fargate(ecs)))["tasks"][0]["taskArn"]
    await api("StopTask", task=arn)
    await clock.advance(29)
    assert ecs.told(arn)["lastStatus"] == "STOPPING"
    await clock.advance(1)
    told = ecs.told(arn)
    assert (told["lastStatus"], told["containers"][0]["exitCode"]) == ("STOPPED", 137)


async def test_an_interrupted_task_runs_on_for_two_minutes(
    ecs: FakeEcs, api: Api, clock: ManualClock, arn: str
) -> None:
    await clock.advance(40)
    ecs.interrupt(arn)
    told = ecs.told(arn)
    assert (told["lastStatus"], told["desiredStatus"], told["stopCode"]) == ("RUNNING", "STOPPED", "SpotInterruption")
    assert told["stoppingAt"] == EPOCH + timedelta(seconds=40)
    await clock.advance(119)
    assert ecs.told(arn)["lastStatus"] == "RUNNING"
    await clock.advance(1)
    told = ecs.told(arn)
    assert (told["lastStatus"], told["containers"][0]["exitCode"]) == ("DEPROVISIONING", 137)


async def test_a_short_stop_timeout_shortens_the_notice(ecs: FakeEcs, api: Api, clock: ManualClock) -> None:
    container = {"name": "agent", "image": "x", "stopTimeout": 40}
    await api("RegisterTaskDefinition", **fargate_definition(containerDefinitions=[container]))
    arn = (await api("RunTask", **on_fargate(ecs)))["tasks"][0]["taskArn"]
    await clock.advance(60)
    ecs.interrupt(arn)
    await clock.advance(40)
    assert ecs.told(arn)["lastStatus"] == "DEPROVISIONING"


async def test_an_interrupted_task_that_leaves_in_time_keeps_the_reason_of_its_end(
    ecs: FakeEcs, clock: ManualClock, arn: str
) -> None:
    await clock.advance(40)
    ecs.interrupt(arn)
    await clock.advance(30)
    ecs.stop(arn, exit_code=0)
    await clock.advance(8)
    told = ecs.told(arn)
    assert (told["lastStatus"], told["stopCode"]) == ("STOPPED", "SpotInterruption")
    assert told["containers"][0]["exitCode"] == 0


async def test_a_stop_of_a_task_that_ends_changes_nothing(ecs: FakeEcs, api: Api, clock: ManualClock, arn: str) -> None:
    await clock.advance(40)
    ecs.interrupt(arn)
    await clock.advance(5)
    before = ecs.told(arn)
    assert (await api("StopTask", task=arn, reason="me too"))["task"] | {"tags": []} == before | {"tags": []}


async def test_on_a_machine_without_own_interface_there_is_no_provisioning(
    ecs: FakeEcs, api: Api, clock: ManualClock
) -> None:
    ecs.timing = TIMING
    ecs.add_instance()
    await api("RegisterTaskDefinition", **machine_definition())
    reply = await api("RunTask", taskDefinition="machines")
    assert reply["tasks"][0]["lastStatus"] == "PENDING"
    await clock.advance(30)
    ecs.stop(reply["tasks"][0]["taskArn"], exit_code=1)
    assert ecs.told(reply["tasks"][0]["taskArn"])["lastStatus"] == "STOPPED"


async def test_a_task_that_is_over_is_forgotten_after_an_hour(
    ecs: FakeEcs, api: Api, clock: ManualClock, arn: str
) -> None:
    await clock.advance(40)
    ecs.stop(arn)
    await clock.advance(8 + 3599)
    assert (await api("DescribeTasks", tasks=[arn]))["failures"] == []
    await clock.advance(1)
    assert (await api("DescribeTasks", tasks=[arn]))["failures"] == [{"arn": arn, "reason": "MISSING"}]


FATES: list[tuple[knobs.Fate, str, str, dict[str, Any]]] = [
    (
        knobs.cannot_pull("nowhere/x:1"),
        "TaskFailedToStart",
        "CannotPullContainerError",
        {"lastStatus": "STOPPED"},
    ),
    (knobs.no_interface(), "TaskFailedToStart", "Timeout waiting for network interface", {}),
    (
        knobs.unreadable_secret("arn:aws:secretsmanager:eu-west-1:111122223333:secret:x"),
        "TaskFailedToStart",
        "ResourceInitializationError: unable to pull secrets",
        {},
    ),
    (knobs.cannot_start(), "TaskFailedToStart", "Task failed to start", {"exitCode": 127}),
    (knobs.exits(1, 5), "EssentialContainerExited", "Essential container", {"exitCode": 1}),
    (
        knobs.out_of_memory(),
        "EssentialContainerExited",
        "Essential container",
        {"exitCode": 137, "reason": "OutOfMemoryError: Container killed due to memory usage"},
    ),
]


@pytest.mark.parametrize(("fate", "code", "reason", "container"), FATES)
async def test_a_fate_ends_the_next_task_with_its_words(
    ecs: FakeEcs,
    api: Api,
    clock: ManualClock,
    fate: knobs.Fate,
    code: str,
    reason: str,
    container: dict[str, Any],
) -> None:
    await api("RegisterTaskDefinition", **fargate_definition())
    ecs.fate_next(fate)
    arn, healthy = [(await api("RunTask", **on_fargate(ecs)))["tasks"][0]["taskArn"] for _ in range(2)]
    assert ecs.told(arn)["desiredStatus"] == "RUNNING"
    await clock.advance(60)
    told = ecs.told(arn)
    assert (told["lastStatus"], told["stopCode"]) == ("STOPPED", code)
    assert told["stoppedReason"].startswith(reason)
    assert container.items() <= told["containers"][0].items()
    assert ecs.told(healthy)["lastStatus"] == "RUNNING"


async def test_spans_are_drawn_for_each_task(ecs: FakeEcs, api: Api) -> None:
    ecs.timing = Timing(pending_s=(53, 62))
    await api("RegisterTaskDefinition", **fargate_definition())
    await api("RunTask", **on_fargate(ecs, count=10))
    drawn = {task.durations.pending for task in ecs.tasks.values()}
    assert len(drawn) == 10
    assert all(53 <= pending <= 62 for pending in drawn)
