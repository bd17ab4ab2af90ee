"""What is in stock: how many instances of a type a zone still has, on demand and spot, and at which spot price.

Stock is what remains; an instance takes of it and gives back what it took.
"""

from dataclasses import dataclass, field

from broker.demo.clouds.alibaba.catalog import InstanceType


@dataclass(slots=True)
class Stock:
    """No bound until a test sets one. Names of zones are the same in no two regions."""

    _left: dict[tuple[str, str, bool], int] = field(default_factory=dict)
    _absent: set[tuple[str, str]] = field(default_factory=set)
    _closed: set[str] = field(default_factory=set)
    _spot_prices: dict[tuple[str, str], float] = field(default_factory=dict)

    def put(self, zone: str, type_id: str, *, spot: bool, count: int | None) -> None:
        """So many are left; None: no bound."""
        if count is None:
            self._left.pop((zone, type_id, spot), None)
        else:
            self._left[zone, type_id, spot] = count

    def sell_out(self, zone: str, type_id: str) -> None:
        """None is left, neither spot nor on demand."""
        self.put(zone, type_id, spot=True, count=0)
        self.put(zone, type_id, spot=False, count=0)

    def withdraw(self, zone: str, type_id: str) -> None:
        """The zone does not offer the type at all."""
        self._absent.add((zone, type_id))

    def close(self, zone: str) -> None:
        """The zone sells nothing more."""
        self._closed.add(zone)

    def refill(self) -> None:
        """Everything is there again, without bound."""
        self._left.clear()
        self._absent.clear()
        self._closed.clear()

    def price_spot(self, zone: str, type_id: str, price: float) -> None:
        """What an hour of spot capacity costs there from now on."""
        self._spot_prices[zone, type_id] = price

    def offers(self, zone: str, type_id: str) -> bool:
        """Whether the zone has the type at all."""
        return (zone, type_id) not in self._absent

    def is_closed(self, zone: str) -> bool:
        """Whether it sells nothing."""
        return zone in self._closed

    def left(self, zone: str, type_id: str, *, spot: bool) -> int | None:
        """How many are left, None for no bound."""
        if zone in self._closed or (zone, type_id) in self._absent:
            return 0
        return self._left.get((zone, type_id, spot))

    def take(self, zone: str, type_id: str, *, spot: bool) -> None:
        """One is taken."""
        self._change(zone, type_id, spot, -1)

    def give_back(self, zone: str, type_id: str, *, spot: bool) -> None:
        """One is there again."""
        self._change(zone, type_id, spot, +1)

    def _change(self, zone: str, type_id: str, spot: bool, by: int) -> None:
        if (zone, type_id, spot) in self._left:
            self._left[zone, type_id, spot] += by

    def spot_price(self, zone: str, kind: InstanceType) -> float:
        """What an hour costs there now."""
        return self._spot_prices.get((zone, kind.id), kind.spot_price)
