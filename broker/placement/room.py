"""What a pool has left to give while a batch is decided."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from broker.domain.ids import PoolName
from broker.domain.limits import Cooled
from broker.domain.money import Micros
from broker.domain.offer import Offer, Offering
from broker.domain.policy import PackBy
from broker.domain.resources import Resources
from broker.placement.hosts import NO_BOUND, Free, Host, Hosts, Opening, Size, fits, free_of, less

_NEW: Final = "new-"
"""What the id of a host begins with that is still to be made; a number follows."""

Unseen = Counter[tuple[Offering, str, Resources]]


class Shelf:
    """The offers of one offering at one price."""

    __slots__ = ("_fitting", "cooled", "hosts", "offering", "openings", "price", "total")

    def __init__(self, offering: Offering, price: Micros | None, cooled: Cooled | None) -> None:
        self.offering = offering
        self.price = price
        self.cooled = cooled
        self.hosts = Hosts()
        self.openings: list[Opening] = []
        self.total = 0
        """How many offers it has."""
        self._fitting: dict[Size, int] = {}

    @property
    def has_hosts(self) -> bool:
        """Whether agents share hosts there."""
        return bool(len(self.hosts)) or any(opening.shape is not None for opening in self.openings)

    def fitting(self, size: Size) -> int:
        """How many of its offers could take one more agent of a size."""
        known = self._fitting.get(size)
        if known is None:
            known = sum(o.takes(size) for o in self.openings)
            known += sum(1 for host in self.hosts if host.given and fits(host.free, size))
            self._fitting[size] = known
        return known

    def too_small(self, size: Size) -> int:
        """How many of its offers are of hosts that could not take such an agent if they were empty."""
        return sum(1 for o in self.openings if o.shape is not None and not fits(o.shape, size))

    def opening(self, size: Size) -> Opening | None:
        """The first opening that one more fits in."""
        return next((o for o in self.openings if o.takes(size)), None)

    def less_opening(self, opening: Opening) -> list[Size]:
        """Takes one from an opening; answers the sizes that are asked for and fit no more."""
        if opening.left >= NO_BOUND:
            return []
        opening.left -= 1
        if opening.left > 0:
            return []
        return self._lost([asked for asked in self._fitting if opening.shape is None or fits(opening.shape, asked)])

    def changed(self, before: Free, now: Free) -> list[Size]:
        """Says that something of one of its offers was taken; answers the sizes that are asked for and fit no more."""
        return self._lost([asked for asked in self._fitting if not fits(now, asked) and fits(before, asked)])

    def _lost(self, sizes: list[Size]) -> list[Size]:
        for size in sizes:
            self._fitting[size] -= 1
        return sizes

    def recount(self) -> None:
        """Counts anew what fits, after something was given back."""
        self._fitting.clear()


class Pick(NamedTuple):
    """Where one agent would go: onto a host, or into an opening."""

    shelf: Shelf
    host: Host | None
    opening: Opening | None

    @property
    def offer(self) -> Offer:
        """The offer that it is a part of."""
        if self.host is not None:
            return self.host.offer
        assert self.opening is not None
        return self.opening.offer

    def is_counted(self, size: Size) -> bool:
        """Whether it is one of the offers that are counted as fitting: what a host is made of may be used up."""
        if self.host is None or self.host.opening is None:
            return True
        return self.host.opening.takes(size)


class Room:
    """The offers of a pool, taken from as the batch goes.

    `version` counts what was taken.
    """

    __slots__ = ("_fitting", "_hosts", "_made", "_numbers", "_shelf_of", "pool", "shelves", "version")

    def __init__(
        self, pool: PoolName, offers: Sequence[Offer], cooled: Callable[[Offering], Cooled | None], unseen: Unseen
    ) -> None:
        self.pool = pool
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

    def pick(self, size: Size, by: PackBy = PackBy.MEMORY, shelf: Shelf | None = None) -> Pick | None:
        """The fullest host that fits, else the first opening that does; of one shelf, or of all."""
        if shelf is not None and shelf.cooled is not None:
            return None
        host = (self._hosts if shelf is None else shelf.hosts).best(size, by)
        if host is not None:
            return Pick(self._shelf_of[host.number], host, None)
        return self.opened(size, self.shelves if shelf is None else (shelf,))

    def opened(self, size: Size, shelves: Iterable[Shelf] | None = None) -> Pick | None:
        """The first opening that fits, in the backend's order; of the given shelves, else of all."""
        best: Pick | None = None
        for shelf in self.shelves if shelves is None else shelves:
            opening = None if shelf.cooled is not None else shelf.opening(size)
            if opening is not None and (best is None or best.opening is None or opening.number < best.opening.number):
                best = Pick(shelf, None, opening)
        return best

    def take(self, pick: Pick, size: Size) -> Offer:
        """Gives the place; answers the offer as it is told: a host that is still to be made has an id of its own."""
        self.version += 1
        shelf, host, opening = pick
        if host is None and opening is not None:
            self._less_opening(shelf, opening)
            if opening.shape is None:
                return opening.offer
            host = self._make(shelf, opening, self.name_host())
        assert host is not None
        self._less_host(shelf, host, size)
        return host.offer

    def lay_anew(self, shelf: Shelf, hosts: Hosts) -> None:
        """Puts other hosts on a shelf, after what was given was laid out in another way."""
        shelf.hosts = hosts
        shelf.recount()
        self._fitting.clear()
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

    def name_host(self) -> str:
        """A name for a host that is still to be made; no other has it, nor one that was named before."""
        self._made += 1
        return f"{_NEW}{self._made}"

    def _make(self, shelf: Shelf, opening: Opening, name: str) -> Host:
        host = made_of(opening, name, self.number_host())
        shelf.hosts.add(host)
        self._register(shelf, host)
        return host

    def _lay_out(self, offers: Sequence[Offer], cooled: Callable[[Offering], Cooled | None]) -> None:
        shelves: dict[tuple[Offering, Micros | None], Shelf] = {}
        by_name = sorted(range(len(offers)), key=lambda at: (offers[at].host, at))
        numbers = {at: number for number, at in enumerate(by_name)}
        for number, offer in enumerate(offers):
            offering = offer.offering
            shelf = shelves.get((offering, offer.price))
            if shelf is None:
                shelf = shelves[offering, offer.price] = Shelf(offering, offer.price, cooled(offering))
            shelf.total += 1
            if offer.host:
                free = free_of(offer.free, offer.slots)
                gone = offer.room is not None and offer.room < 1
                shelf.hosts.add(Host(numbers[number], offer, (0, 0, 0) if gone else free))
            else:
                left = NO_BOUND if offer.room is None else offer.room
                shape = None if offer.shape is None else free_of(offer.shape, offer.slots)
                shelf.openings.append(Opening(number, offer, left, shape))
        self.shelves = sorted(shelves.values(), key=_order)
        for shelf in self.shelves:
            for host in shelf.hosts:
                self._register(shelf, host)

    def _take_off(self, unseen: Unseen) -> None:
        """Takes off what was given since the backend was asked. A host that it does not know yet is made first."""
        named = [int(host.removeprefix(_NEW)) for _, host, _ in unseen if is_new(host)]
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


def _order(shelf: Shelf) -> tuple[int, Offering, int]:
    """Shelves stand as the backend names what can be made; those of hosts alone come last, by their names."""
    return (min((o.number for o in shelf.openings), default=NO_BOUND), shelf.offering, shelf.price or 0)


def made_of(opening: Opening, name: str, number: int) -> Host:
    """A host that is still to be made, as empty as it will be."""
    offer = replace(opening.offer, host=name, free=opening.offer.shape, room=None)
    return Host(number, offer, opening.shape or free_of(None, None), opening)


def is_new(host: str) -> bool:
    """Whether a host's id is that of one still to be made."""
    return host.startswith(_NEW) and host[len(_NEW) :].isdecimal()


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
