"""Cron expressions of five fields, as far as a config needs them: whether one is sound, and whether it ever fires.

Source: crontab(5) of POSIX and of Debian's cron: minute, hour, day of month, month, day of week, where 0 and 7 are
Sunday; where both days are restricted, either fires.
"""

import re
from collections.abc import Mapping
from typing import Final

from broker.config.units import problem

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
_HELP: Final = "write five fields such as '0 8 * * MON-FRI': minute, hour, day of the month, month, day of the week"


def check_cron(value: object) -> object:
    """Raises errors with the codes `bad-cron` and `cron-never`."""
    if not isinstance(value, str):
        return value
    fields = value[:200].split()
    if len(fields) != len(_FIELDS):
        raise problem("bad-cron", f"expected a cron expression of five fields, got {len(fields)}", _HELP)
    _, _, days, months, weekdays = (_values(text, *field) for text, field in zip(fields, _FIELDS, strict=True))
    if len(weekdays) == _EVERY_WEEKDAY and not any(min(days) <= _LENGTHS[month - 1] for month in months):
        message = f"the cron expression '{value}' never fires: none of its months has a day {min(days)}"
        raise problem("cron-never", message, "choose a day that the month has")
    return value


_EVERY_WEEKDAY: Final = 8


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
