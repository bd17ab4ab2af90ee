"""Who may use the operators' API, and for what."""

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """A viewer reads, but not the clouds' own words; an operator reads all and changes things."""

    VIEWER = "viewer"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """A person or a program with a token, which is known by its SHA-256 in hex."""

    name: str
    role: Role
    token_sha256: str
