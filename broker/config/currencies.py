"""What money is worth: amounts of the file in millionths of its base currency."""

from collections.abc import Mapping
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final

from broker.domain.money import Micros

BASE: Final = "base"
"""The key of `currencies` that names the base currency."""


class Currencies:
    """The file's map of currencies, whose values are known to be sound."""

    def __init__(self, currencies: Mapping[str, object]) -> None:
        """Takes the map as the file has it: `base` is a name, all others are what one of them is worth."""
        self.base = str(currencies.get(BASE, ""))
        self._worth = {name: _exact(worth) for name, worth in currencies.items() if name != BASE}

    @property
    def known(self) -> tuple[str, ...]:
        """Every name that an amount may have."""
        return (*((self.base,) if self.base else ()), *self._worth)

    def micros(self, amount: float, currency: str | None) -> Micros:
        """An amount in millionths of the base currency; None is the base, and so is a currency that is not known."""
        worth = self._worth.get(currency or self.base, Decimal(1))
        return Micros(int((_exact(amount) * worth * 1_000_000).to_integral_value(rounding=ROUND_HALF_EVEN)))


def _exact(number: object) -> Decimal:
    """A number as it is written, not as the nearest binary fraction."""
    return Decimal(str(number))
