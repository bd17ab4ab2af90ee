"""Tags: what may be one, and what they are on a resource.

Rules: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs-using-tags.html.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any, Final

from broker.demo.clouds.ecs import errors

MOST: Final = 50
_PLAIN: Final = re.compile(r"[A-Za-z0-9 _.:/=+\-@]*")


def of(items: Iterable[Mapping[str, Any]] | None) -> dict[str, str]:
    """The tags of a request by key; raises InvalidParameterException for what may be no tag."""
    found: dict[str, str] = {}
    for item in items or ():
        key, value = str(item.get("key") or ""), str(item.get("value") or "")
        _check(key, value)
        if key in found:
            raise errors.invalid(f"Duplicate tag keys found. Tag key: {key}")
        found[key] = value
    if len(found) > MOST:
        raise errors.invalid(f"Too many tags: {len(found)}, at most {MOST} are allowed.")
    return found


def listed(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Tags as the API lists them."""
    return [{"key": key, "value": value} for key, value in tags.items()]


def join(old: Mapping[str, str], new: Mapping[str, str]) -> dict[str, str]:
    """Both, the new ones over the old; raises when they are too many. Those that AWS sets itself do not count."""
    joined = {**old, **new}
    if sum(not key.startswith("aws:") for key in joined) > MOST:
        raise errors.invalid(f"Too many tags: at most {MOST} are allowed.")
    return joined


def _check(key: str, value: str) -> None:
    if not 1 <= len(key) <= 128:
        raise errors.invalid("Tag keys must be between 1 and 128 characters.")
    if len(value) > 256:
        raise errors.invalid(f"The value of tag {key} is longer than 256 characters.")
    if key.lower().startswith("aws:") or value.lower().startswith("aws:"):
        raise errors.invalid("aws: prefixed tag key names and values are not allowed for external use.")
    for text in (key, value):
        if not _PLAIN.fullmatch(text) and not all(_allowed(character) for character in text):
            raise errors.invalid(f"Tag {key} contains invalid characters.")


def _allowed(character: str) -> bool:
    return character in "_.:/=+-@" or unicodedata.category(character)[0] in "LZN"
