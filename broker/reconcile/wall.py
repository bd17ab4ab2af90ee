"""Whether somebody has set the wall clock: lengths of time are by the monotonic one."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from broker.ports import Clock

_NOTHING: Final = timedelta()
_AT_LEAST: Final = timedelta(seconds=5)
"""A difference between the two clocks from which on the wall clock was set; less is told apart from nothing."""


@dataclass(slots=True)
class Wall:
    """How far the wall clock was set since the moments in the database were last moved along with it."""

    clock: Clock
    _wall: datetime = field(init=False)
    _began: float = field(init=False)
    _agreed: float = field(init=False)

    def __post_init__(self) -> None:
        """Believes both clocks."""
        self._wall, self._began = self.clock.now(), self.clock.monotonic()
        self._agreed = self._began

    def set_by(self) -> timedelta:
        """Forward, or (negative) back; nothing for small differences."""
        now = self.clock.monotonic()
        by = self.clock.now() - self._wall - timedelta(seconds=now - self._began)
        if abs(by) >= _AT_LEAST:
            return by
        self._agreed = now
        return _NOTHING

    def since(self) -> datetime:
        """A moment of the new time before which nobody has used it."""
        return self.clock.now() - timedelta(seconds=self.clock.monotonic() - self._agreed)

    def followed(self, by: timedelta) -> None:
        """All that counts from a moment has been moved by so much."""
        self._wall += by
