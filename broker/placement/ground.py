"""What a whole batch is decided on: the definitions, what is taken, and what every pool has left."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from broker.domain.definitions import Definitions
from broker.domain.ids import PoolName
from broker.domain.limits import Usage
from broker.domain.offer import Offer
from broker.errors import BackendError
from broker.placement.living import may_open, with_living
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
            found = self.definitions.pools.get(pool)
            has_hosts = found is not None and found.hosts is not None
            if found is not None and has_hosts:
                given = with_living(found, given, self.usage)
            unseen, in_zone = self._unseen.get(pool, Counter()), Counter[str]()
            for (_, name, zone), count in self.usage.of_zone.items():
                if name == pool:
                    in_zone[zone] += count
            most = may_open(found, self.usage) if found is not None else None
            known = self._rooms[pool] = Room(
                pool, given, self.usage.cooled_at, unseen, in_zone, may_open=most, has_hosts=has_hosts
            )
        return known

    def write_back(self) -> int:
        """Writes what was taken of the limits into the usage; says how many hosts and buckets were looked at."""
        self.meters.write_back()
        return sum(room.looks for room in self._rooms.values())


def all_offers(offers: Offers, usage: Usage, definitions: Definitions) -> Offers:
    """The same for all pools. What of it is decided without the hosts themselves is what would be decided with them."""
    told = dict(offers)
    for name, answer in offers.items():
        pool = definitions.pools.get(name)
        if pool is not None and not isinstance(answer, BackendError):
            told[name] = with_living(pool, answer, usage)
    return told
