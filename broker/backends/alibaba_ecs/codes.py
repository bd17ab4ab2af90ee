"""What the errors of ECS, VPC and STS mean: one table, by code.

Codes are those of the API reference ("Error codes" of RunInstances, DeleteInstances, DescribeInstances, AttachDisk,
ImportKeyPair, RunCommand, AssumeRole) and of the API Error Center's common codes. What no row knows keeps its words and
is never guessed at from them.
"""

from dataclasses import dataclass
from typing import Final

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

NO_ADDRESSES: Final = ("InvalidVSwitchId.IpNotEnough", "QuotaExceeded.PrivateIpAddress", "InsufficientIpAddress")
"""The vSwitch is full; another one may not be."""
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
    Row(codes=NO_ADDRESSES, error=InsufficientCapacity, key="pools.POOL.vswitches"),
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
