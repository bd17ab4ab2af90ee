"""Calls about hosts: bounded in time and number, with one pause for all after a cloud has said that it is too many."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final, TypeVar

from broker.domain.ids import BackendName
from broker.errors import BackendError, OutcomeUnknown, Throttled

T = TypeVar("T")

CALL_TIMEOUT_S: Final = 30.0
_AT_ONCE: Final = 8
"""Of one backend: one that hangs holds up no other."""
_IN_LINE_S: Final = 0.5
_FIRST_PAUSE_S: Final = 2.0
_LONGEST_PAUSE_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class NotNow:
    """The call was not made: look again after so many seconds."""

    after_s: float


@dataclass(slots=True)
class Calls:
    """Which calls may be made now. Orders, looks and ends of a backend each have a pause of their own."""

    monotonic: Callable[[], float]
    _open: Counter[tuple[BackendName, bool]] = field(default_factory=Counter)
    """Those that get hosts ready stand in a line of their own: they go by way of the hosts, which may hang."""
    _pauses: dict[tuple[BackendName, str], tuple[float, float]] = field(default_factory=dict)
    """Until when, and how long it was."""

    async def make(
        self, backend: BackendName, what: str, call: Callable[[], Awaitable[T]]
    ) -> T | BackendError | NotNow:
        """The answer; an error is an answer too. No answer in time is `OutcomeUnknown`."""
        until, length = self._pauses.get((backend, what), (0.0, 0.0))
        if until > self.monotonic():
            return NotNow(until - self.monotonic())
        line = (backend, what.startswith("prepare"))
        if self._open[line] >= _AT_ONCE:
            return NotNow(_IN_LINE_S)
        self._open[line] += 1
        try:
            async with asyncio.timeout(CALL_TIMEOUT_S):
                answer = await call()
        except TimeoutError:
            return OutcomeUnknown("timeout", f"no answer within {CALL_TIMEOUT_S:g} s")
        except Throttled as error:
            longer = min(_LONGEST_PAUSE_S, max(_FIRST_PAUSE_S, 2 * length))
            self._pauses[backend, what] = (self.monotonic() + longer, longer)
            return error
        except BackendError as error:
            return error
        finally:
            self._open[line] -= 1
        self._pauses.pop((backend, what), None)
        return answer
