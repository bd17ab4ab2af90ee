"""What the errors of ECS, VPC and STS mean: one table, by code.

Codes are those of the API reference ("Error codes" of RunInstances, DeleteInstances, DescribeInstances, AttachDisk,
ImportKeyPair, RunCommand, AssumeRole) and of the API Error Center's common codes. What no row knows keeps its words and
is never guessed at from them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from broker.backends.throttle import Closed
from broker.domain.reason import Reason
from broker.errors import BackendError, BackendRejected, InsufficientCapacity, OutcomeUnknown, Throttled


class NoSuchThing(BackendRejected):
    """What was named is not there; for an end that is a success."""


class TokenInUse(BackendRejected):
    """This client token was used by a call with other parameters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One kind of error. A code that ends in `*` stands for all that begin so."""

    codes: tuple[str, ...]
    error: type[BackendError]
    reason: Reason | None = None
    actions: frozenset[str] = frozenset()
    """Empty: any."""
    key: str = ""
    """The config key to look at: `{name}` is the backend's, POOL the pool's."""

    def fits(self, action: str, code: str) -> bool:
        """Whether it is about this answer."""
        if self.actions and action not in self.actions:
            return False
        return any(code == one or (one.endswith("*") and code.startswith(one[:-1])) for one in self.codes)


STALE: Final = frozenset(
    {
        "Forbidden.AccessKey",
        "Forbidden.AccessKeyDisabled",
        "IncompleteSignature",
        "InvalidAccessKeyId",
        "InvalidAccessKeyId.Inactive",
        "InvalidAccessKeyId.NotFound",
        "InvalidAccessKeySecret",
        "InvalidSecurityToken",
        "InvalidSecurityToken.Expired",
        "InvalidSecurityToken.Malformed",
        "InvalidSecurityToken.MismatchWithAccessKey",
        "MissingAccessKeyId",
        "MissingSecurityToken",
        "NoEnabledAccessKey",
        "SecurityTokenExpired",
        "SignatureDoesNotMatch",
    }
)
"""Any service says so of credentials that are expired, revoked or wrong: newer ones may stand."""

_RUN: Final = frozenset({"ecs:RunInstances"})

TABLE: Final = (
    Row(codes=("Throttling", "Throttling.*", "ServiceUnavailable.Throttling"), error=Throttled),
    Row(codes=tuple(STALE), error=BackendRejected, reason=Reason.CREDENTIALS_INVALID, key="backends.{name}"),
    Row(
        codes=("InvalidTimeStamp.*",),
        error=BackendRejected,
        reason=Reason.CREDENTIALS_INVALID,
        key="this machine's clock",
    ),
    Row(
        codes=(
            "Forbidden",
            "Forbidden.RAM",
            "Forbidden.SubUser",
            "Forbidden.Unauthorized",
            "Forbidden.NotSupportRAM",
            "InvalidSpotAliUid",
            "InvalidSpotAuthorized",
            "NoPermission",
            "Forbidden.RiskControl",
            "RealNameAuthenticationError",
            "UnauthorizedOperation",
        ),
        error=BackendRejected,
        reason=Reason.ACCESS_DENIED,
    ),
    Row(codes=("IdempotentParameterMismatch", "IdempotentParamNotMatch"), error=TokenInUse),
    Row(
        codes=(
            "IdempotentProcessing",
            "LastTokenProcessing",
            "TokenProcessing",
            "OperationConflict",
            "Operation.Conflict",
        ),
        error=OutcomeUnknown,
    ),
    Row(
        codes=(
            "OperationDenied.NoStock",
            "OperationDenied.ZoneNoStock",
            "Zone.NotOnSale",
            "Zone.NotOpen",
            "InvalidResourceType.NotSupported",
            "InvalidInstanceType.NoStock",
            "InvalidInstanceType.ZoneNotSupported",
            "InstanceType.Offline",
            "ResourceNotAvailable",
            "ResourcesNotInSameZone",
            "SystemFailure.Delete",
        ),
        error=InsufficientCapacity,
    ),
    Row(codes=("OperationDenied",), actions=_RUN, error=InsufficientCapacity),
    Row(
        codes=(
            "InvalidSpotPriceLimit.LowerThanPublicPrice",
            "OperationDenied.SpotPriceLowerThanPublicPrice",
            "OperationDenied.SpotNoStock",
        ),
        error=InsufficientCapacity,
        reason=Reason.SPOT_UNAVAILABLE,
    ),
    Row(
        codes=(
            "QuotaExceed",
            "QuotaExceed.*",
            "QuotaExceeded",
            "QuotaExceeded.*",
            "InstanceQuotaExceed",
            "InstanceLimitExceeded",
        ),
        error=InsufficientCapacity,
        reason=Reason.QUOTA_EXCEEDED,
    ),
    Row(
        codes=("SecurityGroupInstanceLimitExceed",),
        error=InsufficientCapacity,
        reason=Reason.QUOTA_EXCEEDED,
        key="pools.POOL.security_groups",
    ),
    Row(
        codes=("InvalidVSwitchId.IpNotEnough", "InvalidVSwitch.IpNotEnough", "InsufficientIpAddress"),
        error=InsufficientCapacity,
        key="pools.POOL.vswitches",
    ),
    Row(
        codes=(
            "InvalidVSwitchId*",
            "InvalidSecurityGroup*",
            "InvalidVpc*",
            "VSwitchIdVpcIdMismatch",
            "IncorrectVSwitchStatus",
        ),
        actions=_RUN,
        error=BackendRejected,
        reason=Reason.NETWORK_UNAVAILABLE,
        key="pools.POOL.vswitches and .security_groups",
    ),
    Row(
        codes=(
            "InvalidAccountStatus.NotEnoughBalance",
            "InvalidAccountStatus*",
            "InvalidPayMethod",
            "Account.Arrearage",
            "InsufficientBalance",
        ),
        error=BackendRejected,
        key="the balance of the account",
    ),
    Row(
        codes=("InvalidImage*", "ImageNotSupportInstanceType", "ImageNotSubscribed"),
        error=BackendRejected,
        reason=Reason.INVALID_TEMPLATE,
        key="pools.POOL.image_id",
    ),
    Row(
        codes=(
            "InvalidKeyPair*",
            "KeyPairsNotExist",
            "DependencyViolation.IoOptimize",
            "InvalidParameter.KeypairAndOsTypeConflict",
        ),
        actions=_RUN,
        error=BackendRejected,
        reason=Reason.INVALID_TEMPLATE,
        key="pools.POOL.key_pair",
    ),
    Row(
        codes=("InvalidInstanceType*",),
        actions=_RUN,
        error=BackendRejected,
        reason=Reason.INVALID_TEMPLATE,
        key="pools.POOL.instance_types",
    ),
    Row(
        codes=(
            "InvalidSystemDisk*",
            "InvalidDataDisk*",
            "InvalidDisk*",
            "InvalidSnapshot*",
            "InvalidPerformanceLevel*",
        ),
        actions=_RUN,
        error=BackendRejected,
        reason=Reason.INVALID_TEMPLATE,
        key="pools.POOL.system_disk and .data_disks",
    ),
    Row(
        codes=("InvalidSpot*",),
        actions=_RUN,
        error=BackendRejected,
        reason=Reason.INVALID_TEMPLATE,
        key="pools.POOL.charge",
    ),
    Row(
        codes=("InvalidPassword*",),
        actions=_RUN,
        error=BackendRejected,
        reason=Reason.INVALID_TEMPLATE,
        key="pools.POOL.password",
    ),
    Row(
        codes=("InvalidUserData*",),
        actions=_RUN,
        error=BackendRejected,
        reason=Reason.INVALID_TEMPLATE,
        key="pools.POOL.user_data",
    ),
    Row(codes=("InvalidInstanceId.NotFound", "InvalidInstance.NotFound", "KeyPair.NotFound"), error=NoSuchThing),
    Row(codes=("InvalidRegionId*",), error=BackendRejected, reason=Reason.SETUP_FAILED, key="backends.{name}.region"),
    Row(
        codes=("Invalid*", "Missing*"),
        actions=_RUN,
        error=BackendRejected,
        reason=Reason.INVALID_TEMPLATE,
        key="pools.POOL",
    ),
    Row(
        codes=(
            "InternalError",
            "InternalError.*",
            "ServiceUnavailable",
            "ServiceTimeout",
            "UnknownError",
            "SystemBusy",
        ),
        error=OutcomeUnknown,
    ),
)
"""The first row that fits counts."""

_SDK: Final = frozenset(
    {
        "aiohttp",
        "alibabacloud_credentials",
        "alibabacloud_ecs20140526",
        "alibabacloud_tea_openapi",
        "alibabacloud_vpc20160428",
        "darabonba",
        "Tea",
        "requests",
        "urllib3",
    }
)
"""Modules whose exceptions are no bugs of ours."""


def classify(action: str, code: str, message: str, status: int = 400, backend: str = "") -> BackendError:
    """What a refused call means; the cloud's words stay as they are, and the key to look at follows them."""
    for row in TABLE:
        if row.fits(action, code):
            hint = row.key.format(name=backend)
            told = f"{message}; look at {hint}" if hint and (backend or "{name}" not in row.key) else message
            return row.error(code, told, row.reason)
    if status == 429:
        return Throttled(code, message)
    if status >= 500:
        return OutcomeUnknown(code, message)
    return BackendRejected(code, message)


def translate(action: str, error: Exception, backend: str) -> BackendError | None:
    """Ours for what the SDK or the network raises; None for what is neither's: a bug.

    The SDK's classes are known by what they carry (`alibabacloud_tea_openapi/exceptions`): nothing is imported here.
    """
    if isinstance(error, BackendError):
        return error
    code, status = getattr(error, "code", None), getattr(error, "status_code", None)
    if isinstance(code, str) and code and code != "None" and isinstance(status, int):
        return _refused(action, error, code, status, backend)
    cause = _innermost(error)
    name, words = type(cause).__name__, " ".join(str(cause).split())
    message = f"{action}: {words or 'no answer in time'}"
    if _is_not_sent(cause):
        hint = f"{message}; look at backends.{backend}: region, endpoints, vpc_endpoints, proxy"
        return Throttled(name, hint, Reason.BACKEND_ERROR)
    if isinstance(cause, OSError) or _is_the_sdks(error) or _is_the_sdks(cause):
        return OutcomeUnknown(name, message)
    return None


def _refused(action: str, error: Exception, code: str, status: int, backend: str) -> BackendError:
    data: Any = getattr(error, "data", None)
    told = data.get("Message") if isinstance(data, Mapping) else None
    found = classify(action, code, str(told or getattr(error, "message", "") or f"{action}: {status}"), status, backend)
    after_ms: Any = getattr(error, "retry_after", None)
    if isinstance(after_ms, int) and after_ms > 0 and (isinstance(found, Throttled) or status == 429):
        return Closed(found.code, found.message, after_ms / 1000)
    return found


def _innermost(error: Exception) -> Exception:
    """What the SDK has wrapped: `UnretryableException.inner_exception`."""
    inner: Any = getattr(error, "inner_exception", None)
    return inner if isinstance(inner, Exception) else error


def _is_not_sent(error: Exception) -> bool:
    """Whether no connection came about: aiohttp's errors of connectors, by their names, and those of the machine."""
    names = {one.__name__ for one in type(error).__mro__}
    return bool(names & {"ClientConnectorError", "ConnectionTimeoutError", "ConnectionRefusedError"})


def _is_the_sdks(error: Exception) -> bool:
    """Whether it is one of the SDK's, or was raised in the middle of it: on an answer of somebody else's."""
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    raised = str(last.tb_frame.f_globals.get("__name__", "")) if last is not None else ""
    return bool({type(error).__module__.partition(".")[0], raised.partition(".")[0]} & _SDK)
