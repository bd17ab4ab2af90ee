"""Money: whole millionths of the base currency, so that sums and comparisons are exact."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import NewType

Micros = NewType("Micros", int)
"""Millionths of the base currency."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """What one agent costs: `hourly` for every hour from the accepted launch to the end of its instance."""

    hourly: Micros
    expected: timedelta
    """How long an agent of its policy lives, as far as known: what a budget sets aside for it."""
