"""Results in pages, with tokens that mean nothing to the caller."""

import base64
from collections.abc import Sequence
from typing import TypeVar

from broker.demo.clouds.model import ApiError

Item = TypeVar("Item")


def page_of(items: Sequence[Item], *, token: str | None, size: int, wrong: ApiError) -> tuple[list[Item], str | None]:
    """One page and the token of the next, None behind the last; raises `wrong` for a token that was never given."""
    start = _place(token, wrong) if token else 0
    end = start + size
    following = base64.b64encode(f"page:{end}".encode()).decode() if end < len(items) else None
    return list(items[start:end]), following


def _place(token: str, wrong: ApiError) -> int:
    try:
        word, _, number = base64.b64decode(token, validate=True).decode().partition(":")
        if word == "page":
            return int(number)
    except ValueError:
        pass
    raise wrong
