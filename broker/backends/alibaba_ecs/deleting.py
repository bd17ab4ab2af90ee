"""The end of hosts: DeleteInstances in batches, and the time at which the cloud ends them if no broker is left."""

import hashlib
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Final

from broker.backends.alibaba_ecs.calls import Calls
from broker.backends.alibaba_ecs.codes import NoSuchThing
from broker.backends.alibaba_ecs.known import NEVER, Known
from broker.backends.alibaba_ecs.request import release_at, release_text
from broker.backends.alibaba_ecs.ticker import BATCH, Ticker
from broker.domain.ids import HostRef
from broker.errors import BackendError, BackendRejected, OutcomeUnknown, Throttled
from broker.ports import Clock

_AGAIN_S: Final = 20.0
"""A deletion that was taken and has not shown is asked for anew."""
_TURN_S: Final = 10.0
_REFUSED_S: Final = 60.0
"""A release time that the cloud refuses to put off is put off anew: it may not know the instance yet, or any more."""
_PUSHES: Final = 5
"""So many release times are put off by one question: the others with the next."""


class Deleter:
    """Deletes instances of ours, whatever state they are in."""

    def __init__(self, calls: Calls, ticker: Ticker, clock: Clock) -> None:
        """`ticker` says whose each is, and learns what was told to end."""
        self._calls = calls
        self._ticker = ticker
        self._clock = clock

    async def delete(self, refs: Sequence[HostRef]) -> None:
        """Begins the end of all of them that exist and are ours. Raises what the first failure was, after all."""
        now = self._clock.monotonic()
        known = await self._ticker.look_at(refs)
        due = [one for one in known if self._is_due(one, now)]
        failures = [
            failed
            for start in range(0, len(due), BATCH)
            if (failed := await self._batch(due[start : start + BATCH])) is not None
        ]
        if failures:
            raise failures[0]

    def _is_due(self, known: Known, now: float) -> bool:
        if known.is_gone(now):
            known.ended_at = now  # told: it need not be told as stillborn any more
            return False
        if known.item is not None and not known.ours:
            return False
        return now - known.ended_at >= _AGAIN_S

    async def _batch(self, batch: Sequence[Known]) -> BackendError | None:
        """One call; where one id spoils it, halves of it."""
        request = {"InstanceId": [known.ref for known in batch], "Force": True}
        try:
            await self._calls("ecs:DeleteInstances", request, patience_s=_TURN_S)
        except NoSuchThing:
            if len(batch) == 1:
                self._missing(batch[0])
                return None
            return await self._halves(batch)
        except (Throttled, OutcomeUnknown) as error:
            return error
        except BackendRejected as error:
            if len(batch) == 1 or error.code.startswith("Forbidden"):
                return error
            return await self._halves(batch)
        now = self._clock.monotonic()
        for known in batch:
            known.ended_at = now
        return None

    async def _halves(self, batch: Sequence[Known]) -> BackendError | None:
        middle = len(batch) // 2
        first = await self._batch(batch[:middle])
        second = await self._batch(batch[middle:])
        return first or second

    def _missing(self, known: Known) -> None:
        """The cloud knows no such instance: for its end that is a success, unless it is too new to be known."""
        now = self._clock.monotonic()
        known.ended_at = now
        if not known.fresh or known.seen > NEVER:
            known.miss(now, sure=True)


class Releases:
    """Puts off the time at which the cloud deletes hosts by itself, when half of it is over."""

    def __init__(self, calls: Calls, clock: Clock, horizon_s: float) -> None:
        """`horizon_s` is how far ahead it is; 0: never."""
        self._calls = calls
        self._clock = clock
        self._horizon_s = horizon_s

    async def put_off(self, watched: Iterable[Known]) -> None:
        """A few calls, for those that are due. What fails is tried again: one that the cloud refuses after the others.

        Those that have a time of an earlier config, where now there is none, have it no more.
        """
        due = [known for known in watched if self._is_due(known)]
        for known in sorted(due, key=lambda one: str(one.release_at))[:_PUSHES]:
            at = release_at(self._clock.now(), self._horizon_s)
            request: dict[str, str] = {"InstanceId": known.ref}
            if at is not None:
                request["AutoReleaseTime"] = release_text(at)
            try:
                await self._calls("ecs:ModifyInstanceAutoReleaseTime", request, patience_s=1.0)
            except BackendRejected:
                known.refused_at = self._clock.monotonic()
                continue
            except BackendError:
                return
            known.release_at = at

    def _is_due(self, known: Known) -> bool:
        """From half of its time on, up to a tenth of it later: those of one order not all at once."""
        if known.release_at is None or not known.ours or known.ended_at > NEVER or known.misses or known.is_recycled:
            return False
        if self._clock.monotonic() - known.refused_at < _REFUSED_S:
            return False
        if not self._horizon_s:
            return True
        spread = hashlib.sha256(known.ref.encode()).digest()[0] / 255 * 0.1
        left = timedelta(seconds=self._horizon_s * (0.5 - spread))
        return known.release_at - self._clock.now() <= left
