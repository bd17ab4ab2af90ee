"""One agent's life as its history tells it: a timeline with durations, its attempts, and the pools not chosen."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from broker.domain.agent import Agent
from broker.domain.ids import PoolName
from broker.domain.lifecycle import Phase
from broker.domain.placement import Rejection
from broker.domain.reason import Reason
from broker.store.details import Details, from_text
from broker.store.history import Event

_REJECTION: Final = re.compile(rf"(?:^|; )([^:;]+): ({'|'.join(Reason)}): ")
_PLACED: Final = "placed"
_FAILED: Final = "failed"
_OVER: Final = frozenset({Phase.REQUESTED, Phase.TERMINATING, Phase.GONE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """An event and how long it was until the next one; None for the last one of an agent that lives."""

    event: Event
    lasted: timedelta | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One launch. `ended_at` is None while it goes on; `online_at` is None if it never brought the agent online."""

    number: int
    pool: PoolName | None
    started_at: datetime
    online_at: datetime | None
    ended_at: datetime | None
    reason: Reason | None
    message: str


def steps(events: Sequence[Event], now: datetime) -> list[Step]:
    """The timeline; the last event of an agent that lives lasts until `now`.

    Numbers are in the order of the commits; a moment is when the change was decided, so one may be before the last.
    """
    ends = [*(event.at for event in events[1:]), None]
    found = []
    for event, end in zip(events, ends, strict=False):
        last = now if end is None and event.phase is not Phase.GONE else end
        found.append(Step(event=event, lasted=max(last - event.at, timedelta()) if last is not None else None))
    return found


def attempts(events: Sequence[Event]) -> list[Attempt]:
    """The launches, the first one first."""
    starts = [n for n, event in enumerate(events) if event.event == _PLACED]
    ends = [*starts[1:], len(events)]
    return [_attempt(events[start:end]) for start, end in zip(starts, ends, strict=False)]


def _attempt(events: Sequence[Event]) -> Attempt:
    start = events[0]
    online = next((e.at for e in events if e.phase is Phase.ONLINE), None)
    over = next((e for e in events if e.event == _FAILED or e.phase in _OVER), None)
    return Attempt(
        number=start.attempt,
        pool=start.pool,
        started_at=start.at,
        online_at=online,
        ended_at=over.at if over else None,
        reason=over.why if over else None,
        message=over.message if over and over.why else "",
    )


def not_chosen(agent: Agent, events: Sequence[Event]) -> list[Rejection]:
    """What spoke against the other pools when the agent was placed last; nothing before its first placement."""
    placed = next((e for e in reversed(events) if e.event == _PLACED and e.attempt == agent.attempt), None)
    return list(placement(placed).rejections) if placed else []


def placement(event: Event) -> Details:
    """Why an agent got the place that it got then, and what spoke against others; empty of every other event.

    What an older version has written is read back from its words.
    """
    if event.event != _PLACED:
        return Details()
    return from_text(event.details) if event.details else Details(rejections=tuple(rejections(event.message)))


def rejections(message: str) -> list[Rejection]:
    """Reads back what a placement's event without details says of the pools not chosen."""
    parts = _REJECTION.split(message)[1:]
    return [
        Rejection(pool=PoolName(pool), reason=Reason(reason), message=text)
        for pool, reason, text in zip(parts[::3], parts[1::3], parts[2::3], strict=True)
    ]
