"""A key of the config that an operator has set for a time."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedOverride:
    """`path` leads to a key of one thing, such as ("pools", "it", "limits", "agents"); `value` is as a file has it.

    It counts for that thing alone, whatever inherits from it, and is over at `until` by the wall clock.
    """

    path: tuple[str, ...]
    value: str
    actor: str
    reason: str
    since: datetime
    until: datetime

    @property
    def pool(self) -> str:
        """Whose key it is."""
        return self.path[1]

    @property
    def key(self) -> str:
        """The key as an operator writes it, such as `limits.agents`."""
        return ".".join(self.path[2:])
