"""Times of the day and of the week that a policy names, each in its own time zone.

A time that the clocks skip in spring comes with the first one that exists after it; one that they repeat in autumn
comes once, the first time.
"""

from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import MAXYEAR, MINYEAR, UTC, date, datetime, time, timedelta
from functools import cache
from typing import Final, Protocol
from zoneinfo import ZoneInfo

DAY: Final = 24 * 60
"""In minutes."""
_MONTHS_LOOKED_AT: Final = 40 * 12
"""29 February of a certain weekday comes back within so many, even where a leap year is left out."""


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


class Keeps(Protocol):
    """What keeps idle agents: a policy."""

    @property
    def min_idle(self) -> int:
        """How many before any change."""

    @property
    def warm_changes(self) -> tuple[WarmChange, ...]:
        """In the order of the file."""


def last_fire(cron: Cron, zone: ZoneInfo, now: datetime) -> datetime | None:
    """The last time at or before `now`, in UTC; None if there is none within 40 years."""
    here = now.astimezone(zone)
    wall = here.replace(tzinfo=None, fold=0)
    if here.fold:  # an hour that comes twice: the times after this one in it have come already
        wall += (wall.replace(tzinfo=zone).utcoffset() or timedelta()) - (here.utcoffset() or timedelta())
    fires = (_instant(one, zone) for one in _walls(cron, wall, back=True))
    return next((at for at in fires if at <= now), None)


def next_fire(cron: Cron, zone: ZoneInfo, now: datetime) -> datetime | None:
    """The first time after `now`, in UTC; None if there is none within 40 years."""
    wall = now.astimezone(zone).replace(tzinfo=None, fold=0)
    fires = (_instant(one, zone) for one in _walls(cron, wall, back=False))
    return next((at for at in fires if at > now), None)


def min_idle_at(policy: Keeps, now: datetime) -> tuple[int, datetime | None]:
    """How many idle agents a policy keeps now, and when that may change next (None: never).

    The change that came last holds, of two at one time the later in the file.
    """
    last: tuple[datetime, int] | None = None
    coming = []
    for change in policy.warm_changes:
        at = last_fire(change.cron, change.zone, now)
        if at is not None and (last is None or at >= last[0]):
            last = (at, change.min_idle)
        if (then := next_fire(change.cron, change.zone, now)) is not None:
            coming.append(then)
    return (policy.min_idle if last is None else last[1]), min(coming, default=None)


def is_open(hours: Hours, now: datetime) -> tuple[bool, datetime]:
    """Whether it is within the hours, and until when that stays so; of the whole day: until its end at least."""
    opened, until = _is_open(hours, now), now
    for _ in range(4):  # where the clocks skip both ends, they come at one moment, which changes nothing
        until = min(fire for end in _ends(hours) if (fire := next_fire(end, hours.zone, until)) is not None)
        if _is_open(hours, until) != opened:
            break
    return opened, until


def _is_open(hours: Hours, now: datetime) -> bool:
    if hours.start % DAY == hours.end % DAY:
        return True
    opened, closed = (last_fire(end, hours.zone, now) for end in _ends(hours))
    if opened is None or closed is None:
        return opened is not None
    return opened > closed or (opened == closed and hours.start > hours.end)


def _ends(hours: Hours) -> tuple[Cron, Cron]:
    return _daily(hours.start % DAY), _daily(hours.end % DAY)


@cache
def _daily(minute: int) -> Cron:
    return Cron(
        minutes=frozenset({minute % 60}),
        hours=frozenset({minute // 60}),
        days=frozenset(range(1, 32)),
        months=frozenset(range(1, 13)),
        weekdays=frozenset(range(7)),
    )


def _instant(wall: datetime, zone: ZoneInfo) -> datetime:
    """When a clock in the zone shows that time first; where it never does, when it first shows a later one."""
    at = wall.replace(tzinfo=zone).astimezone(UTC)
    if at.astimezone(zone).replace(tzinfo=None) == wall:
        return at
    before = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)  # the clocks are changed between this moment and `at`
    offset = before.astimezone(zone).utcoffset()
    while at - before > timedelta(seconds=1):
        middle = before + timedelta(seconds=int((at - before).total_seconds()) // 2)
        if middle.astimezone(zone).utcoffset() == offset:
            before = middle
        else:
            at = middle
    return at


def _walls(cron: Cron, wall: datetime, *, back: bool) -> Iterator[datetime]:
    """The times at which a clock makes it fire: from `wall` back, or those after it."""
    today = wall.date()
    for day in _days(cron, today, back=back):
        for hour in sorted(cron.hours, reverse=back):
            if day == today and (hour > wall.hour if back else hour < wall.hour):
                continue
            for minute in sorted(cron.minutes, reverse=back):
                at = datetime.combine(day, time(hour, minute))
                if at <= wall if back else at > wall:
                    yield at


def _days(cron: Cron, today: date, *, back: bool) -> Iterator[date]:
    month = today.year * 12 + today.month - 1
    for number in range(_MONTHS_LOOKED_AT):
        year, before = divmod(month - number if back else month + number, 12)
        if not MINYEAR < year < MAXYEAR:
            return
        if before + 1 in cron.months:
            days = range(1, monthrange(year, before + 1)[1] + 1)
            for found in (date(year, before + 1, n) for n in (reversed(days) if back else days)):
                if (found <= today if back else found >= today) and _fits(cron, found):
                    yield found


def _fits(cron: Cron, day: date) -> bool:
    by_number, by_weekday = day.day in cron.days, day.isoweekday() % 7 in cron.weekdays
    return (by_number or by_weekday) if cron.either_day else (by_number and by_weekday)
