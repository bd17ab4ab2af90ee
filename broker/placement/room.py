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
from broker.placement.hosts import NO_BOUND, Host, Hosts, Opening, Size, fits, free_of, less

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

    def less_opening(self, opening: Opening) -> bool:
        """Takes one from an opening; says whether that was the last."""
        if opening.left >= NO_BOUND:
            return False
        opening.left -= 1
        if opening.left > 0:
            return False
        for size in self._fitting:
            self._fitting[size] -= opening.shape is None or fits(opening.shape, size)
        return True

    def less_host(self, host: Host, size: Size) -> bool:
        """Takes an agent's part from a host; says whether a size that is asked for no longer fits on it."""
        before, now = host.free, less(host.free, size)
        self.hosts.change(host, now)
        gone = False
        if host.given:
            for asked in self._fitting:
                if fits(before, asked) and not fits(now, asked):
                    self._fitting[asked] -= 1
                    gone = True
        return gone

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

    `version` counts what was taken, `stock` each time that an offer stopped fitting a size that is asked for.
    """

    __slots__ = ("_made", "pool", "shelves", "stock", "version")

    def __init__(
        self, pool: PoolName, offers: Sequence[Offer], cooled: Callable[[Offering], Cooled | None], unseen: Unseen
    ) -> None:
        self.pool = pool
        self.version = 0
        self.stock = 0
        self.shelves: list[Shelf] = []
        self._made = 0
        self._lay_out(offers, cooled)
        if unseen:
            self._take_off(unseen)

    def fitting(self, size: Size) -> int:
        """How many offers could take one more agent of a size."""
        return sum(shelf.fitting(size) for shelf in self.shelves if shelf.cooled is None)

    def pick(self, size: Size, by: PackBy = PackBy.MEMORY, shelves: Iterable[Shelf] | None = None) -> Pick | None:
        """The fullest host that fits, else the first opening that does; of the given shelves, else of all."""
        able = [s for s in (self.shelves if shelves is None else shelves) if s.cooled is None]
        best: Pick | None = None
        for shelf in able:
            host = shelf.hosts.best(size, by) if len(shelf.hosts) else None
            if host is not None and (best is None or best.host is None or fuller(host, best.host, by)):
                best = Pick(shelf, host, None)
        return best or self.opened(size, able)

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
        if host is not None:
            self.stock += shelf.less_host(host, size)
            return host.offer
        assert opening is not None
        self.stock += shelf.less_opening(opening)
        if opening.shape is None:
            return opening.offer
        made = self._make(shelf, opening, self.name_host())
        shelf.less_host(made, size)
        return made.offer

    def name_host(self) -> str:
        """A name for a host that is still to be made; no other has it, nor one that was named before."""
        self._made += 1
        return f"{_NEW}{self._made}"

    def _make(self, shelf: Shelf, opening: Opening, name: str) -> Host:
        host = made_of(opening, name)
        shelf.hosts.add(host)
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
        self.shelves = list(shelves.values())

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
                shelf.less_opening(opening)
                host = self._make(shelf, opening, name)
        while count > 0:
            if host is not None:
                shelf.less_host(host, size)
            else:
                opening = next((o for o in shelf.openings if o.left > 0), None)
                if opening is None:
                    return count
                shelf.less_opening(opening)
            count -= 1
        return count


def made_of(opening: Opening, name: str) -> Host:
    """A host that is still to be made, as empty as it will be."""
    offer = replace(opening.offer, host=name, free=opening.offer.shape, room=None)
    number = int(name.removeprefix(_NEW)) if is_new(name) else 0
    return Host(NO_BOUND + number, offer, opening.shape or free_of(None, None), opening)


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
