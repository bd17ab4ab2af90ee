"""Looks at all watched instances of a backend together: a hundred a call, and seldom at those that do not move.

It has no task of its own: whoever asks brings it along. The core asks twice a second, and most answers are what is
known already. One look concerns everybody's instances, whoever's question it was.

An error, an empty answer and an answer without an instance are three things. An error says nothing. An answer that has
others says of one that is not in it that it does not exist. An empty one may be a fault: each is then asked for alone,
twice, but for those that were told to end: there it counts from the second time on.
"""

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from broker.backends.alibaba_ecs.asking import items
from broker.backends.alibaba_ecs.calls import Calls
from broker.backends.alibaba_ecs.known import NEVER, Instances, Known
from broker.backends.alibaba_ecs.notes import Notes
from broker.backends.alibaba_ecs.observe import NOTICE, Item
from broker.backends.alibaba_ecs.ownership import Ownership
from broker.domain.host import SeenHost
from broker.domain.ids import HostRef
from broker.errors import BackendError, OutcomeUnknown
from broker.ports import Clock

BATCH: Final = 100
"""Of DescribeInstances and DeleteInstances (API reference)."""
_MOST_PAGES: Final = 20
_STALE_S: Final = 90.0
"""Older knowledge is not told: then the error is."""
_FORGET_S: Final = 600.0
_AGAIN_S: Final = 1.0
_ALONE_AT_ONCE: Final = 5
_PATIENCE_S: Final = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Watching:
    """How often it is looked."""

    poll_s: float = 3.0
    steady_s: float = 28.0
    settle_s: float = 10.0


class Ticker:
    """Keeps `instances` up to date."""

    def __init__(self, calls: Calls, ownership: Ownership, notes: Notes, clock: Clock, often: Watching) -> None:
        """Nothing is known."""
        self._calls = calls
        self._ownership = ownership
        self._notes = notes
        self._clock = clock
        self._often = often
        self._lock = asyncio.Lock()
        self._looked_at = NEVER
        self.instances = Instances()

    async def describe(self, refs: Sequence[HostRef]) -> Mapping[HostRef, SeenHost]:
        """What exists of these. Raises what the last look failed of, if too little is known of one of them."""
        await self._notes.load()
        now = self._clock.monotonic()
        wanted = [self.instances.of(ref, now) for ref in refs]
        for known in wanted:
            known.asked = now
        await self._refresh(wanted)
        await self._notes.save()
        now = self._clock.monotonic()
        for known in wanted:
            self._raise_if_stale(known, now)
        told = ((known.ref, known.told(now)) for known in wanted)
        return {ref: seen for ref, seen in told if seen is not None}

    async def look_at(self, refs: Sequence[HostRef]) -> list[Known]:
        """What is known of these, looked up where that is nothing. Raises where it could not be."""
        await self._notes.load()
        now = self._clock.monotonic()
        wanted = [self.instances.of(ref, now) for ref in refs]
        missing = [known for known in wanted if known.item is None and known.looked == NEVER]
        if missing:
            await self._refresh(missing)
        for known in missing:
            if known.looked == NEVER:
                raise known.failed or OutcomeUnknown("NoAnswer", f"nothing is known of {known.ref} yet")
        return wanted

    def _raise_if_stale(self, known: Known, now: float) -> None:
        """Nothing is said of one that was never told of, or not for long: that would be that it does not exist."""
        if known.is_gone(now):
            return
        unknown = known.item is None and not known.fresh
        last = max(known.looked, known.since if known.fresh else NEVER)
        if unknown or (known.failed is not None and now - last > _STALE_S):
            raise known.failed or OutcomeUnknown("NoAnswer", f"nothing is known of {known.ref} yet")

    async def _refresh(self, wanted: Sequence[Known]) -> None:
        async with self._lock:  # bounded: every call below is
            now = self._clock.monotonic()
            if not self._is_due(wanted, now):
                return
            self._looked_at = now
            self._notes.forget(self.instances.forget_unasked(now - _FORGET_S))
            for batch in self._batches(wanted, now):
                try:
                    await self._look(batch)
                except BackendError as error:
                    for known in batch:
                        known.failed = error

    def _is_due(self, wanted: Sequence[Known], now: float) -> bool:
        new = [known for known in wanted if known.looked == NEVER]
        if any(known.failed is None and not known.fresh for known in new):
            return True
        if now - self._looked_at < (_AGAIN_S if any(not known.fresh for known in new) else self._often.poll_s):
            return False
        return bool(new) or any(self._is_stale(known, now) for known in self.instances.by_ref.values())

    def _is_stale(self, known: Known, now: float) -> bool:
        if self._is_settled(known, now):
            return False
        moves = known.moves(now, self._often.settle_s)
        return now - known.looked >= (self._often.poll_s if moves else self._often.steady_s)

    def _is_settled(self, known: Known, now: float) -> bool:
        """Whether nothing more is to be learnt of it."""
        return known.is_gone(now) or now - max(known.asked, known.since) > _STALE_S

    def _batches(self, wanted: Sequence[Known], now: float) -> Iterator[list[Known]]:
        """What moves and what is stale, filled up with what was looked at longest ago: a full call costs no more.

        So a call mostly has some that exist for sure beside those that may not, and its answer says something of these.
        """
        alive = [known for known in self.instances.by_ref.values() if not self._is_settled(known, now)]
        chosen = {id(known): known for known in wanted if known.looked == NEVER}
        chosen |= {id(k): k for k in alive if k.moves(now, self._often.settle_s) or self._is_stale(k, now)}
        doubtful = [known for known in chosen.values() if known.empties and known.ended_at == NEVER]
        for known in doubtful[:_ALONE_AT_ONCE]:
            yield [known]
        due = [known for known in chosen.values() if known not in doubtful]
        rest = sorted((k for k in alive if id(k) not in chosen), key=lambda k: k.looked)
        full = due + rest[: -len(due) % BATCH] if due else []
        for start in range(0, len(full), BATCH):
            yield full[start : start + BATCH]

    async def _look(self, batch: Sequence[Known]) -> None:
        """One DescribeInstances; more if the cloud answers in pages."""
        request: dict[str, Any] = {"InstanceIds": json.dumps([known.ref for known in batch]), "MaxResults": BATCH}
        found: dict[str, Item] = {}
        for _ in range(_MOST_PAGES):
            told = await self._calls("ecs:DescribeInstances", request, patience_s=_PATIENCE_S)
            found |= {str(item.get("InstanceId")): item for item in items(told, ("Instances", "Instance"))}
            if not told.get("NextToken"):
                break
            request["NextToken"] = told["NextToken"]
        else:
            raise OutcomeUnknown("EndlessPages", f"DescribeInstances: more than {_MOST_PAGES} pages for {len(batch)}")
        now = self._clock.monotonic()
        there = [known for known in batch if known.ref in found]
        for known in there:
            self._note(known, found[known.ref], now)
        for known in batch:
            if known.ref not in found:
                self._miss(known, now, others=bool(there), alone=len(batch) == 1)

    def _note(self, known: Known, item: Item, now: float) -> None:
        known.note(item, now)
        owned = self._ownership.of(item)
        known.ours = owned is not None
        if owned is not None:
            known.connect_by = owned.connect_by
            known.host = (
                known.host or self._notes.host(known.ref) or (owned.hosts[0] if len(owned.hosts) == 1 else None)
            )
        if known.is_recycled and known.taken_at is None:
            known.taken_at = self._notes.notice(known.ref, self._clock.now() + NOTICE)

    def _miss(self, known: Known, now: float, *, others: bool, alone: bool) -> None:
        if others or alone:
            known.miss(now, sure=others)
            return
        known.looked, known.failed = now, None
        known.empties += 1
        if known.ended_at > NEVER and known.empties >= 2:
            known.miss(now, sure=True)
