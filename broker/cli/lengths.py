"""Lengths of time as they are typed: 90s, 30m, 2h, 1d."""

import re
from typing import Final

from broker.cli.exits import WRONG_USAGE, CliError

_LENGTH: Final = re.compile(r"(\d{1,7})(s|m|h|d)")
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_LONGEST_S: Final = 30 * 86_400


def seconds_of(text: str, option: str) -> int:
    """The length in seconds; raises `CliError` for what is none, or longer than 30 days."""
    found = _LENGTH.fullmatch(text.strip())
    seconds = int(found[1]) * _UNITS[found[2]] if found else 0
    if not 0 < seconds <= _LONGEST_S:
        raise CliError(WRONG_USAGE, f"{option} {text!r} is no time up to 30d", f"write it such as {option} 30m or 2h")
    return seconds
