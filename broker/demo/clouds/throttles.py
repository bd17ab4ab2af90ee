"""The request limits of an account and region: token buckets by family of actions.

ECS: https://docs.aws.amazon.com/AmazonECS/latest/APIReference/request-throttling.html; Fargate's launches and all else:
https://docs.aws.amazon.com/AmazonECS/latest/developerguide/throttling.html. Quotas may be lowered while all runs.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from broker.demo.clouds.model import ApiError, Call


@dataclass(frozen=True, slots=True)
class Quota:
    """A bucket's size and how many tokens a second come in."""

    burst: float
    rate: float


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float


_FAMILIES: Final[Mapping[str, tuple[str, ...]]] = {
    "ecs:run": ("RunTask", "StartTask"),
    "ecs:stop": ("StopTask",),
    "ecs:read": (
        "DescribeTasks",
        "ListTasks",
        "DescribeContainerInstances",
        "ListContainerInstances",
        "DescribeClusters",
        "ListClusters",
    ),
    "ecs:definition": ("RegisterTaskDefinition", "DeregisterTaskDefinition", "DeleteTaskDefinitions"),
    "ecs:definition-read": ("DescribeTaskDefinition", "ListTaskDefinitions", "ListTaskDefinitionFamilies"),
}


@dataclass(slots=True)
class Throttles:
    """Who may call now. `quotas` by family; a family without one, as all are at first, has no limit."""

    monotonic: Callable[[], float]
    quotas: dict[str, Quota] = field(default_factory=dict)
    refused: int = 0
    _buckets: dict[tuple[str, str, str], _Bucket] = field(default_factory=dict)

    def limit(self, family: str, *, burst: float, rate: float) -> None:
        """Sets a quota, or another one: what a bucket holds beyond the new burst is lost."""
        self.quotas[family] = Quota(burst, rate)

    def take(self, call: Call) -> None:
        """Takes a token for a call; raises ApiError."""
        self.spend(call, family_of(call), 1)

    def spend(self, call: Call, family: str, tokens: float) -> None:
        """Takes so many tokens of a family, or none and raises ApiError."""
        quota = self.quotas.get(family)
        if quota is None:
            return
        bucket = self._filled((call.account, call.region, family), quota)
        if bucket.tokens < tokens:
            self.refused += 1
            raise throttled(call)
        bucket.tokens -= tokens

    def _filled(self, name: tuple[str, str, str], quota: Quota) -> _Bucket:
        now = self.monotonic()
        bucket = self._buckets.setdefault(name, _Bucket(quota.burst, now))
        bucket.tokens = min(quota.burst, bucket.tokens + (now - bucket.at) * quota.rate)
        bucket.at = now
        return bucket


def family_of(call: Call) -> str:
    """The family whose bucket a call takes from."""
    found = [family for family, actions in _FAMILIES.items() if call.service == "ecs" and call.action in actions]
    return found[0] if found else f"{call.service}:other"


def throttled(call: Call) -> ApiError:
    """The refusal, as the call's protocol says it."""
    if call.service == "ec2":
        return ApiError("RequestLimitExceeded", "Request limit exceeded.", 503)
    code = "Throttling" if call.service in {"sts", "iam"} else "ThrottlingException"
    return ApiError(code, "Rate exceeded")
