"""How long something took lately, by key: agents of a pool to come online, agents of a policy to their end."""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from statistics import median
from typing import Final, Generic, TypeVar

K = TypeVar("K", bound=str)

_MOST: Final = 500
"""Of one key: the newest."""


@dataclass(slots=True)
class Medians(Generic[K]):
    """Bounded by the number of keys that have had one within `lately`."""

    lately: timedelta
    _of: dict[K, deque[tuple[datetime, float]]] = field(default_factory=dict)
    _medians: dict[K, timedelta] = field(default_factory=dict)
    """Worked out already."""

    def note(self, key: K, began: datetime, ended: datetime) -> None:
        """Takes one; one that ended before it began, since the clock was set, says nothing."""
        if ended >= began:
            self._of.setdefault(key, deque(maxlen=_MOST)).append((ended, (ended - began).total_seconds()))
            self._medians.pop(key, None)

    def recall(self, known: Iterable[tuple[K, datetime, datetime]]) -> None:
        """Takes what the database knows, the oldest end first, in place of all that was noted."""
        self._of.clear()
        self._medians.clear()
        for key, began, ended in known:
            self.note(key, began, ended)

    def medians(self, now: datetime) -> Mapping[K, timedelta]:
        """Of each key that has had one lately; what is ahead of the clock is not believed."""
        for key, took in list(self._of.items()):
            while took and not self._counts(took[0][0], now):
                took.popleft()
                self._medians.pop(key, None)
            while took and not self._counts(took[-1][0], now):
                took.pop()
                self._medians.pop(key, None)
            if not took:
                del self._of[key]
            elif key not in self._medians:
                self._medians[key] = timedelta(seconds=median(length for _, length in took))
        return dict(self._medians)

    def _counts(self, ended: datetime, now: datetime) -> bool:
        return timedelta() <= now - ended <= self.lately
