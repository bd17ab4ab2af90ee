"""How answers are printed: tables for people, the API's JSON for programs. Data goes to stdout, words to stderr."""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import click


def plain(text: str) -> str:
    """A text without what would move a terminal's cursor or colour it: clouds and jobs have their say in it."""
    return "".join(c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text)


def say(text: str) -> None:
    """A line for people."""
    click.echo(plain(text))


def emit_json(answer: Any) -> None:
    """One JSON text, indented."""
    click.echo(json.dumps(answer, indent=2, ensure_ascii=False))


def emit_line(item: Any) -> None:
    """One JSON text in one line, for streams."""
    click.echo(json.dumps(item, ensure_ascii=False))


def emit_table(heads: Sequence[str], rows: Sequence[Sequence[str]], *, with_heads: bool = True) -> None:
    """Columns as wide as they must be; the last one is not filled up."""
    lines = [list(heads), *rows] if with_heads else list(rows)
    widths = [max(len(line[n]) for line in [heads, *rows]) for n in range(len(heads))]
    for line in lines:
        say("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def age(seconds: float | None) -> str:
    """A length of time for people: `24s`, `3m10s`, `2h05m`, `6d4h`."""
    if seconds is None:
        return "-"
    whole = max(0, round(seconds))
    minutes, hours, days = whole // 60, whole // 3600, whole // 86400
    if days:
        return f"{days}d{hours % 24}h"
    if hours:
        return f"{hours}h{minutes % 60:02d}m"
    return f"{minutes}m{whole % 60:02d}s" if minutes else f"{whole}s"


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
