"""What the errors of ECS and its companions mean: one table, by action, code and words.

Codes and failure reasons are those of the Amazon ECS API reference (RunTask, "Common errors") and of the developer
guide ("API failure reasons"). Where one code stands for many things a row names the service's exact words. What no row
knows keeps its words and is never guessed at.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from broker.backends.aws_ecs.session_errors import SDK, STALE, is_garbled
from broker.domain.reason import Reason
from broker.errors import BackendError, BackendRejected, InsufficientCapacity, OutcomeUnknown, Throttled


class NoSuchThing(BackendRejected):
    """What was named is not there; for an end that is a success."""


class TokenInUse(BackendRejected):
    """Tasks of this client token exist, made by a call with other parameters: `arns`."""

    def __init__(self, code: str, message: str, reason: Reason | None = None, arns: tuple[str, ...] = ()) -> None:
        """Keeps the ARNs of the answer."""
        super().__init__(code, message, reason)
        self.arns = arns


class DefinitionGone(BackendRejected):
    """The task definition is not there, or no longer active: it is to be had anew."""

    default_reason = Reason.INVALID_TEMPLATE


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One kind of error. No codes: any; no actions: any. `words` is searched for, without regard to case."""

    codes: frozenset[str] = frozenset()
    actions: frozenset[str] = frozenset()
    words: str = ""
    error: type[BackendError]
    reason: Reason | None = None

    def fits(self, action: str, code: str, message: str) -> bool:
        """Whether it is about this answer."""
        known = (not self.codes or code in self.codes) and (not self.actions or action in self.actions)
        return known and re.search(self.words, message, re.IGNORECASE) is not None


def _codes(*codes: str) -> frozenset[str]:
    return frozenset(codes)


_RUN: Final = frozenset({"RunTask"})
_CLIENT: Final = _codes("ClientException", "InvalidParameterException")
THROTTLING: Final = _codes(
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "RequestThrottled",
    "RequestThrottledException",
    "RequestLimitExceeded",
    "TooManyRequestsException",
    "ProvisionedThroughputExceededException",
    "SlowDown",
)
_SERVER: Final = _codes(
    "ServerException", "InternalError", "InternalFailure", "InternalServerError", "InternalServiceError",
    "InternalServiceErrorException", "ServiceUnavailable", "ServiceUnavailableException", "RequestTimeout",
)  # fmt: skip
_QUOTA: Final = r"reached the limit on the number of (tasks|vCPUs)|exceed\w* .*(quota|service limit)"

TABLE: Final = (
    Row(codes=THROTTLING, error=Throttled),
    Row(codes=_SERVER, error=OutcomeUnknown),
    Row(codes=STALE, error=BackendRejected, reason=Reason.CREDENTIALS_INVALID),
    Row(
        codes=_codes(
            "AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "BlockedException", "OptInRequired"
        ),
        error=BackendRejected,
        reason=Reason.ACCESS_DENIED,
    ),
    Row(codes=_codes("ClusterNotFoundException"), error=BackendRejected, reason=Reason.SETUP_FAILED),
    Row(
        codes=_codes(
            "PlatformUnknownException", "PlatformTaskDefinitionIncompatibilityException", "UnsupportedFeatureException"
        ),
        error=BackendRejected,
        reason=Reason.INVALID_TEMPLATE,
    ),
    Row(codes=_codes("ConflictException"), actions=_RUN, error=TokenInUse),
    Row(codes=_CLIENT, words=r"too many concurrent attempts", error=Throttled, reason=Reason.BACKEND_ERROR),
    Row(codes=_CLIENT, actions=_RUN, words=r"capacity is unavailable", error=InsufficientCapacity),
    Row(codes=_CLIENT, actions=_RUN, words=r"no container instances were found", error=InsufficientCapacity),
    Row(codes=_CLIENT, actions=_RUN, words=r"\bPROVISIONING\b", error=InsufficientCapacity),
    Row(codes=_CLIENT, actions=_RUN, words=_QUOTA, error=InsufficientCapacity, reason=Reason.QUOTA_EXCEEDED),
    Row(
        codes=_CLIENT,
        actions=_RUN,
        words=r"task ?definition (is inactive|not found|does not exist)",
        error=DefinitionGone,
    ),
    Row(
        codes=_CLIENT,
        actions=_RUN,
        words=r"unable to assume the role|role is not valid|invalid role",
        error=BackendRejected,
        reason=Reason.INVALID_TEMPLATE,
    ),
    Row(
        codes=_CLIENT,
        actions=_RUN,
        words=r"insufficient ?free ?addresses|not enough free addresses",
        error=InsufficientCapacity,
        reason=Reason.NETWORK_UNAVAILABLE,
    ),
    Row(
        codes=_CLIENT,
        actions=_RUN,
        words=r"\b(subnet|security group|network configuration)",
        error=BackendRejected,
        reason=Reason.NETWORK_UNAVAILABLE,
    ),
    Row(codes=_CLIENT, actions=_RUN, error=BackendRejected, reason=Reason.INVALID_TEMPLATE),
    Row(codes=_CLIENT, words=r"was not found|not be found|does not exist|no such", error=NoSuchThing),
    Row(
        codes=_codes("ResourceNotFoundException", "ParameterNotFound", "ParameterNotFoundException"),
        error=NoSuchThing,
    ),
)
"""The first row that fits counts."""

FAILURES: Final = (
    Row(words=r"^RESOURCE:", error=InsufficientCapacity),
    Row(words=r"^(AGENT|INACTIVE|EMPTY CAPACITY PROVIDER|NO ACTIVE INSTANCES)$", error=InsufficientCapacity),
    Row(words=r"^capacity is unavailable at this time", error=InsufficientCapacity),
    Row(words=r"^MemberOf (placement )?constraint unsatisfied|^DISTINCT ?INSTANCE placement constraint unsatisfied",
        error=InsufficientCapacity),
    Row(words=r"placement constraint (is )?unsatisfied", error=InsufficientCapacity),
    Row(words=_QUOTA, error=InsufficientCapacity, reason=Reason.QUOTA_EXCEEDED),
    Row(words=r"^(ATTRIBUTE|LOCATION)$", error=BackendRejected, reason=Reason.INVALID_TEMPLATE),
)  # fmt: skip
"""What RunTask says of a task that it did not make (`failures[].reason`); a task that waited for a host says the same
as its stopped reason, behind `TaskFailedToStart: `."""

_NOT_SENT: Final = _codes("ConnectTimeoutError", "EndpointConnectionError", "ProxyConnectionError", "SSLError")
_OURS: Final = _codes(
    "ParamValidationError", "UnknownServiceError", "InvalidRegionError", "InvalidEndpointConfigurationError"
)


def classify(action: str, code: str, message: str, status: int = 400, arns: tuple[str, ...] = ()) -> BackendError:
    """What a refused call means; the words stay as they are."""
    for row in TABLE:
        if row.fits(action, code, message):
            if row.error is TokenInUse:
                return TokenInUse(code, message, row.reason, arns)
            return row.error(code, message, row.reason)
    if status == 429:
        return Throttled(code, message)
    if status >= 500:
        return OutcomeUnknown(code, message)
    return BackendRejected(code, message)


def of_failure(reason: str, detail: str = "", capacity: str = "") -> BackendError:
    """What an item of RunTask's `failures` means; on spot, no capacity is no spot capacity."""
    word = reason.removeprefix("TaskFailedToStart:").strip()
    message = "; ".join(part for part in (word, detail) if part)
    for row in FAILURES:
        if row.fits("RunTask", "", word):
            return as_spot(row.error(word[:64], message, row.reason), capacity)
    return BackendRejected(word[:64] or "NoReason", message or "ECS made no task and gave no reason")


def as_spot(error: BackendError, capacity: str) -> BackendError:
    """A lack of capacity on spot by its own name."""
    if isinstance(error, InsufficientCapacity) and error.reason is Reason.INSUFFICIENT_CAPACITY and "SPOT" in capacity:
        return InsufficientCapacity(error.code, error.message, Reason.SPOT_UNAVAILABLE)
    return error


def translate(action: str, error: Exception, backend: str) -> BackendError | None:
    """Ours for what the SDK or the network raises; None for what is neither's: a bug.

    The SDK's classes are known by their names (`botocore/exceptions.py`), so that nothing is imported for them.
    """
    if isinstance(error, BackendError):
        return error
    told: Any = getattr(error, "response", None)
    if isinstance(told, Mapping) and "Error" in told:
        return _refused(action, told)
    name, words = type(error).__name__, " ".join(str(error).split())
    message = f"{action}: {words or 'no answer in time'}"
    if name in _OURS:
        return BackendRejected(name, message, Reason.INVALID_TEMPLATE)
    if name in _NOT_SENT:
        return Throttled(
            name, f"{message}; look at backends.{backend}: region, endpoint_url, proxy", Reason.BACKEND_ERROR
        )
    if isinstance(error, OSError) or type(error).__module__.partition(".")[0] in SDK or is_garbled(error):
        return OutcomeUnknown(name, message)
    return None


def _refused(action: str, told: Mapping[str, Any]) -> BackendError:
    error = told["Error"]
    status = int(told.get("ResponseMetadata", {}).get("HTTPStatusCode") or 400)
    code, message = str(error.get("Code") or status), str(error.get("Message") or error.get("message") or "")
    arns = tuple(str(arn) for arn in told.get("resourceIds") or ())
    return classify(action, code, message or f"{action}: status {status}", status, arns)
