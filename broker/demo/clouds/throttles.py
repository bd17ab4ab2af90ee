"""The request limits of an account and region: token buckets by family of actions, with the documented figures.

ECS: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/request-throttling.html; what Fargate limits besides:
https://docs.aws.amazon.com/AmazonECS/latest/developerguide/throttling.html. Quotas may be lowered while all runs.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from broker.demo.clouds.buckets import Buckets, Quota
from broker.demo.clouds.model import ApiError, Call

_ECS: Final[Mapping[str, tuple[Quota, str]]] = {
    "cluster-modify": (
        Quota(20, 1),
        "CreateCluster DeleteCluster PutClusterCapacityProviders UpdateCluster UpdateClusterSettings",
    ),
    "cluster-read": (Quota(50, 20), "DescribeClusters ListClusters"),
    "definition-modify": (Quota(20, 1), "DeregisterTaskDefinition RegisterTaskDefinition"),
    "definition-read": (Quota(50, 20), "DescribeTaskDefinition ListTaskDefinitions ListTaskDefinitionFamilies"),
    "definition-delete": (Quota(5, 1), "DeleteTaskDefinitions"),
    "capacity-provider-modify": (Quota(10, 1), "CreateCapacityProvider DeleteCapacityProvider UpdateCapacityProvider"),
    "capacity-provider-read": (Quota(50, 20), "DescribeCapacityProviders"),
    "tag-modify": (Quota(20, 10), "TagResource UntagResource"),
    "tag-read": (Quota(50, 20), "ListTagsForResource"),
    "setting-modify": (Quota(10, 1), "DeleteAccountSetting PutAccountSetting PutAccountSettingDefault"),
    "setting-read": (Quota(50, 20), "ListAccountSettings"),
    "resource-modify": (
        Quota(100, 40),
        "DeleteAttributes DeregisterContainerInstance ExecuteCommand PutAttributes RunTask StartTask StopTask"
        " UpdateContainerAgent UpdateContainerInstancesState",
    ),
    "resource-read": (
        Quota(100, 20),
        "DescribeContainerInstances DescribeTasks ListAttributes ListContainerInstances ListTasks",
    ),
}
FARGATE_RUN: Final = "fargate-run"
"""Calls of RunTask for Fargate, beside `resource-modify`."""
FARGATE_TASKS: Final = "fargate-tasks"
"""Tasks that Fargate starts on demand."""
FARGATE_SPOT_TASKS: Final = "fargate-spot-tasks"
"""Tasks that Fargate starts on spot capacity."""
DOCUMENTED: Final[Mapping[str, Quota]] = {
    **{family: quota for family, (quota, _) in _ECS.items()},
    FARGATE_RUN: Quota(20, 20),
    FARGATE_TASKS: Quota(100, 20),
    FARGATE_SPOT_TASKS: Quota(100, 20),
}
_FAMILY: Final[Mapping[str, str]] = {
    action: family for family, (_, actions) in _ECS.items() for action in actions.split()
}


@dataclass(slots=True)
class Throttles:
    """Who may call now. `quotas` by family; a family without one has no limit."""

    monotonic: Callable[[], float]
    quotas: dict[str, Quota] = field(default_factory=lambda: dict(DOCUMENTED))
    refused: int = 0
    _buckets: Buckets = field(init=False)

    def __post_init__(self) -> None:
        """All buckets are full."""
        self._buckets = Buckets(self.monotonic, self.quotas)

    def limit(self, family: str, *, burst: float, rate: float) -> None:
        """Sets a quota, or another one in the middle of things: what a bucket holds beyond the new burst is lost."""
        self.quotas[family] = Quota(burst, rate)

    def unlimited(self) -> None:
        """Limits nothing any more."""
        self.quotas.clear()

    def take(self, call: Call) -> None:
        """Takes the token that each call costs; raises ApiError."""
        self.spend(call, {family_of(call): 1})

    def fargate(self, call: Call, *, spot: bool, tasks: int) -> None:
        """Takes what a RunTask for Fargate costs beside that; raises ApiError."""
        self.spend(call, {FARGATE_RUN: 1, FARGATE_SPOT_TASKS if spot else FARGATE_TASKS: tasks})

    def spend(self, call: Call, tokens: Mapping[str, float]) -> None:
        """Takes so many tokens of each family, or of none and raises ApiError."""
        if not self._buckets.spend((call.account, call.region), tokens):
            self.refused += 1
            raise throttled(call)


def family_of(call: Call) -> str:
    """The family whose bucket a call takes from: of ECS as documented, else the service as a whole."""
    return _FAMILY.get(call.action, "other") if call.service == "ecs" else call.service


def throttled(call: Call) -> ApiError:
    """The refusal, as the call's protocol says it."""
    if call.service == "ec2":
        return ApiError("RequestLimitExceeded", "Request limit exceeded.", 503)
    code = "Throttling" if call.service in {"sts", "iam"} else "ThrottlingException"
    return ApiError(code, "Rate exceeded")
