"""Token buckets that a fake's request limits count in."""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Quota:
    """A bucket's size and how many tokens a second come in."""

    burst: float
    rate: float


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float


@dataclass(slots=True)
class Buckets:
    """One bucket for each owner and family. `quotas` by family; a family without one has no limit."""

    monotonic: Callable[[], float]
    quotas: dict[str, Quota]
    _buckets: dict[tuple[Hashable, str], _Bucket] = field(default_factory=dict)

    def spend(self, owner: Hashable, tokens: Mapping[str, float]) -> bool:
        """Takes so many tokens of each family, or of none and says so."""
        taken = {
            family: self._filled((owner, family), self.quotas[family]) for family in tokens if family in self.quotas
        }
        if any(bucket.tokens < tokens[family] for family, bucket in taken.items()):
            return False
        for family, bucket in taken.items():
            bucket.tokens -= tokens[family]
        return True

    def _filled(self, name: tuple[Hashable, str], quota: Quota) -> _Bucket:
        now = self.monotonic()
        bucket = self._buckets.setdefault(name, _Bucket(quota.burst, now))
        bucket.tokens = min(quota.burst, bucket.tokens + (now - bucket.at) * quota.rate)
        bucket.at = now
        return bucket
