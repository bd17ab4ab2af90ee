"""What an error of ECS means for a launch."""

import pytest

from broker.backends.aws_ecs.errors import DefinitionGone, NoSuchThing, TokenInUse, classify, of_failure, translate
from broker.domain.reason import Reason
from broker.errors import BackendError, BackendRejected, InsufficientCapacity, OutcomeUnknown, Throttled

ROLE = "ECS was unable to assume the role 'arn:aws:iam::111122223333:role/x' that was provided for this task."
ZONE = "Capacity is unavailable at this time. Please try again later or in a different availability zone"
VCPUS = "You've reached the limit on the number of vCPUs you can run concurrently"


@pytest.mark.parametrize(
    ("code", "message", "error", "reason"),
    [
        ("ThrottlingException", "Rate exceeded", Throttled, Reason.THROTTLED),
        ("ServerException", "Service Unavailable. Please try again later.", OutcomeUnknown, Reason.BACKEND_ERROR),
        ("AccessDeniedException", "User is not authorized", BackendRejected, Reason.ACCESS_DENIED),
        ("BlockedException", "Your AWS account was blocked", BackendRejected, Reason.ACCESS_DENIED),
        ("ExpiredTokenException", "The security token is expired", BackendRejected, Reason.CREDENTIALS_INVALID),
        ("UnrecognizedClientException", "The security token is invalid", BackendRejected, Reason.CREDENTIALS_INVALID),
        ("ClusterNotFoundException", "Cluster not found.", BackendRejected, Reason.SETUP_FAILED),
        ("PlatformUnknownException", "The specified platform does not exist", BackendRejected, Reason.INVALID_TEMPLATE),
        ("UnsupportedFeatureException", "not in this region", BackendRejected, Reason.INVALID_TEMPLATE),
        ("ConflictException", "another request with this token", TokenInUse, Reason.BACKEND_ERROR),
        ("ClientException", "The cluster has 500 tasks in the PROVISIONING state", InsufficientCapacity, None),
        ("ClientException", VCPUS, InsufficientCapacity, Reason.QUOTA_EXCEEDED),
        ("ClientException", "Too many concurrent attempts to create a new revision", Throttled, Reason.BACKEND_ERROR),
        ("ClientException", "TaskDefinition is inactive", DefinitionGone, Reason.INVALID_TEMPLATE),
        ("ClientException", ROLE, BackendRejected, Reason.INVALID_TEMPLATE),
        ("InvalidParameterException", "No Container Instances were found in your cluster.", InsufficientCapacity, None),
        ("InvalidParameterException", "The subnet ID 'subnet-1' does not exist", BackendRejected, "NetworkUnavailable"),
        ("InvalidParameterException", "Override for container named x", BackendRejected, "InvalidTemplate"),
        ("SomethingNewException", "nobody knows", BackendRejected, Reason.BACKEND_ERROR),
    ],
)  # fmt: skip
def test_each_code_of_run_task_has_its_meaning(
    code: str, message: str, error: type[BackendError], reason: Reason | str | None
) -> None:
    found = classify("RunTask", code, message)
    assert type(found) is error
    assert found.reason == (reason or Reason.INSUFFICIENT_CAPACITY)
    assert (found.code, found.message) == (code, message)


@pytest.mark.parametrize(
    ("reason", "error", "ours"),
    [
        ("RESOURCE:MEMORY", InsufficientCapacity, Reason.INSUFFICIENT_CAPACITY),
        ("RESOURCE:CPU", InsufficientCapacity, Reason.INSUFFICIENT_CAPACITY),
        ("RESOURCE:ENI", InsufficientCapacity, Reason.INSUFFICIENT_CAPACITY),
        ("AGENT", InsufficientCapacity, Reason.INSUFFICIENT_CAPACITY),
        ("TaskFailedToStart: EMPTY CAPACITY PROVIDER", InsufficientCapacity, Reason.INSUFFICIENT_CAPACITY),
        ("TaskFailedToStart: RESOURCE:MEMORY", InsufficientCapacity, Reason.INSUFFICIENT_CAPACITY),
        ("MemberOf placement constraint unsatisfied.", InsufficientCapacity, Reason.INSUFFICIENT_CAPACITY),
        (ZONE, InsufficientCapacity, Reason.INSUFFICIENT_CAPACITY),
        (VCPUS, InsufficientCapacity, Reason.QUOTA_EXCEEDED),
        ("ATTRIBUTE", BackendRejected, Reason.INVALID_TEMPLATE),
        ("PLANETS", BackendRejected, Reason.BACKEND_ERROR),
        ("", BackendRejected, Reason.BACKEND_ERROR),
    ],
)
def test_each_reason_of_a_task_that_was_not_made_has_its_meaning(
    reason: str, error: type[BackendError], ours: Reason
) -> None:
    found = of_failure(reason, "what exactly")
    assert type(found) is error
    assert found.reason is ours
    assert "what exactly" in found.message


def test_no_capacity_on_spot_is_no_spot_capacity() -> None:
    assert of_failure(ZONE, capacity="FARGATE_SPOT").reason is Reason.SPOT_UNAVAILABLE
    assert of_failure(VCPUS, capacity="FARGATE_SPOT").reason is Reason.QUOTA_EXCEEDED


def test_what_is_to_be_ended_and_is_not_there_is_told_apart() -> None:
    assert type(classify("StopTask", "InvalidParameterException", "The referenced task was not found.")) is NoSuchThing


def test_an_error_of_the_server_without_a_code_may_have_done_it() -> None:
    assert type(classify("RunTask", "503", "", 503)) is OutcomeUnknown
    assert type(classify("RunTask", "", "slow down", 429)) is Throttled


def test_a_bug_is_no_error_of_the_cloud() -> None:
    assert translate("RunTask", KeyError("x"), "aws") is None


def test_a_line_that_broke_may_have_done_it_and_an_address_that_nobody_answers_has_not() -> None:
    class EndpointConnectionError(Exception):
        pass

    refused = translate("RunTask", EndpointConnectionError("Could not connect"), "aws")
    assert isinstance(translate("RunTask", ConnectionResetError("reset"), "aws"), OutcomeUnknown)
    assert isinstance(refused, Throttled)
    assert refused.reason is Reason.BACKEND_ERROR
    assert "backends.aws" in refused.message
