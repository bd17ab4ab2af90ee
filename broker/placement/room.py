"""What a pool has left to give while a batch is decided."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from broker.domain.ids import PoolName
from broker.domain.limits import Cooled
from broker.domain.money import Micros
from broker.domain.offer import NEW_HOST, Offer, Offering, is_new_host
from broker.domain.policy import PackBy
from broker.domain.resources import Resources
from broker.placement.hosts import NO_BOUND, Cap, Host, Hosts, Opening, Size, free_of, less
from broker.placement.shelf import Pick, Shelf, alike, order, place_of

Unseen = Counter[tuple[Offering, str, Resources]]


class Room:
    """The offers of a pool, taken from as the batch goes.

    `version` counts what was taken.
    """

    __slots__ = (
        *("_fitting", "_has_hosts", "_hosts", "_in_zone", "_made", "_numbers", "_shelf_of"),
        *("cap", "pool", "shelves", "version"),
    )

    def __init__(
        self,
        pool: PoolName,
        offers: Sequence[Offer],
        cooled: Callable[[Offering], Cooled | None],
        unseen: Unseen,
        in_zone: Counter[str],
        *,
        may_open: int | None = None,
        has_hosts: bool = False,
    ) -> None:
        self.pool = pool
        self.cap = Cap(NO_BOUND if may_open is None else may_open)
        self._has_hosts = has_hosts
        """Whether its agents are on hosts of ours: what rests of such a pool is the making of more."""
        self._in_zone = in_zone
        self.version = 0
        self.shelves: list[Shelf] = []
        self._hosts = Hosts()
        """Those of all shelves that are not left alone."""
        self._shelf_of: dict[int, Shelf] = {}
        self._fitting: dict[Size, int] = {}
        self._made = self._numbers = 0
        self._lay_out(offers, cooled)
        if unseen:
            self._take_off(unseen)

    @property
    def looks(self) -> int:
        """How many buckets of hosts were compared with a size."""
        return self._hosts.looks + sum(shelf.hosts.looks for shelf in self.shelves)

    def fitting(self, size: Size) -> int:
        """How many offers could take one more agent of a size."""
        known = self._fitting.get(size)
        if known is None:
            known = sum(shelf.fitting(size) for shelf in self.shelves if shelf.cooled is None)
            self._fitting[size] = known
        return known

    def capped(self, size: Size) -> int:
        """How many offers could take one more agent if the pool might have more hosts."""
        if self.cap.left > 0:
            return 0
        return sum(o.would_take(size) for s in self.shelves if s.cooled is None for o in s.openings)

    def pick(self, size: Size, by: PackBy = PackBy.MEMORY, shelf: Shelf | None = None) -> Pick | None:
        """The fullest host that fits, else the first opening that does; of one shelf, or of all."""
        if shelf is not None and shelf.cooled is not None:
            return None
        host = (self._hosts if shelf is None else shelf.hosts).best(size, by)
        if host is not None:
            return Pick(self._shelf_of[host.number], host, None)
        return self.opened(size, self.shelves if shelf is None else (shelf,))

    def opened(self, size: Size, shelves: Iterable[Shelf] | None = None) -> Pick | None:
        """The first opening that fits, in the backend's order; of the given shelves, else of all.

        Where that is just agents, its equals in other zones are as good: it is the one whose zone has the fewest.
        """
        found = [
            Pick(shelf, None, opening)
            for shelf in (self.shelves if shelves is None else shelves)
            if shelf.cooled is None and (opening := shelf.opening(size)) is not None
        ]
        if len(found) < 2:
            return found[0] if found else None
        first = min(found, key=place_of)
        if first.opening is None or first.opening.shape is not None:
            return first
        return min((pick for pick in found if alike(pick, first)), key=lambda pick: (self.crowd(pick), place_of(pick)))

    def crowd(self, pick: Pick) -> int:
        """How many agents of the pool are in a zone, where agents have no hosts; else 0."""
        alone = pick.opening is not None and pick.opening.shape is None
        return self._in_zone[pick.shelf.offering.zone] if alone else 0

    def take(self, pick: Pick, size: Size) -> Offer:
        """Gives the place; answers the offer as it is told: a host that is still to be made has an id of its own."""
        self.version += 1
        shelf, host, opening = pick
        if host is None and opening is not None:
            self._less_opening(shelf, opening)
            if opening.shape is None:
                self._in_zone[shelf.offering.zone] += 1
                return opening.offer
            host = self._make(shelf, opening, self.name_host())
        assert host is not None
        self._less_host(shelf, host, size)
        return host.offer

    def lay_anew(self, shelf: Shelf, hosts: Hosts) -> None:
        """Puts other hosts on a shelf, after what was given was laid out in another way."""
        shelf.hosts = hosts
        self._recount()
        self.version += 1
        looks = self._hosts.looks
        self._hosts = Hosts()
        self._hosts.looks = looks
        for one in self.shelves:
            for host in one.hosts:
                self._register(one, host)

    def number_host(self) -> int:
        """A number for a host that is still to be made: higher than those of all that exist."""
        self._numbers += 1
        return NO_BOUND + self._numbers

    def _register(self, shelf: Shelf, host: Host) -> None:
        self._shelf_of[host.number] = shelf
        if shelf.cooled is None:
            self._hosts.add(host)

    def _less_host(self, shelf: Shelf, host: Host, size: Size) -> None:
        before, now = host.free, less(host.free, size)
        self._hosts.unfile(host)
        shelf.hosts.unfile(host)
        host.free = now
        self._hosts.file(host)
        shelf.hosts.file(host)
        if host.given:
            for lost in shelf.changed(before, now):
                self._fitting[lost] -= 1

    def _less_opening(self, shelf: Shelf, opening: Opening) -> None:
        for lost in shelf.less_opening(opening):
            self._fitting[lost] -= 1
        if opening.shape is not None and opening.cap.left < NO_BOUND:
            opening.cap.left -= 1
            if opening.cap.left == 0:
                self._recount()

    def _recount(self) -> None:
        """Counts anew what fits: another number of hosts may be made, or they are other ones."""
        for shelf in self.shelves:
            shelf.recount()
        self._fitting.clear()

    def name_host(self) -> str:
        """A name for a host that is still to be made; no other has it, nor one that was named before."""
        self._made += 1
        return f"{NEW_HOST}{self._made}"

    def _make(self, shelf: Shelf, opening: Opening, name: str) -> Host:
        host = made_of(opening, name, self.number_host())
        shelf.hosts.add(host)
        self._register(shelf, host)
        return host

    def _lay_out(self, offers: Sequence[Offer], cooled: Callable[[Offering], Cooled | None]) -> None:
        shelves: dict[tuple[Offering, Micros | None, bool], Shelf] = {}
        by_name = sorted(range(len(offers)), key=lambda at: ("" if self._has_hosts else offers[at].host, at))
        numbers = {at: number for number, at in enumerate(by_name)}
        for number, offer in enumerate(offers):
            offering = offer.offering
            rests = cooled(offering)
            apart = self._has_hosts and rests is not None and bool(offer.host)
            shelf = shelves.get((offering, offer.price, apart))
            if shelf is None:
                shelf = Shelf(offering, offer.price, None if apart else rests)
                shelves[offering, offer.price, apart] = shelf
            shelf.total += 1
            if offer.host:
                free = free_of(offer.free, offer.slots)
                gone = offer.room is not None and offer.room < 1
                shelf.hosts.add(Host(numbers[number], offer, (0, 0, 0) if gone else free))
            else:
                left = NO_BOUND if offer.room is None else offer.room
                sized = self._has_hosts or offer.shape is not None
                shape = free_of(offer.shape, offer.slots) if sized else None
                shelf.openings.append(Opening(number, offer, left, shape, self.cap))
        self.shelves = sorted(shelves.values(), key=order)
        for shelf in self.shelves:
            for host in shelf.hosts:
                self._register(shelf, host)

    def _take_off(self, unseen: Unseen) -> None:
        """Takes off what was given since the backend was asked. A host that it does not know yet is made first."""
        named = [int(host.removeprefix(NEW_HOST)) for _, host, _ in unseen if is_new_host(host)]
        self._made = max(named, default=0)
        for (offering, name, resources), count in sorted(unseen.items(), key=lambda item: str(item[0])):
            size = (resources.cpu_milli, resources.memory_mib)
            left = count
            for shelf in self.shelves:
                if shelf.offering == offering:
                    left = self._off_shelf(shelf, name, size, left)

    def _off_shelf(self, shelf: Shelf, name: str, size: Size, count: int) -> int:
        host = next((h for h in shelf.hosts if h.offer.host == name), None) if name else None
        if name and host is None:
            opening = next((o for o in shelf.openings if o.shape is not None and o.left > 0), None)
            if opening is not None:
                self._less_opening(shelf, opening)
                host = self._make(shelf, opening, name)
        while count > 0:
            if host is not None:
                self._less_host(shelf, host, size)
            else:
                opening = next((o for o in shelf.openings if o.left > 0), None)
                if opening is None:
                    return count
                self._less_opening(shelf, opening)
            count -= 1
        return count


def made_of(opening: Opening, name: str, number: int) -> Host:
    """A host that is still to be made, as empty as it will be."""
    offer = replace(opening.offer, host=name, free=opening.offer.shape, room=None)
    return Host(number, offer, opening.shape or free_of(None, None), opening)


def fuller(one: Host, other: Host, by: PackBy) -> bool:
    """Whether less is left on one host than on another."""
    return _left(one, by) < _left(other, by)


def _left(host: Host, by: PackBy) -> tuple[int, int, int, int]:
    cpu, memory, slots = host.free
    if by is PackBy.MEMORY:
        return (memory, cpu, slots, host.number)
    if by is PackBy.CPU:
        return (cpu, memory, slots, host.number)
    return (slots, memory, cpu, host.number)
