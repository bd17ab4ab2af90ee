"""How answers are printed: tables for people, the API's JSON for programs. Data goes to stdout, words to stderr."""

import json
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

import click

from broker.domain.lengths import short
from broker.domain.printable import printable


def say(text: str) -> None:
    """A line for people."""
    click.echo(printable(text))


def emit_json(answer: Any) -> None:
    """One JSON text, indented."""
    click.echo(json.dumps(answer, indent=2, ensure_ascii=False))


def emit_line(item: Any) -> None:
    """One JSON text in one line, for streams."""
    click.echo(json.dumps(item, ensure_ascii=False))


def emit_one(output: str, found: Any, name: str, tell: Callable[[Any], None]) -> None:
    """One answer in the form that was asked for; `name` is its key for `-o name`, `tell` prints it for people."""
    match output:
        case "json":
            emit_json(found)
        case "jsonl":
            emit_line(found)
        case "name":
            click.echo(found[name])
        case _:
            tell(found)


def emit_table(heads: Sequence[str], rows: Sequence[Sequence[str]], *, with_heads: bool = True) -> None:
    """Columns as wide as they must be; the last one is not filled up."""
    lines = [list(heads), *rows] if with_heads else list(rows)
    widths = [max(len(line[n]) for line in [heads, *rows]) for n in range(len(heads))]
    for line in lines:
        say("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def age(seconds: float | None) -> str:
    """A length of time for people, `-` for none."""
    return "-" if seconds is None else short(timedelta(seconds=seconds))


def seconds_since(moment: str | None, now: datetime) -> float | None:
    """How long ago a moment of the API was."""
    return None if moment is None else (now - datetime.fromisoformat(moment)).total_seconds()


def clock_time(moment: str, *, tenths: bool = False) -> str:
    """A moment of the API as the time of day here; with the date where it is not today's."""
    at = datetime.fromisoformat(moment).astimezone()
    day = "" if at.date() == datetime.now(tz=at.tzinfo).date() else f"{at:%m-%d} "
    return f"{day}{at:%H:%M:%S}" + (f".{at.microsecond // 100_000}" if tenths else "")


def first_line(text: str, longest: int = 160) -> str:
    """The first line of a text, cut to a length."""
    line = text.partition("\n")[0]
    return line if len(line) <= longest else f"{line[: longest - 1]}…"


def of_cap(used: int, cap: int | None) -> str:
    """Such as `61/300`, or `61` without a cap."""
    return str(used) if cap is None else f"{used}/{cap}"


def joined(parts: Iterable[str], empty: str = "-") -> str:
    """Names in a cell."""
    return ",".join(parts) or empty
