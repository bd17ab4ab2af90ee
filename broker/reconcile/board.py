"""What every pool offers, asked beside placement: a backend that hangs holds up only its own pools' agents."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from broker.domain.definitions import Definitions
from broker.domain.ids import BackendName, PoolName
from broker.domain.offer import Offer
from broker.domain.pool import Pool
from broker.errors import BackendError, OutcomeUnknown, Throttled
from broker.placement.ground import Offers
from broker.ports import Backend, Clock
from broker.telemetry import events

STALE_S: Final = 30.0
"""After so long without an answer, nothing is known of a pool any more."""
ASK_AGAIN_S: Final = 1.0
"""While somebody waits for a place."""
_IDLE_S: Final = 10.0
_APART_S: Final = 0.1
_FIRST_ANSWER_S: Final = 0.5
_TIMEOUT_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class _Answer:
    told: Sequence[Offer] | BackendError
    asked_at: float
    asked: datetime


@dataclass(slots=True)
class OfferBoard:
    """The last answer of each pool's backend. Placement reads it and never asks."""

    clock: Clock
    news: Callable[[], None]
    """Called when a pool offers something else than before."""
    _answers: dict[PoolName, _Answer] = field(default_factory=dict)
    _first_asked: dict[PoolName, float] = field(default_factory=dict)
    _wanted: dict[BackendName, asyncio.Event] = field(default_factory=dict)
    _waits_until: float = float("-inf")

    def offers(self, definitions: Definitions) -> Offers:
        """What each pool offers as far as is known; an error for one whose backend has not answered for long."""
        now = self.clock.monotonic()
        return {name: self._offer(pool, now) for name, pool in definitions.pools.items()}

    def asked(self) -> Mapping[PoolName, datetime]:
        """When the answers were asked for: what was placed since, they cannot know of."""
        return {pool: answer.asked for pool, answer in self._answers.items()}

    def starts(self, definitions: Definitions) -> bool:
        """Whether the first answer for some pool is awaited, and still within the half second that it is given."""
        now = self.clock.monotonic()
        new = definitions.pools.keys() - self._answers.keys()
        first = [self._first_asked.setdefault(pool, now) for pool in new]
        if new:
            self._wake()
        return any(now - at < _FIRST_ANSWER_S for at in first)

    def someone_waits(self) -> None:
        """Has all backends asked again soon, and more often for a time."""
        self._waits_until = self.clock.monotonic() + 2 * ASK_AGAIN_S
        self._wake()

    async def follow(self, name: BackendName, now: Callable[[], tuple[Backend | None, Sequence[Pool]]]) -> None:
        """Asks a backend again and again until it is cancelled; `now` gives it with its pools."""
        wanted = self._wanted[name] = asyncio.Event()
        try:
            while True:
                wanted.clear()
                backend, pools = now()
                if backend is not None:
                    await self.ask(backend, pools)
                await self._pause(wanted)
        finally:
            if self._wanted.get(name) is wanted:
                del self._wanted[name]

    async def ask(self, backend: Backend, pools: Sequence[Pool]) -> None:
        """Asks for all of these pools at once; each answer counts from when it comes."""
        now = self.clock.monotonic()
        for pool in pools:
            self._first_asked.setdefault(pool.name, now)
        async with asyncio.TaskGroup() as group:
            for pool in pools:
                group.create_task(self._ask(backend, pool), name=f"offers:{pool.name}")

    def keep_only(self, pools: Mapping[PoolName, Pool]) -> None:
        """Forgets the pools that a reload has removed."""
        for name in (self._first_asked.keys() | self._answers.keys()) - pools.keys():
            self._first_asked.pop(name, None)
            self._answers.pop(name, None)

    async def _ask(self, backend: Backend, pool: Pool) -> None:
        asked_at, asked = self.clock.monotonic(), self.clock.now()
        told: Sequence[Offer] | BackendError
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                told = tuple(await backend.offers(pool))
            _check(told, pool)
        except TimeoutError:
            return  # the answer before counts until it is stale
        except (OutcomeUnknown, Throttled) as error:
            events.POLL_FAILED.emit(backend=pool.backend, pool=pool.name, message=str(error))
            return
        except BackendError as error:
            told = error
        except Exception as error:  # a bug in one backend is that one's: placement goes on with the others
            events.POLL_FAILED.emit(backend=pool.backend, pool=pool.name, message=repr(error), exc_info=error)
            told = BackendError("", f"backend {pool.backend} cannot say what pool {pool.name} could hold: {error!r}")
        before = self._answers.get(pool.name)
        self._answers[pool.name] = _Answer(told, asked_at, asked)
        if before is None or not _same(before.told, told):
            self.news()

    async def _pause(self, wanted: asyncio.Event) -> None:
        """Until somebody wants to know more, or enough time has passed; never less than a moment."""
        clock, began = self.clock, self.clock.monotonic()
        await clock.sleep_until(began + _APART_S)
        waits = clock.monotonic() < self._waits_until
        async with asyncio.TaskGroup() as group:
            alarm = clock.sleep_until(began + (ASK_AGAIN_S if waits else _IDLE_S))
            tasks: set[asyncio.Task[object]] = {
                group.create_task(alarm, name="offers:alarm"),
                group.create_task(wanted.wait(), name="offers:wanted"),
            }
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                task.cancel()

    def _wake(self) -> None:
        for wanted in self._wanted.values():
            wanted.set()

    def _offer(self, pool: Pool, now: float) -> Sequence[Offer] | BackendError:
        answer = self._answers.get(pool.name)
        if answer is None:
            return OutcomeUnknown("", f"backend {pool.backend} has not told yet what pool {pool.name} could hold")
        if now - answer.asked_at > STALE_S:
            since = f"{answer.asked:%H:%M:%S} UTC"
            return OutcomeUnknown(
                "", f"backend {pool.backend} has not told what pool {pool.name} could hold since {since}"
            )
        return answer.told


def _check(offers: Sequence[Offer], pool: Pool) -> None:
    for offer in offers:
        flaw = f"it is of pool {offer.pool}" if offer.pool != pool.name else offer.flaw()
        if flaw:
            raise BackendError("", f"backend {pool.backend} offers in pool {pool.name} what cannot be: {flaw}")


def _same(before: Sequence[Offer] | BackendError, now: Sequence[Offer] | BackendError) -> bool:
    if isinstance(before, BackendError) or isinstance(now, BackendError):
        return type(before) is type(now) and str(before) == str(now)
    return before == now
