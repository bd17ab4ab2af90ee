"""Lists in pages: by number and size, or by tokens that hold for one query alone."""

import base64
import binascii
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from broker.demo.clouds.alibaba import errors
from broker.demo.clouds.model import ApiError, Parameters

Item = TypeVar("Item")
_PAGING = {"NextToken", "MaxResults", "PageNumber", "PageSize"}


def page(
    items: Sequence[Item],
    said: Mapping[str, Any],
    *,
    usual: int = 10,
    most: int = 100,
    place: Callable[[Item], float] | None = None,
    least: int = 1,
) -> tuple[list[Item], Parameters]:
    """One page, and what a reply says of it.

    A query with NextToken or MaxResults goes by tokens, any other by numbers. `place` gives an item's place in the
    order, which never changes; without it items that go between two pages move the others. With `least` above 1 a
    MaxResults that is out of range is brought into it, as DescribeInstances does; else it is refused.
    """
    if "NextToken" in said or "MaxResults" in said:
        return _by_token(items, said, _size(said, usual, least, most), place)
    number, size = said.get("PageNumber", 1), said.get("PageSize", usual)
    if number < 1:
        raise errors.invalid("PageNumber", "InvalidParameter")
    if not 1 <= size <= most:
        raise errors.invalid("PageSize", "InvalidParameter")
    start = (number - 1) * size
    told = {"TotalCount": len(items), "PageNumber": number, "PageSize": size}
    return list(items[start : start + size]), told


def _size(said: Mapping[str, Any], usual: int, least: int, most: int) -> int:
    size: int = said.get("MaxResults", usual)
    if least == 1 and not 1 <= size <= most:
        raise errors.invalid("MaxResults", "InvalidParameter")
    return min(max(size, least), most)


def _by_token(
    items: Sequence[Item], said: Mapping[str, Any], size: int, place: Callable[[Item], float] | None
) -> tuple[list[Item], Parameters]:
    places = [place(item) for item in items] if place else [float(index) for index in range(len(items))]
    after = _read(said.get("NextToken"), said)
    start = next((index for index, one in enumerate(places) if one > after), len(items))
    shown = list(items[start : start + size])
    more = start + size < len(items)
    token = _token(said, places[start + size - 1]) if more else ""
    return shown, {"TotalCount": len(items), "NextToken": token}


def _digest(said: Mapping[str, Any]) -> str:
    query = {name: value for name, value in said.items() if name not in _PAGING}
    return hashlib.sha256(json.dumps(query, sort_keys=True).encode()).hexdigest()[:12]


def _token(said: Mapping[str, Any], place: float) -> str:
    return base64.urlsafe_b64encode(json.dumps([_digest(said), place]).encode()).decode()


def _read(token: str | None, said: Mapping[str, Any]) -> float:
    if not token:
        return float("-inf")
    try:
        made_for, place = json.loads(base64.urlsafe_b64decode(token.encode()))
        if made_for == _digest(said):
            return float(place)
    except (ValueError, binascii.Error, TypeError):
        pass
    raise ApiError("InvalidNextToken", "The specified NextToken is not valid.")


def ids(text: str | None, name: str, most: int = 100) -> list[str] | None:
    """A list of ids that is written as JSON; None for none."""
    if text is None:
        return None
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise errors.invalid(name, "InvalidParameter")
    if len(found) > most:
        raise ApiError("InvalidParameter", f'The specified parameter "{name}" has more than {most} items.')
    return found
