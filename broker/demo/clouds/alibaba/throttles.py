"""The request limits of an account: so many calls of an action a minute, and then none until the minute is over.

https://www.alibabacloud.com/help/en/ecs/developer-reference/api-throttling says that much; the figures are the
account's own and not public, so those here are the fake's. `limit` adds a token bucket, as some of the vendor's
gateways have it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from broker.demo.clouds.alibaba.errors import Throttled
from broker.demo.clouds.buckets import Buckets, Quota
from broker.demo.clouds.model import Call

MINUTE_S: Final = 60.0
USUAL: Final[Mapping[str, int]] = {"Describe": 1500, "RunInstances": 300, "RunCommand": 600, "": 600}
"""Calls a minute of each action, by how its name begins; "": of any other."""


@dataclass(slots=True)
class Throttles:
    """Who may call now. A family is an action (`RunInstances`) or a service (`ecs`)."""

    monotonic: Callable[[], float]
    per_minute: dict[str, int] = field(default_factory=dict)
    """Calls a minute of a family, in place of the usual ones."""
    usual: bool = True
    """Whether actions have the usual limits."""
    retry_after: bool = False
    """Whether a refusal says in a header when to come again."""
    refused: int = 0
    quotas: dict[str, Quota] = field(default_factory=dict)
    _buckets: Buckets = field(init=False)
    _counts: dict[tuple[str, str, str], int] = field(default_factory=dict)
    _minute: int = -1

    def __post_init__(self) -> None:
        """Nobody has called yet."""
        self._buckets = Buckets(self.monotonic, self.quotas)

    def limit(self, family: str, *, burst: float, rate: float) -> None:
        """A token bucket for a family, or another one in the middle of things."""
        self.quotas[family] = Quota(burst, rate)

    def unlimited(self) -> None:
        """Limits nothing any more."""
        self.quotas.clear()
        self.per_minute.clear()
        self.usual = False
        self._counts.clear()

    def close(self, family: str) -> None:
        """The family is closed until the minute is over, whoever calls."""
        self._turn()
        self._counts["*", "*", family] = -1

    def take(self, call: Call) -> None:
        """Counts a call; raises Throttled."""
        self._turn()
        families = (call.action, call.service)
        closed = any(("*", "*", family) in self._counts for family in families)
        over = [family for family in families if self._count((call.account, call.region, family))]
        empty = not self._buckets.spend((call.account, call.region), dict.fromkeys(families, 1.0))
        if closed or over or empty:
            self.refused += 1
            raise self._refusal(service_wide=over == [call.service])

    def _turn(self) -> None:
        minute = int(self.monotonic() // MINUTE_S)
        if minute != self._minute:
            self._minute = minute
            self._counts.clear()

    def _count(self, name: tuple[str, str, str]) -> bool:
        """Whether there were too many in this minute, with this one."""
        self._counts[name] = self._counts.get(name, 0) + 1
        most = self._most(name[2])
        return most is not None and self._counts[name] > most

    def _most(self, family: str) -> int | None:
        if family in self.per_minute:
            return self.per_minute[family]
        if not self.usual or family in {"ecs", "vpc", "sts"}:
            return None
        return next(calls for beginning, calls in USUAL.items() if family.startswith(beginning))

    def _refusal(self, *, service_wide: bool) -> Throttled:
        left_ms = round(1000 * (MINUTE_S - self.monotonic() % MINUTE_S)) if self.retry_after else 0
        if service_wide:
            return Throttled("Throttling", "Request was denied due to request throttling.", left_ms)
        return Throttled("Throttling.User", "Request was denied due to user flow control.", left_ms)
