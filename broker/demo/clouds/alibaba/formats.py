"""How texts must look: names, descriptions, times, tags, passwords.

From the parameters' descriptions in the SDK's models and https://www.alibabacloud.com/help/en/ecs/developer-reference/api-ecs-2014-05-26-runinstances.
"""

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from broker.demo.clouds.alibaba import errors
from broker.demo.clouds.model import ApiError

_NAME: Final = re.compile(r"[^\W\d_][\w:.-]{1,127}")
_BATCH: Final = re.compile(r"(?P<front>[^\[\]]*)\[(?P<first>\d*),(?P<digits>\d*)\](?P<back>[^\[\]]*)")
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?Z")
_LINUX_HOST: Final = re.compile(r"(?=.{2,64}$)[A-Za-z0-9]+([.-][A-Za-z0-9]+)*")
_WINDOWS_HOST: Final = re.compile(r"(?=.{2,15}$)(?!\d+$)[A-Za-z0-9]+(-[A-Za-z0-9]+)*")
_SPECIAL: Final = "()`~!@#$%^&*-_+=|{}[]:;'<>,.?/\\\""
MOST_TAGS: Final = 20
MOST_USER_DATA: Final = 32 * 1024


def is_name(text: str) -> bool:
    """2 to 128 characters: a letter, then letters, digits and `_ : . -`; no address of a page."""
    return bool(_NAME.fullmatch(text)) and not text.startswith(("http://", "https://"))


def is_description(text: str) -> bool:
    """2 to 256 characters, no address of a page."""
    return 2 <= len(text) <= 256 and not text.startswith(("http://", "https://"))


def is_host_name(text: str, *, windows: bool) -> bool:
    """As the system takes it."""
    return bool((_WINDOWS_HOST if windows else _LINUX_HOST).fullmatch(text))


def is_password(text: str, *, windows: bool) -> bool:
    """8 to 30 characters of three kinds."""
    kinds = (str.isupper, str.islower, str.isdigit, _SPECIAL.__contains__)
    known = all(one in _SPECIAL or (one.isascii() and one.isalnum()) for one in text)
    many = sum(any(kind(one) for one in text) for kind in kinds) >= 3
    return 8 <= len(text) <= 30 and known and many and not (windows and text.startswith("/"))


def names(pattern: str, amount: int, *, unique: bool) -> list[str]:
    """The names of so many instances: `agent-[5,3]-x` gives agent-005-x, agent-006-x, …; `unique` numbers a plain one.

    https://www.alibabacloud.com/help/en/ecs/user-guide/batch-configure-sequential-names-or-hostnames-for-multiple-instances
    """
    found = _BATCH.fullmatch(pattern)
    if found is None:
        if unique and amount > 1:
            return [f"{pattern}{number:03}" for number in range(1, amount + 1)]
        return [pattern] * amount
    first, digits = int(found["first"] or 0), int(found["digits"] or 0)
    if digits > 6 or first > 999999:
        raise ApiError("InvalidInstanceName.Malformed", 'The specified parameter "InstanceName" is not valid.')
    digits = max(digits, len(str(first + amount - 1)))
    return [f"{found['front']}{number:0{digits}}{found['back']}" for number in range(first, first + amount)]


def moment(text: str) -> float | None:
    """The time that a text says, in seconds since 1970; None for one that is no time in UTC."""
    if not _TIME.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
    except ValueError:
        return None


def told(at: float) -> str:
    """A time as ECS tells it: to the minute."""
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%MZ}"


def told_exactly(at: float) -> str:
    """A time as VPC, STS and Cloud Assistant tell it: to the second."""
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%SZ}"


def user_data(text: str) -> bytes:
    """What it says once it is decoded; raises ApiError."""
    try:
        found = base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        message = "The specified UserData is not valid"
        raise ApiError("InvalidUserData.Base64FormatInvalid", message) from None
    if len(found) > MOST_USER_DATA:
        raise ApiError("InvalidUserData.SizeExceeded", 'The specified parameter "UserData" exceeds the size.')
    return found


def tags(said: Sequence[Mapping[str, Any]] | None, *, most: int = MOST_TAGS) -> dict[str, str]:
    """Tags that are to be set; raises ApiError."""
    said = said or ()
    if len(said) > most:
        raise ApiError("InvalidTagCount", "The specified tags are beyond the permitted range.")
    found: dict[str, str] = {}
    for tag in said:
        key, value = tag.get("Key", ""), tag.get("Value", "")
        if not 1 <= len(key) <= 128 or not _is_free(key):
            raise ApiError("InvalidTagKey.Malformed", "The specified Tag.n.Key is not valid.")
        if len(value) > 128 or not _is_free(value):
            raise ApiError("InvalidTagValue.Malformed", "The specified Tag.n.Value is not valid.")
        if key in found:
            raise ApiError("Duplicate.TagKey", "The Tag.N.Key contain duplicate key.")
        found[key] = value
    return found


def wanted_tags(said: Sequence[Mapping[str, Any]] | None) -> list[tuple[str, str | None]]:
    """Tags that a list is to be filtered by: a key, and its value or None for any; raises ApiError."""
    if len(said or ()) > MOST_TAGS:
        raise ApiError("InvalidTagCount", "The specified tags are beyond the permitted range.")
    if any(not tag.get("Key") for tag in said or ()):
        raise ApiError("InvalidTag.Mismatch", "The specified Tag.n.Key and Tag.n.Value are not match.")
    return [(tag["Key"], tag.get("Value") or None) for tag in said or ()]


def has_tags(own: Mapping[str, str], wanted: Sequence[tuple[str, str | None]]) -> bool:
    """Whether something has all of them."""
    return all(key in own and value in (None, own[key]) for key, value in wanted)


def _is_free(text: str) -> bool:
    return not text.lower().startswith(("aliyun", "acs:")) and "http://" not in text and "https://" not in text


def check_range(name: str, value: int | None, least: int, most: int) -> None:
    """Raises ApiError for a number that is out of its range; None is none."""
    if value is not None and not least <= value <= most:
        raise errors.invalid(name)


def check_choice(name: str, value: str | None, choices: str, code: str = "InvalidParameter", status: int = 400) -> None:
    """Raises ApiError for a text that is none of `choices`, which stand between spaces; None is none."""
    if value is not None and value not in choices.split():
        raise errors.invalid(name, code, status)
