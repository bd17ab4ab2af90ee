"""Keeps controllers from one another: each has its rate of agents, and so many calls at once."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from broker.domain.definitions import Definitions, Rate
from broker.domain.ids import ControllerName
from broker.errors import Busy
from broker.ports import Clock
from broker.telemetry import events

CALLS_AT_ONCE: Final = 16
"""Of one controller: a sound one has one worker. The listener's own bound is for all controllers together."""
_SOON_S: Final = 1.0
_TELL_EVERY_S: Final = 60.0


class Fairness:
    """Decides without waiting: a call is let in, or `Busy` says when to come again."""

    def __init__(self, definitions: Callable[[], Definitions], clock: Clock) -> None:
        """Asks for the definitions at each call: a reload changes the rates."""
        self._definitions = definitions
        self._clock = clock
        self._running: Counter[ControllerName] = Counter()
        self._buckets: dict[ControllerName, _Bucket] = {}
        self._told: dict[ControllerName, float] = {}

    @contextmanager
    def call(self, controller: ControllerName) -> Iterator[None]:
        """Holds a place for one call. Raises `Busy` when all places of this controller are taken."""
        if self._running[controller] >= CALLS_AT_ONCE:
            message = f"controller {controller} has {CALLS_AT_ONCE} calls open, the most at once"
            raise self._busy(controller, message, _SOON_S)
        self._running[controller] += 1
        try:
            yield
        finally:
            self._running[controller] -= 1

    def spend(self, controller: ControllerName, agents: int) -> None:
        """Counts agents that are asked for against `controllers.X.rate`. Raises `Busy` when too many were lately.

        A call is taken as a whole once there is room for one agent, and what it takes beyond is paid back by waiting:
        no call is too large ever to be let in, and the rate still holds.
        """
        found = self._definitions().controllers.get(controller)
        if found is None or found.rate is None or agents <= 0:
            return
        now, bucket = self._clock.monotonic(), self._buckets.get(controller)
        if bucket is None or bucket.rate != found.rate:
            bucket = self._buckets[controller] = _Bucket(rate=found.rate, level=max(1.0, found.rate.count), at=now)
        wait_s = bucket.take(agents, now)
        if wait_s > 0:
            rate = f"{found.rate.count:g} in {found.rate.per.total_seconds():g} s"
            message = f"controller {controller} asks for more agents than controllers.{controller}.rate allows ({rate})"
            raise self._busy(controller, message, wait_s)

    def _busy(self, controller: ControllerName, message: str, retry_after_s: float) -> Busy:
        now = self._clock.monotonic()
        if now - self._told.get(controller, float("-inf")) >= _TELL_EVERY_S:
            self._told[controller] = now
            events.CONTROLLER_HELD_BACK.emit(controller=controller, message=message)
        return Busy(f"{message}; try again in {retry_after_s:.1f} s", retry_after_s)


@dataclass(slots=True, kw_only=True)
class _Bucket:
    """A token bucket that may be overdrawn by one call; it starts, and stays at most, filled for one `rate.per`."""

    rate: Rate
    level: float
    at: float

    def take(self, amount: int, now: float) -> float:
        """Takes them and returns 0, or takes nothing and returns the seconds until it can."""
        per_s = self.rate.count / self.rate.per.total_seconds()
        self.level = min(max(1.0, self.rate.count), self.level + (now - self.at) * per_s)
        self.at = now
        if self.level < 1:
            return (1 - self.level) / per_s
        self.level -= amount
        return 0.0
