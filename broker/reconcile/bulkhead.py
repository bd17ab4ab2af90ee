"""How many launches are called at once, so that one backend, or one pool, holds up no other.

A backend has so many calls, a pool a part of them. A pool starts slowly: until it has proved itself it has no more
calls without an answer, or with a bad one, than failures open its breaker; each launch that it accepts doubles that,
and an agent of it that came online and served ends it. So a pool that refuses everything is called a handful of times,
however many agents wait for it. Whoever finds no place stands in line, and is told when there is one.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, auto
from itertools import islice
from typing import Final

from broker.domain.ids import AgentId, BackendName, PoolName
from broker.domain.offer import Offering
from broker.domain.pool import Pool
from broker.store.cooldowns import Failure, is_in_force

OF_A_BACKEND: Final = 32
OF_A_POOL: Final = 24
"""Calls at once; what a pool leaves is for the backend's others."""
_TRUSTED: Final = 1000
"""A window this wide bounds nothing."""
STUCK_S: Final = 5.0
"""A pool whose calls have no answer for so long takes no more agents: what stands in line goes elsewhere."""


class Answer(Enum):
    """What became of a call, as far as it says something of the pool."""

    ACCEPTED = auto()
    BAD = auto()
    NO_WORD = auto()
    """Of the pool as a whole: nothing was in stock at one place, or it was the controller that was away."""


@dataclass(slots=True)
class _Trust:
    """What this process knows of a pool: how many calls it may have open, or None, how many were bad in a row, and when
    the last bad one was."""

    window: int | None
    bad: int = 0
    doubted_s: float = float("-inf")

    def allows(self, open_calls: int) -> bool:
        """One call at a time is always allowed, or nobody would learn that it is mended."""
        return self.window is None or open_calls == 0 or open_calls + self.bad < self.window


@dataclass(frozen=True, slots=True)
class _Call:
    pool: Pool
    since: float


@dataclass(slots=True)
class Bulkhead:
    """Lives in memory: a new process knows no pool, and starts slowly with each."""

    _calls: dict[AgentId, _Call] = field(default_factory=dict)
    _lines: dict[PoolName, dict[AgentId, Pool]] = field(default_factory=dict)
    _trust: dict[PoolName, _Trust] = field(default_factory=dict)
    _shut: dict[Offering, tuple[datetime, datetime]] = field(default_factory=dict)

    def enter(self, agent_id: AgentId, pool: Pool, now_s: float, *, again: bool = False) -> bool:
        """Takes a place for a call; False: there is none, and the agent stands in line for one.

        A call that is made `again` does not wait for trust: something of it may exist already.
        """
        if self._free(pool) <= 0 or not (again or self._trusts(pool)):
            self._lines.setdefault(pool.name, {}).setdefault(agent_id, pool)
            return False
        self.forget(agent_id)
        self._calls[agent_id] = _Call(pool, now_s)
        return True

    def leave(self, agent_id: AgentId, answer: Answer, now_s: float) -> list[AgentId]:
        """The call has been answered; returns who may come now."""
        call = self._calls.pop(agent_id, None)
        if call is None:  # of a pool that is no longer configured
            return []
        pool, trust = call.pool, self._of(call.pool)
        if answer is Answer.ACCEPTED:
            trust.bad = 0
            if trust.window is not None:
                trust.window = None if trust.window * 2 > _TRUSTED else trust.window * 2
        elif answer is Answer.BAD:
            trust.bad, trust.doubted_s = trust.bad + 1, now_s
            if trust.bad > 1:
                trust.window = pool.cooldown.after_failures
        return self._next(pool.backend)

    def failed(self, failure: Failure, now_s: float) -> list[AgentId]:
        """Heeds what has been written of a failure; returns those in line whom it concerns."""
        shut = dict.fromkeys(failure.lacks, (failure.at, failure.cooled_until))
        if failure.rests_until is not None:
            whole = Offering(failure.pool.name)
            _, lacks_until = shut.get(whole, (failure.at, failure.rests_until))
            shut[whole] = (failure.at, max(failure.rests_until, lacks_until))
            self._trust[failure.pool.name] = _Trust(failure.pool.cooldown.after_failures, 0, now_s)
        self._shut = {of: times for of, times in self._shut.items() if is_in_force(*times, failure.at)} | shut
        return [agent_id for name in {of.pool for of in shut} for agent_id in self._lines.get(name, ())]

    def proven(self, pool: Pool, online_s: float) -> None:
        """An agent of the pool serves since then: if nothing went badly after it, the pool is trusted."""
        if online_s > self._of(pool).doubted_s:
            self._trust[pool.name] = _Trust(None)

    def opened(self, pool: PoolName) -> None:
        """The pool's rest has ended before its time."""
        self._shut.pop(Offering(pool), None)

    def is_shut(self, offering: Offering, now: datetime) -> bool:
        """Whether a launch there would be refused, for all that is known since it was decided."""
        wider = (offering, Offering(offering.pool, capacity=offering.capacity), Offering(offering.pool))
        return any(of in self._shut and is_in_force(*self._shut[of], now) for of in wider)

    def is_stuck(self, pool: Pool, now_s: float) -> bool:
        """Whether the calls that are open, and leave no place for another one, have had no answer for a while."""
        if self._free(pool) > 0 and self._trusts(pool):
            return False
        open_calls = [call.since for call in self._calls.values() if call.pool.backend == pool.backend]
        return bool(open_calls) and now_s - min(open_calls) >= STUCK_S

    def windows(self, pools: Mapping[PoolName, Pool], now_s: float) -> dict[PoolName, int]:
        """How many more agents each pool may be given that does badly now; one that does well is not in it."""
        found = {}
        for name in self._trust.keys() & pools.keys():
            trust, pool = self._trust[name], pools[name]
            if self.is_stuck(pool, now_s):
                found[name] = 0
            elif trust.window is not None and trust.bad > 1:
                open_calls = self._open(name)
                waiting = open_calls + len(self._lines.get(name, ()))
                found[name] = max(0, trust.window - trust.bad - waiting, int(waiting == 0))
        return found

    def forget(self, agent_id: AgentId) -> None:
        """The agent stands in no line any more."""
        for name in [name for name, line in self._lines.items() if line.pop(agent_id, None) and not line]:
            del self._lines[name]

    def keep_only(self, pools: Mapping[PoolName, Pool]) -> None:
        """Forgets the pools that a reload has removed, but for those that are still called."""
        kept = {*pools, *self._lines, *(call.pool.name for call in self._calls.values())}
        for name in self._trust.keys() - kept:
            del self._trust[name]
        for of in [of for of in self._shut if of.pool not in kept]:
            del self._shut[of]

    def _of(self, pool: Pool) -> _Trust:
        return self._trust.setdefault(pool.name, _Trust(pool.cooldown.after_failures))

    def _open(self, name: PoolName) -> int:
        return sum(call.pool.name == name for call in self._calls.values())

    def _free(self, pool: Pool) -> int:
        of_backend = sum(call.pool.backend == pool.backend for call in self._calls.values())
        return min(OF_A_BACKEND - of_backend, OF_A_POOL - self._open(pool.name))

    def _trusts(self, pool: Pool) -> bool:
        return self._of(pool).allows(self._open(pool.name))

    def _next(self, backend: BackendName) -> list[AgentId]:
        """The first of each line of the backend, as many as there is place for."""
        return [agent_id for line in self._lines.values() for agent_id in self._first(line, backend)]

    def _first(self, line: Mapping[AgentId, Pool], backend: BackendName) -> Iterator[AgentId]:
        pool = next(iter(line.values()))
        if pool.backend != backend:
            return iter(())
        trust, open_calls = self._of(pool), self._open(pool.name)
        may = self._free(pool)
        if trust.window is not None:
            may = min(may, max(trust.window - trust.bad - open_calls, int(open_calls == 0)))
        return islice(iter(line), max(0, may))
