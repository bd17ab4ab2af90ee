"""Lists in pages, with tokens that hold for one query alone."""

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from broker.demo.clouds.ecs import errors


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing of a list: its place, which never changes, and what is told of it."""

    place: tuple[str | float, ...]
    told: str


def page(
    entries: Sequence[Entry], parameters: Mapping[str, Any], *, most: int = 100, descending: bool = False
) -> tuple[list[str], str | None]:
    """One page of what is told, and the token of the next, None on the last.

    `parameters` are the request's: its nextToken must come from the same query, its maxResults be 1 to `most`.
    Entries that came or went between two pages are told or not; none of the others is lost or told twice.
    """
    size = parameters.get("maxResults")
    if size is not None and not 1 <= int(size) <= most:
        raise errors.invalid(f"maxResults must be between 1 and {most}.")
    size = int(size or most)
    query = _digest(parameters)
    after = _read(parameters.get("nextToken"), query)
    start = 0
    if after is not None:
        start = len(entries)
        for index, entry in enumerate(entries):
            if entry.place < after if descending else entry.place > after:
                start = index
                break
    shown = entries[start : start + size]
    more = start + size < len(entries)
    return [entry.told for entry in shown], _token(query, shown[-1].place) if more else None


def _digest(parameters: Mapping[str, Any]) -> str:
    query = {name: value for name, value in parameters.items() if name not in {"nextToken", "maxResults"}}
    return hashlib.sha256(json.dumps(query, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _token(query: str, place: tuple[str | float, ...]) -> str:
    return base64.urlsafe_b64encode(json.dumps([query, *place]).encode()).decode()


def _read(token: str | None, query: str) -> tuple[str | float, ...] | None:
    if not token:
        return None
    try:
        made_for, *place = json.loads(base64.urlsafe_b64decode(token.encode()))
    except (ValueError, binascii.Error, TypeError):
        raise errors.invalid("Invalid token.") from None
    if made_for != query:
        raise errors.invalid("Invalid token: it belongs to another request.")
    return tuple(place)
