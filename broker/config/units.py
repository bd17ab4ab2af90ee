"""Values with units, as the file writes them: durations, sizes, rates, ranges, addresses."""

import re
from datetime import timedelta
from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator, PlainSerializer, WithJsonSchema
from pydantic_core import PydanticCustomError

from broker.config.settings import Address

_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_KIB: Final = {"Ki": 1, "Mi": 1024, "Gi": 1024**2, "Ti": 1024**3}
_DURATION: Final = re.compile(r"(?:[0-9]{1,12}(?:\.[0-9]{1,9})?(?:ms|s|m|h|d))+", re.ASCII)
_DURATION_PART: Final = re.compile(r"([0-9.]+)(ms|s|m|h|d)", re.ASCII)
_SIZE: Final = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,9})?)(Ki|Mi|Gi|Ti)", re.ASCII)
_LOOSE_SIZE: Final = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,9})?)\s*([kmgt])i?b?", re.ASCII | re.IGNORECASE)
_RATE: Final = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)/(s|m|h)", re.ASCII)
_ADDRESS: Final = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9_.-]+)):([0-9]{1,5})", re.ASCII)
_PORT: Final = "(0*(?:[0-9]{1,4}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))"
_MAX_DAYS: Final = 36500
_UNITS: Final = "units: ms, s, m, h, d"


def problem(code: str, message: str, help_: str = "") -> PydanticCustomError:
    """An error for a validator to raise; `code` and `help_` reach the person as they are."""
    return PydanticCustomError("config", "{message}", {"code": code, "message": message, "help": help_})


def describe(value: object) -> str:
    """A value in words: what was found where something else was expected."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case int() | float():
            return f"the number {value}"
        case str():
            return f"the text '{value if len(value) <= 60 else value[:57] + '...'}'"
        case list():
            return "a list"
        case dict():
            return "a map"
        case _:
            return type(value).__name__


def parse_duration(value: object) -> timedelta:
    """`90s`, `2m`, `1h30m`. Raises an error with code `bad-duration`."""
    if isinstance(value, timedelta):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        minutes = f" or '{value // 60}m'" if isinstance(value, int) and value and value % 60 == 0 else ""
        message = f"expected a duration with a unit, got {describe(value)}"
        raise problem("bad-duration", message, f"write '{value}s'{minutes} ({_UNITS})")
    if not isinstance(value, str) or not _DURATION.fullmatch(value):
        raise problem("bad-duration", f"expected a duration, got {describe(value)}", f"write '90s' or '2m' ({_UNITS})")
    seconds = sum(float(number) * _SECONDS[unit] for number, unit in _DURATION_PART.findall(value))
    if seconds > _MAX_DAYS * 86400:
        raise problem("too-long", f"{value} is longer than {_MAX_DAYS}d")
    return timedelta(seconds=seconds)


def format_duration(value: timedelta) -> str:
    """The shortest text that `parse_duration` reads back: `2m`, `1h30m`, `250ms`."""
    rest = round(value.total_seconds() * 1000)
    parts = []
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)):
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def _some_time(value: timedelta) -> timedelta:
    if not value:
        raise problem("out-of-range", "expected a duration longer than 0s")
    return value


def parse_size(value: object) -> int:
    """`2Gi` in whole MiB, rounded up. Raises an error with code `bad-size`."""
    if isinstance(value, str) and (found := _SIZE.fullmatch(value)):
        return -int(-float(found[1]) * _KIB[found[2]] // 1024)
    units = "units: Ki, Mi, Gi, Ti"
    if isinstance(value, int | float) and not isinstance(value, bool):
        message = f"expected a size with a unit, got {describe(value)}"
        raise problem("bad-size", message, f"write '{value}Gi' or '{value}Mi' ({units})")
    loose = _LOOSE_SIZE.fullmatch(value) if isinstance(value, str) else None
    instead = f"{loose[1]}{loose[2].upper()}i" if loose else "2Gi"
    raise problem("bad-size", f"expected a size, got {describe(value)}", f"write '{instead}' ({units})")


def format_size(mebibytes: int) -> str:
    """The text of a size in MiB."""
    for unit, size in (("Ti", 1024**2), ("Gi", 1024)):
        if mebibytes and mebibytes % size == 0:
            return f"{mebibytes // size}{unit}"
    return f"{mebibytes}Mi"


def milli(cpu: float | None) -> int | None:
    """vCPU in thousandths; of very few at least one."""
    return None if cpu is None else max(1, round(cpu * 1000))


def parse_rate(value: object) -> str:
    """`20/s`. Raises an error with code `bad-rate`."""
    if isinstance(value, str) and (found := _RATE.fullmatch(value)) and float(found[1]):
        return value
    number = value if isinstance(value, int | float) and not isinstance(value, bool) else 20
    raise problem("bad-rate", f"expected a rate, got {describe(value)}", f"write '{number}/s' (units: s, m, h)")


def read_rate(text: str) -> tuple[float, timedelta]:
    """The two halves of a rate that `parse_rate` has taken: how many, in which time."""
    number, _, unit = text.partition("/")
    return float(number), timedelta(seconds=_SECONDS[unit])


def parse_backoff(value: object) -> tuple[timedelta, timedelta]:
    """`2s..30s`: the first and the longest pause. Raises an error with code `bad-range` or `bad-duration`."""
    if isinstance(value, tuple):
        return value
    first, dots, last = value.partition("..") if isinstance(value, str) else ("", "", "")
    if not dots:
        message = f"expected a range of durations, got {describe(value)}"
        raise problem("bad-range", message, f"write '2s..30s' ({_UNITS})")
    pauses = parse_duration(first), parse_duration(last)
    if pauses[0] > pauses[1]:
        raise problem("bad-range", f"the range {value} ends before it begins", f"write '{last}..{first}'")
    return pauses


def parse_address(value: object) -> Address:
    """`HOST:PORT` or `[IPV6]:PORT`. Raises an error with code `bad-address`."""
    if isinstance(value, Address):
        return value
    found = _ADDRESS.fullmatch(value) if isinstance(value, str) else None
    if found and int(found[3]) <= 65535:
        return Address(found[1] or found[2], int(found[3]))
    port = value if isinstance(value, int) and not isinstance(value, bool) else 7070
    if isinstance(value, str) and (only_port := re.fullmatch(r":([0-9]{1,5})", value, re.ASCII)):
        port = int(only_port[1])
    message = f"expected an address with a port, got {describe(value)}"
    raise problem("bad-address", message, f"write '127.0.0.1:{port}', or '0.0.0.0:{port}' for every network")


def pattern_schema(pattern: str, example: str) -> WithJsonSchema:
    """What the schema says of a text that a validator of ours checks."""
    return WithJsonSchema({"type": "string", "pattern": f"^{pattern}$", "examples": [example]})


def _format_backoff(pauses: tuple[timedelta, timedelta]) -> str:
    return f"{format_duration(pauses[0])}..{format_duration(pauses[1])}"


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration, return_type=str),
    pattern_schema(_DURATION.pattern, "90s"),
]
SomeTime = Annotated[Duration, AfterValidator(_some_time), pattern_schema(rf"(?=.*[1-9]){_DURATION.pattern}", "90s")]
"""A duration that is not 0."""
Size = Annotated[
    int,
    BeforeValidator(parse_size),
    PlainSerializer(format_size, return_type=str),
    pattern_schema(_SIZE.pattern, "2Gi"),
]
"""In MiB."""
Rate = Annotated[str, BeforeValidator(parse_rate), pattern_schema(_RATE.pattern, "20/s")]
Backoff = Annotated[
    tuple[timedelta, timedelta],
    BeforeValidator(parse_backoff),
    PlainSerializer(_format_backoff, return_type=str),
    pattern_schema(rf"{_DURATION.pattern}\.\.{_DURATION.pattern}", "2s..30s"),
]
ListenAddress = Annotated[
    Address,
    BeforeValidator(parse_address),
    PlainSerializer(str, return_type=str),
    pattern_schema(_ADDRESS.pattern.replace("([0-9]{1,5})", _PORT), "127.0.0.1:7070"),
]
