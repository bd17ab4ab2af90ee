"""What money is worth: amounts of the file in millionths of its base currency."""

import re
from collections.abc import Mapping
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from typing import Final

from broker.config.diagnostics import Diagnostics, Note
from broker.config.model import BrokerFile
from broker.config.model_pools import CURRENCY
from broker.config.nodes import Node, Path
from broker.config.suggest import nearest
from broker.config.units import describe
from broker.domain.money import Micros

BASE: Final = "base"
"""The key of `currencies` that names the base currency."""
_LEAST, _MOST = Decimal("1e-9"), Decimal("1e9")
_LARGEST: Final = 10**18
"""In millionths: what a sum of a few fits into 64 bits with."""


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

    def written(self, amount: float, currency: str | None) -> str:
        """An amount as the file gives it, such as `80 USD`."""
        return f"{_exact(amount).normalize():f} {currency or self.base}".rstrip()


def check(root: Node, file: BrokerFile, diagnostics: Diagnostics) -> None:
    """Reports worths that are none, and amounts in currencies of which nobody has said what they are worth."""
    if _are_sound(root.at("currencies"), file.currencies, diagnostics):
        _Amounts(root, Currencies(file.currencies), diagnostics).check(file)


def _are_sound(node: Node, currencies: Mapping[str, object], diagnostics: Diagnostics) -> bool:
    base, before = currencies.get(BASE), diagnostics.errors
    if currencies and BASE not in currencies and BASE not in node.map:
        help_ = Note("help", "write such as 'currencies: { base: USD, CNY: 0.14 }'")
        diagnostics.error("no-base", node.span, "'currencies' has no 'base': what are they worth?", help_)
    for name, worth in currencies.items():
        span = node.at(name).span
        if name == BASE and not (isinstance(worth, str) and re.fullmatch(CURRENCY, worth)):
            message = f"expected the name of the base currency, got {describe(worth)}"
            diagnostics.error("bad-currency", span, message, Note("help", "write such as 'base: USD'"))
        elif name != BASE and not re.fullmatch(CURRENCY, name):
            help_ = Note("help", "use letters and digits, such as 'CNY'")
            diagnostics.error("bad-currency", node.key(name), f"'{name}' cannot be the name of a currency", help_)
        elif name != BASE and name == base:
            message = f"'{name}' is the base currency: it is worth itself"
            diagnostics.error("bad-currency", node.key(name), message, Note("help", "remove it"))
        elif name != BASE and not _is_worth(worth, from_env=node.at(name).from_env):
            help_ = Note("help", f"write what one {name} is worth in the base currency, such as 0.14")
            message = f"expected a number from {_LEAST:g} to {_MOST:g}, got {describe(worth)}"
            diagnostics.error("bad-currency", span, message, help_)
    return diagnostics.errors == before


def _is_worth(worth: object, *, from_env: bool) -> bool:
    try:
        return (from_env or not isinstance(worth, str)) and _LEAST <= _exact(worth) <= _MOST
    except InvalidOperation:
        return False


class _Amounts:
    """The amounts of a file, each in a currency."""

    def __init__(self, root: Node, currencies: Currencies, diagnostics: Diagnostics) -> None:
        self._root = root
        self._currencies = currencies
        self._diagnostics = diagnostics

    def check(self, file: BrokerFile) -> None:
        """Reports each that is worth nothing known, and that is too much."""
        for name, pool in file.pools.items():
            if pool.cost is not None:
                prices = {key: getattr(pool.cost, key) for key in ("cpu_hour", "memory_gib_hour", "host_hour")}
                self._check(("pools", name, "cost"), pool.cost.currency, prices)
        for name, policy in file.policies.items():
            if policy.budget is not None:
                self._check(("policies", name, "budget"), policy.budget.currency, {"amount": policy.budget.amount})

    def _check(self, path: Path, currency: str | None, amounts: Mapping[str, float | None]) -> None:
        known = self._currencies.known
        if currency is not None and currency not in known:
            meant = nearest(currency, known) if re.fullmatch(CURRENCY, currency) else None
            worth = f"say what one {currency} is worth" if known else f"write 'base: {currency}'"
            help_ = f"did you mean '{meant}'?" if meant else f"{worth} under 'currencies'"
            message = f"nobody has said what the currency '{currency}' is worth"
            span = self._root.at(*path, "currency").span
            self._diagnostics.error("unknown-currency", span, message, Note("help", help_))
            return
        for key, amount in amounts.items():
            micros = self._currencies.micros(amount or 0, currency)
            if micros > _LARGEST or (key == "amount" and not micros):
                message = f"'{key}' is {'more' if micros else 'less'} than can be counted"
                self._diagnostics.error("bad-amount", self._root.at(*path, key).span, message)


def _exact(number: object) -> Decimal:
    """A number as it is written, not as the nearest binary fraction."""
    return Decimal(str(number))
