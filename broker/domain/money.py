"""Money: whole millionths of the base currency, so that sums and comparisons are exact."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from fractions import Fraction
from math import ceil
from typing import Final, NewType

from broker.domain.resources import Resources

Micros = NewType("Micros", int)
"""Millionths of the base currency."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_HOUR_US: Final = 3_600_000_000
_MILLION: Final = 1_000_000


class Per(StrEnum):
    """A budget's period, in UTC."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What a pool costs an hour, in the base currency; `currency` is the one that the file gives it in."""

    cpu_hour: Micros = Micros(0)
    memory_gib_hour: Micros = Micros(0)
    host_hour: Micros = Micros(0)
    currency: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Most money of a policy in a period. `pause`: no new agents when it is spent; else it is only told."""

    amount: Micros
    per: Per = Per.DAY
    pause: bool = True
    as_written: str = ""
    """The amount as the file gives it, such as "80 USD", for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """What one agent costs: `hourly` for every hour from the accepted launch to the end of its instance."""

    hourly: Micros
    expected: timedelta
    """How long an agent of its policy lives, as far as known: what a budget sets aside for it."""


def per_hour(price: Price | None, size: Resources, share_of_host: Fraction | None = None) -> Micros | None:
    """What an agent of a size costs an hour, rounded up; None where the pool has no price, which is not 0.

    `share_of_host` is its part of a host that is paid as a whole; None where agents have no host.
    """
    if price is None:
        return None
    by_size = size.cpu_milli * price.cpu_hour * 1024 + size.memory_mib * price.memory_gib_hour * 1000
    if share_of_host:
        return Micros(ceil(Fraction(by_size, 1_024_000) + price.host_hour * share_of_host))
    return Micros(-(-by_size // 1_024_000))


def cost(hourly: Micros, since: datetime, until: datetime) -> Micros:
    """What a time costs. Times that follow on one another cost as much as all of it: nothing is lost by rounding."""
    return Micros(_so_far(hourly, until) - _so_far(hourly, since)) if until > since else Micros(0)


def _so_far(hourly: Micros, at: datetime) -> int:
    return hourly * ((at - _EPOCH) // _MICROSECOND) // _HOUR_US


def period(now: datetime, per: Per) -> tuple[str, datetime]:
    """The period that a moment is in, such as 2026-11-23, 2026-W48 or 2026-11, and when it ends; weeks from Monday."""
    day = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if per is Per.DAY:
        return day_of(now), day + timedelta(days=1)
    if per is Per.WEEK:
        return f"{day:%G-W%V}", day + timedelta(days=7 - day.weekday())
    return f"{day:%Y-%m}", (day.replace(day=1) + timedelta(days=32)).replace(day=1)


def bounds(key: str) -> tuple[datetime, datetime]:
    """When the period of a name began and when it ends."""
    if "W" in key:
        begin, per = datetime.strptime(f"{key}-1 +0000", "%G-W%V-%u %z"), Per.WEEK
    elif key.count("-") == 1:
        begin, per = datetime.strptime(f"{key} +0000", "%Y-%m %z"), Per.MONTH
    else:
        begin, per = datetime.strptime(f"{key} +0000", "%Y-%m-%d %z"), Per.DAY
    return begin, period(begin, per)[1]


def day_of(now: datetime) -> str:
    """The day that a moment is in, such as 2026-11-23; days sort as texts do."""
    return f"{now.astimezone(UTC):%Y-%m-%d}"


def by_period(hourly: Micros, since: datetime, until: datetime, per: Per) -> Iterator[tuple[str, Micros]]:
    """What a time costs in each of the periods that it touches; together it is `cost`."""
    while since < until:
        key, end = period(since, per)
        yield key, cost(hourly, since, min(until, end))
        since = end


def shown(amount: Micros, currency: str) -> str:
    """An amount for people, such as 80 USD, 4.86 USD or 0.0446 USD."""
    digits = 2 if amount >= _MILLION else 4
    whole, _, part = f"{amount / _MILLION:.{digits}f}".partition(".")
    part = part.rstrip("0")
    if digits == 2 and len(part) == 1:  # 4.80, not 4.8
        part += "0"
    return f"{whole}{'.' if part else ''}{part} {currency}".rstrip()
