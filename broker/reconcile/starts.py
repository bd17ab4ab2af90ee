"""How long agents take from their place to being online: the median of a pool's last hour."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from statistics import median
from typing import Final

from broker.domain.ids import PoolName

LAST: Final = timedelta(hours=1)
_MOST: Final = 200
"""Of one pool: the newest."""


@dataclass(slots=True)
class Starts:
    """Bounded by the number of pools."""

    _of: dict[PoolName, deque[tuple[datetime, timedelta]]] = field(default_factory=dict)

    def note(self, pool: PoolName, placed_at: datetime, online_at: datetime) -> None:
        """Takes an agent that came online; one from before its place, since the clock was set, says nothing."""
        if online_at >= placed_at:
            known = self._of.setdefault(pool, deque(maxlen=_MOST))
            known.append((online_at, online_at - placed_at))

    def medians(self, now: datetime) -> Mapping[PoolName, timedelta]:
        """Of each pool that has had one in the last hour; what is ahead of the clock is not believed."""
        found: dict[PoolName, timedelta] = {}
        for pool, starts in list(self._of.items()):
            while starts and not timedelta() <= now - starts[0][0] <= LAST:
                starts.popleft()
            if starts:
                found[pool] = timedelta(seconds=median(took.total_seconds() for _, took in starts))
            else:
                del self._of[pool]
        return found
