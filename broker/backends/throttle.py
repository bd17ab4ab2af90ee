"""How fast a cloud may be called: one token bucket per account, region and family of calls, for the whole process.

Amazon keeps a bucket for each family ("Request throttling for the Amazon ECS API"): so many calls at once, then so
many a second. What it allows is not told, and others of the account share it. So: calls wait in line for a token; a
call that is throttled pauses its whole family, then one call at a time tries, at half the rate. Between two throttled
calls the cloud's bucket was empty twice, so what it took meanwhile is its rate: the second one knows it. Above that
the rate rises slowly, faster the longer nothing is refused. A cloud that says how long it stays closed (`Closed`) is
not asked before.
"""

import asyncio
import random
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Generic, TypeVar
from weakref import WeakValueDictionary

from broker.domain.definitions import Rate
from broker.domain.reason import Reason
from broker.errors import BackendRejected, InsufficientCapacity, Throttled
from broker.ports import Clock

F = TypeVar("F", bound=StrEnum)

_LEAST_SHARE: Final = 1 / 64
"""The rate never falls below this part of what was said."""
_CLOSE: Final = 0.99
"""Of a vendor's rate: calls may arrive closer together than they were sent."""


@dataclass(frozen=True, slots=True)
class _Rise:
    """After `hold_s` without a refusal the rate rises by `share` of the full one, times the seconds since, squared."""

    hold_s: float
    share: float


_KNOWN: Final = _Rise(30.0, 0.00025)
"""From a half to the whole in three quarters of a minute: what is above has just been refused."""
_GUESSED: Final = _Rise(3.0, 0.005)
"""From a half to the whole in ten seconds: tokens that were saved are refused for a small bucket, at whatever rate."""
_LONGEST_PAUSE_S: Final = 30.0
_AT_ONCE: Final = 5
"""So many calls beyond those that the rate itself keeps under way are so while tokens are spent from what was saved:
where the bucket is smaller than thought, no more than these are refused."""
_SLOW_S: Final = 3.0
"""An answer that takes longer is held to be an exception."""
_SAVED: Final = 2.0
_EPSILON: Final = 1e-6
_WHEN_FREED: Final = float("inf")


class Closed(Throttled):
    """Throttled, and the cloud says for how long: no call of the family is taken for `pause_s` seconds."""

    def __init__(self, code: str, message: str, reason: Reason | None = None, pause_s: float = 0.0) -> None:
        """Keeps the pause beside the cloud's words."""
        super().__init__(code, message, reason)
        self.pause_s = pause_s


class Bucket:
    """One family's tokens. Whoever waits is served in the order in which it came."""

    def __init__(self, name: str, rate: float, burst: int, clock: Clock) -> None:
        """A full bucket, at `rate` calls a second."""
        self._name = name
        self._clock = clock
        self.limit(rate, burst)
        self._tokens = self._burst
        self._filled_at = clock.monotonic()
        self._paused_until = float("-inf")
        self._throttled_at: float | None = None
        self._taken = 0
        self._refusals = 0
        self._rise = _KNOWN
        self._under_way = 0
        self._takes_s = 0.0
        self._line: deque[asyncio.Future[None]] = deque()
        self._freed = asyncio.Event()

    def limit(self, rate: float, burst: int) -> None:
        """Another rate than before, from now on; who waits goes on waiting, and a pause stands."""
        self.top = self.rate = self._base = rate * _CLOSE
        self._burst = max(1.0, burst - max(1.0, burst * 0.03)) if burst > 1 else 1.0

    @property
    def waiting(self) -> int:
        """How many calls wait for a token."""
        return len(self._line)

    @asynccontextmanager
    async def call(self, patience_s: float) -> AsyncIterator[None]:
        """Enters with a token; Throttled if none comes in `patience_s`. The error that leaves it tells how it went."""
        await self._enter(self._clock.monotonic() + patience_s)
        began = self._clock.monotonic()
        self._under_way += 1
        try:
            yield
            self._takes_s = (self._takes_s + min(_SLOW_S, self._clock.monotonic() - began)) / 2
            self._accepted()
        except Throttled as error:
            if error.reason is Reason.THROTTLED:
                self._refused(began, error.pause_s if isinstance(error, Closed) else None)
            raise
        except (BackendRejected, InsufficientCapacity):
            self._accepted()
            raise
        finally:
            self._under_way -= 1
            self._freed.set()

    async def _enter(self, deadline: float) -> None:
        """Waits in line: who leaves wakes the next one, and only the first looks at the time."""
        turn = asyncio.get_running_loop().create_future()
        self._line.append(turn)
        try:
            if self._line[0] is not turn:
                await turn
            while (due := self._due()) > self._clock.monotonic() + _EPSILON:
                if self._clock.monotonic() >= deadline:
                    raise Throttled(
                        "NoTurn", f"{self._name}: {len(self._line)} calls wait for {self.rate:.3g} a second"
                    )
                if due == _WHEN_FREED:
                    await self._until_freed(deadline)
                else:
                    await self._clock.sleep_until(min(due, deadline))
            self._tokens -= 1
        finally:
            self._line.remove(turn)
            if self._line and not self._line[0].done():
                self._line[0].set_result(None)

    async def _until_freed(self, deadline: float) -> None:
        """Until a call under way has ended, at the longest until `deadline`: one that hangs holds up nobody longer."""

        async def give_up() -> None:
            await self._clock.sleep_until(deadline)
            self._freed.set()

        async with asyncio.TaskGroup() as group:
            late = group.create_task(give_up(), name=f"give-up:{self._name}")
            await self._freed.wait()
            late.cancel()

    def _due(self) -> float:
        """When the first in line may call."""
        now = self._clock.monotonic()
        self._fill(now)
        due = max(self._paused_until, now + max(0.0, 1 - self._tokens - _EPSILON) / self.rate)
        many = self._tokens >= _SAVED and self._under_way >= _AT_ONCE + self.rate * self._takes_s
        if due <= now and (many or (self._refusals and self._under_way)):
            self._freed.clear()
            return _WHEN_FREED
        return due

    def _fill(self, now: float) -> None:
        calm = now - (self._throttled_at or 0.0) - self._rise.hold_s
        if self._throttled_at is not None and calm > 0:
            self.rate = min(self.top, self._base + self.top * self._rise.share * calm * calm)
        self._tokens = min(self._burst, self._tokens + max(0.0, now - self._filled_at) * self.rate)
        self._filled_at = max(now, self._filled_at)

    def _accepted(self) -> None:
        self._taken += 1
        self._refusals = 0

    def _refused(self, began: float, told_s: float | None) -> None:
        """Pauses the family. Calls that were under way when it began say nothing new, but for how long it stays so."""
        now = self._clock.monotonic()
        if told_s is not None:
            self._paused_until = max(self._paused_until, now + told_s)
        if self._throttled_at is not None and began <= self._throttled_at:
            return
        self._fill(now)
        half, self._rise = self.rate / 2, _GUESSED if self._tokens >= _SAVED else _KNOWN
        since = now - self._throttled_at if self._throttled_at is not None else 0.0
        known = self._taken >= 5 and since >= 1.0 and self._refusals == 0
        self._base = max(half, min(self.rate * 0.95, (self._taken + 1) / since)) if known else half
        self._base = self.rate = max(self._base, self.top * _LEAST_SHARE)
        self._tokens, self._filled_at, self._taken = 0.0, now, 0
        self._refusals += 1
        pause = min(_LONGEST_PAUSE_S, 2.0 ** (self._refusals - 1)) * random.uniform(1.0, 1.5)  # noqa: S311 -- jitter
        pause = pause if told_s is None else told_s
        self._throttled_at, self._paused_until = now, now + pause
        self._filled_at = now + pause  # what was saved meanwhile would go all at once into a bucket that may be small


@dataclass(frozen=True, slots=True, kw_only=True)
class Quotas(Generic[F]):
    """What a vendor allows: calls a second and at once, by family of calls that it counts together."""

    cloud: str
    """Whose: accounts of two clouds share nothing."""
    rates: Mapping[F, tuple[float, int]]
    by_api_rate: frozenset[F]
    """Families whose rate the config may say (`api_rate`)."""


class Buckets(Generic[F]):
    """All families of one account and region. Backends of one process that share these share their pauses."""

    def __init__(self, quotas: Quotas[F], clock: Clock, api_rate: Rate | None = None) -> None:
        """As `limit` says."""
        self._quotas = quotas
        self._buckets = {family: Bucket(family.value, *rate, clock) for family, rate in quotas.rates.items()}
        self._said: Rate | None = None
        self.limit(api_rate)

    def limit(self, api_rate: Rate | None) -> None:
        """`api_rate` takes the place of the vendor's rates of the families that it is about. Safe to repeat."""
        if api_rate == self._said:
            return
        self._said = api_rate
        for family in self._quotas.by_api_rate:
            rate, burst = self._quotas.rates[family]
            said = api_rate.count / api_rate.per.total_seconds() if api_rate else rate
            self._buckets[family].limit(said, max(1, round(burst * said / rate)))

    def __getitem__(self, family: F) -> Bucket:
        """The bucket of a family."""
        return self._buckets[family]


_SHARED: Final[WeakValueDictionary[tuple[str, str, str, int], Buckets[Any]]] = WeakValueDictionary()


def shared(quotas: Quotas[F], whose: str, region: str, clock: Clock, api_rate: Rate | None) -> Buckets[F]:
    """The buckets of an account (`whose` tells it from others) and region; who says a rate last says it for all."""
    key = (quotas.cloud, whose, region, id(clock))
    buckets: Buckets[F] | None = _SHARED.get(key)
    if buckets is None:
        buckets = _SHARED[key] = Buckets(quotas, clock)
    if api_rate is not None:
        buckets.limit(api_rate)
    return buckets
