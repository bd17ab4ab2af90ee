"""Parts of the day, such as `20:00-08:00`, and the names of time zones."""

import re
from functools import cache
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

from broker.config.suggest import nearest
from broker.config.units import describe, problem
from broker.domain.schedule import DAY

HOURS: Final = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])-(?:([01][0-9]|2[0-3]):([0-5][0-9])|24:00)", re.ASCII)
_HELP: Final = "write such as '08:00-20:00'; '20:00-08:00' goes over midnight, '00:00-24:00' is the whole day"
_LONGEST: Final = 60
_OF_THE_MACHINE: Final = frozenset({"localtime", "posixrules", "Factory"})


def check_hours(value: object) -> object:
    """Raises an error with the code `bad-hours`."""
    if isinstance(value, str):
        read_hours(value)
    return value


def read_hours(text: str) -> tuple[int, int]:
    """Start and end in minutes after midnight. Raises an error with the code `bad-hours`."""
    found = HOURS.fullmatch(text)
    if found is None:
        raise problem("bad-hours", f"expected a part of the day, got {describe(text)}", _HELP)
    start, end = int(found[1]) * 60 + int(found[2]), int(found[3]) * 60 + int(found[4]) if found[3] else DAY
    if start == end:
        raise problem("bad-hours", f"'{text}' ends when it begins", _HELP)
    return start, end


def check_zone(value: object) -> object:
    """Raises an error with the code `unknown-zone`."""
    if not isinstance(value, str) or (value not in _OF_THE_MACHINE and _exists(value)):
        return value
    meant = nearest(value, sorted(_names())) if len(value) <= _LONGEST else None
    help_ = f"did you mean '{meant}'?" if meant else "write one of the IANA database, such as 'Europe/Berlin' or 'UTC'"
    raise problem("unknown-zone", f"{describe(value)} is not the name of a time zone", help_)


def _exists(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (OSError, ValueError, LookupError):  # a directory, no relative path, not there
        return False
    return True


@cache
def _names() -> frozenset[str]:
    return frozenset(available_timezones()) - _OF_THE_MACHINE
