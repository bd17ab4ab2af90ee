"""Cron expressions of five fields: whether one is sound, whether it ever fires, and what it says.

Source: crontab(5) of POSIX and of Debian's cron: minute, hour, day of month, month, day of week, where 0 and 7 are
Sunday; where both days are restricted, either fires. A field that begins with `*` does not restrict, also with a step.
"""

import re
from collections.abc import Mapping
from typing import Final

from broker.config.units import problem
from broker.domain.schedule import Cron

_MONTHS: Final = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_DAYS: Final = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_FIELDS: Final[tuple[tuple[str, int, int, Mapping[str, int]], ...]] = (
    ("minute", 0, 59, {}),
    ("hour", 0, 23, {}),
    ("day of the month", 1, 31, {}),
    ("month", 1, 12, {name: n for n, name in enumerate(_MONTHS, start=1)}),
    ("day of the week", 0, 7, {name: n for n, name in enumerate(_DAYS)}),
)
_LENGTHS: Final = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_PART: Final = re.compile(r"(?:(\*)|(\w{1,9})(?:-(\w{1,9}))?)(?:/([0-9]{1,3}))?", re.ASCII)
_LONGEST: Final = 200
_HELP: Final = "write five fields such as '0 8 * * MON-FRI': minute, hour, day of the month, month, day of the week"


def check_cron(value: object) -> object:
    """Raises errors with the codes `bad-cron` and `cron-never`."""
    if not isinstance(value, str):
        return value
    cron = read_cron(value)
    if not cron.either_day and not any(min(cron.days) <= _LENGTHS[month - 1] for month in cron.months):
        message = f"the cron expression '{value}' never fires: none of its months has a day {min(cron.days)}"
        raise problem("cron-never", message, "choose a day that the month has")
    return value


def read_cron(text: str) -> Cron:
    """What an expression says. Raises an error with the code `bad-cron`."""
    fields = text.split() if len(text) <= _LONGEST else []
    if len(fields) != len(_FIELDS):
        got = f"got {len(fields)}" if fields else f"got {len(text)} characters"
        raise problem("bad-cron", f"expected a cron expression of five fields, {got}", _HELP)
    minutes, hours, days, months, weekdays = (
        _values(text, *field) for text, field in zip(fields, _FIELDS, strict=True)
    )
    return Cron(
        minutes=frozenset(minutes),
        hours=frozenset(hours),
        days=frozenset(days),
        months=frozenset(months),
        weekdays=frozenset(day % 7 for day in weekdays),
        either_day=not (fields[2].startswith("*") or fields[4].startswith("*")),
    )


def _values(text: str, name: str, first: int, last: int, names: Mapping[str, int]) -> set[int]:
    found: set[int] = set()
    for part in text.split(","):
        match = _PART.fullmatch(part)
        if match is None:
            raise problem("bad-cron", f"'{part}' is no {name} of a cron expression", _HELP)
        begin = first if match[1] else _number(match[2], name, first, last, names)
        end = last if match[1] or (match[4] and not match[3]) else begin
        end = _number(match[3], name, first, last, names) if match[3] else end
        step = int(match[4] or 1)
        if begin > end or not step:
            raise problem("bad-cron", f"'{part}' is no {name} of a cron expression", _HELP)
        found |= set(range(begin, end + 1, step))
    return found


def _number(text: str, name: str, first: int, last: int, names: Mapping[str, int]) -> int:
    number = names.get(text.upper(), int(text) if text.isdecimal() else -1)
    if not first <= number <= last:
        raise problem("bad-cron", f"'{text}' is no {name} of a cron expression: {first} to {last}", _HELP)
    return number
