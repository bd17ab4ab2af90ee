"""What a whole batch is decided on: the definitions, what is taken, and what every pool has left."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from broker.domain.definitions import Definitions
from broker.domain.ids import PoolName
from broker.domain.limits import Usage
from broker.domain.offer import Offer
from broker.errors import BackendError
from broker.placement.meters import Meters
from broker.placement.room import Room, Unseen

Offers = Mapping[PoolName, Sequence[Offer] | BackendError]
"""What each pool offers; an error stands for the whole pool."""


class Ground:
    """Mutable: a batch takes from it as it goes. `usage` is kept up to date, its limits only by `write_back`."""

    def __init__(self, offers: Offers, usage: Usage, definitions: Definitions) -> None:
        self.offers = offers
        self.usage = usage
        self.definitions = definitions
        self.meters = Meters(usage)
        self._rooms: dict[PoolName, Room] = {}
        self._unseen: dict[PoolName, Unseen] = defaultdict(Counter)
        for key, count in usage.unseen.items():
            self._unseen[key[0].pool][key] = count

    def room(self, pool: PoolName) -> Room:
        """What a pool has left; nothing where its backend gave an error."""
        known = self._rooms.get(pool)
        if known is None:
            answer = self.offers.get(pool, ())
            given = () if isinstance(answer, BackendError) else answer
            unseen, in_zone = self._unseen.get(pool, Counter()), Counter[str]()
            for (_, name, zone), count in self.usage.of_zone.items():
                if name == pool:
                    in_zone[zone] += count
            known = self._rooms[pool] = Room(pool, given, self.usage.cooled_at, unseen, in_zone)
        return known

    def write_back(self) -> int:
        """Writes what was taken of the limits into the usage; says how many hosts and buckets were looked at."""
        self.meters.write_back()
        return sum(room.looks for room in self._rooms.values())
