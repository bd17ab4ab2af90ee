"""The offers of a pool that are alike, and one of their places."""

from typing import NamedTuple

from broker.domain.limits import Cooled
from broker.domain.money import Micros
from broker.domain.offer import Offer, Offering
from broker.placement.hosts import NO_BOUND, Free, Host, Hosts, Opening, Size, fits


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


def place_of(pick: Pick) -> int:
    """The place of an opening in the backend's order."""
    return pick.opening.number if pick.opening is not None else NO_BOUND


def alike(pick: Pick, other: Pick) -> bool:
    """Whether two openings differ in nothing but their zone."""
    one, two = pick.shelf, other.shelf
    of, to = one.offering, two.offering
    no_host = pick.opening is not None and pick.opening.shape is None
    return no_host and (of.type, of.capacity, one.price) == (to.type, to.capacity, two.price)


def order(shelf: Shelf) -> tuple[int, Offering, int]:
    """Shelves stand as the backend names what can be made; those of hosts alone come last, by their names."""
    return (min((o.number for o in shelf.openings), default=NO_BOUND), shelf.offering, shelf.price or 0)
