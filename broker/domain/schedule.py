"""Times of the day and of the week that a policy names, each in its own time zone."""

from dataclasses import dataclass
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class Hours:
    """A part of the day, in minutes after midnight; `end` is not in it, and before `start` it is the next day's."""

    start: int
    end: int
    zone: ZoneInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class Cron:
    """The five fields of cron, as the numbers that each allows; Sunday is 0.

    With `either_day` both days are restricted, and one that fits is enough.
    """

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either_day: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmChange:
    """Another number of idle agents from each time on at which `cron` fires."""

    cron: Cron
    zone: ZoneInfo
    min_idle: int
