"""What a task's own words mean."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from broker.backends.aws_ecs.logs import without_secret
from broker.backends.aws_ecs.observe import instance_of
from broker.backends.aws_ecs.ownership import Owned
from broker.domain.ids import AgentId
from broker.domain.instance import InstanceState
from broker.domain.reason import Reason

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
OWNED = Owned(agent_id=AgentId("1"), attempt=1, launch="l")


def task(last: str, **more: Any) -> dict[str, Any]:
    return {"taskArn": "arn", "lastStatus": last, "desiredStatus": "RUNNING", **more}


def stopped(stop_code: str, words: str, **container: Any) -> dict[str, Any]:
    ended = {"stopCode": stop_code, "stoppedReason": words, "desiredStatus": "STOPPED"}
    return task("STOPPED", **ended, containers=[{"name": "agent", "lastStatus": "STOPPED", **container}])


@pytest.mark.parametrize(
    ("last", "state"),
    [
        ("PROVISIONING", InstanceState.PENDING),
        ("PENDING", InstanceState.PENDING),
        ("ACTIVATING", InstanceState.PENDING),
        ("RUNNING", InstanceState.RUNNING),
        ("DEACTIVATING", InstanceState.STOPPING),
        ("STOPPED", InstanceState.STOPPED),
        ("A_STATE_TO_COME", InstanceState.RUNNING),
    ],
)
def test_each_state_is_ours(last: str, state: InstanceState) -> None:
    assert instance_of(task(last), OWNED).state is state


def test_an_agent_whose_container_has_ended_has_ended_though_its_network_is_still_taken_down() -> None:
    seen = instance_of(
        task(
            "DEPROVISIONING",
            desiredStatus="STOPPED",
            stopCode="EssentialContainerExited",
            containers=[{"name": "agent", "lastStatus": "STOPPED", "exitCode": 3}],
        ),
        OWNED,
        "agent",
    )
    assert (seen.state, seen.exit_code) == (InstanceState.STOPPED, 3)


@pytest.mark.parametrize(
    ("code", "words", "reason"),
    [
        ("TaskFailedToStart", "CannotPullContainerError: pull image manifest: x: not found", Reason.IMAGE_PULL_FAILED),
        ("TaskFailedToStart", "CannotPullContainerError: toomanyrequests: rate limit", Reason.THROTTLED),
        ("TaskFailedToStart", "CannotPullContainerError: dial tcp: i/o timeout", Reason.NETWORK_UNAVAILABLE),
        ("TaskFailedToStart", "ECS was unable to assume the role 'x' that was provided", Reason.INVALID_TEMPLATE),
        ("TaskFailedToStart", "ResourceInitializationError: unable to pull secrets or x", "SecretsUnavailable"),
        ("TaskFailedToStart", "ResourceInitializationError: failed to validate logger args", Reason.SETUP_FAILED),
        ("TaskFailedToStart", "Timeout waiting for network interface provisioning to complete.", "NetworkUnavailable"),
        ("TaskFailedToStart", "Unexpected EC2 error: Create Network Interface", "NetworkUnavailable"),
        ("TaskFailedToStart", "TaskFailedToStart: RESOURCE:MEMORY", Reason.INSUFFICIENT_CAPACITY),
        ("TaskFailedToStart", "CannotStartContainerError: exec format error", Reason.INVALID_TEMPLATE),
        ("TaskFailedToStart", "something that nobody knows", Reason.BACKEND_ERROR),
        ("SpotInterruption", "Your Spot Task was interrupted.", Reason.SPOT_INTERRUPTED),
        ("UserInitiated", "Task stopped by user", Reason.INSTANCE_VANISHED),
        ("EssentialContainerExited", "Essential container in task exited", Reason.CONTAINER_EXITED),
    ],
)  # fmt: skip
def test_each_end_has_its_reason_and_the_clouds_words(code: str, words: str, reason: Reason | str) -> None:
    seen = instance_of(stopped(code, words), OWNED)
    assert seen.reason == reason
    assert words in seen.message
    assert code in seen.message


def test_no_capacity_on_spot_after_the_call_is_no_spot_capacity() -> None:
    ended = stopped("TaskFailedToStart", "Capacity is unavailable at this time. Please try again later")
    assert instance_of({**ended, "capacityProviderName": "FARGATE_SPOT"}, OWNED).reason is Reason.SPOT_UNAVAILABLE


def test_an_agent_that_was_killed_tells_of_memory() -> None:
    told = "OutOfMemoryError: Container killed due to memory usage"
    by_itself = instance_of(stopped("EssentialContainerExited", "exited", exitCode=137), OWNED)
    told_so = instance_of(stopped("EssentialContainerExited", "exited", exitCode=137, reason=told), OWNED)
    assert (by_itself.reason, by_itself.exit_code) == (Reason.CONTAINER_EXITED, 137)
    assert "out of memory" in by_itself.message
    assert told in told_so.message
    assert "SIGKILL" not in told_so.message


def test_a_sidecar_that_has_failed_is_named() -> None:
    ended = stopped("EssentialContainerExited", "Essential container in task exited", exitCode=143)
    ended["containers"].append({"name": "proxy", "lastStatus": "STOPPED", "exitCode": 9, "reason": "bad config"})
    assert "container proxy: exit code 9, bad config" in instance_of(ended, OWNED, "agent").message


@pytest.mark.parametrize("code", ["SpotInterruption", "TerminationNotice"])
def test_a_notice_is_an_interruption_in_two_minutes(code: str) -> None:
    noticed = task("RUNNING", desiredStatus="STOPPED", stopCode=code, stoppedReason="words", stoppingAt=BEGAN)
    seen = instance_of(noticed, OWNED)
    assert seen.state is InstanceState.RUNNING
    assert seen.interruption is not None
    assert seen.interruption.at == BEGAN + timedelta(minutes=2)
    assert seen.interruption.message == "words"


def test_a_task_that_somebody_stops_is_no_interruption() -> None:
    seen = instance_of(task("RUNNING", desiredStatus="STOPPED", stopCode="UserInitiated", stoppingAt=BEGAN), OWNED)
    assert seen.interruption is None
    assert seen.state is InstanceState.STOPPING


def test_the_times_of_a_start_are_the_clouds() -> None:
    times = {
        "createdAt": BEGAN,
        "pullStartedAt": BEGAN + timedelta(seconds=9),
        "startedAt": BEGAN + timedelta(seconds=60),
    }
    seen = instance_of(task("RUNNING", **times), OWNED)
    assert seen.times.created == BEGAN
    assert seen.times.steps() == {"provisioning": timedelta(seconds=9)}


def test_last_lines_never_have_the_agents_secret() -> None:
    override = {
        "command": ["-secret", "hush2", "-name", "x"],
        "environment": [{"name": "JENKINS_SECRET", "value": "hush1"}],
    }
    lines = without_secret(("a hush1 b", "hush2"), {"overrides": {"containerOverrides": [override]}})
    assert lines == ("a *** b", "***")
