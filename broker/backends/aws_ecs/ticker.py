"""Looks at all watched tasks of a backend together: a hundred a call, and seldom at those that do not move.

It has no task of its own: whoever asks brings it along. The core asks twice a second, and most answers are what is
known already. One look concerns everybody's tasks, whoever's question it was.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from broker.backends.aws_ecs.arns import TaskPlace, place_of, task_id
from broker.backends.aws_ecs.calls import Calls
from broker.backends.aws_ecs.known import NEVER, Known, Tasks
from broker.backends.aws_ecs.logs import Logs
from broker.backends.aws_ecs.observe import state_of, with_notice
from broker.backends.aws_ecs.ownership import Ownership
from broker.backends.aws_ecs.rates import Family
from broker.domain.ids import InstanceRef
from broker.domain.instance import Instance, InstanceState
from broker.errors import BackendError, OutcomeUnknown
from broker.ports import Clock

_BATCH: Final = 100
"""Of DescribeTasks (API reference)."""
_STEADY_S: Final = 15.0
_SETTLE_S: Final = 60.0
"""A task that runs for less may be one that dies at once."""
_STALE_S: Final = 60.0
"""Older knowledge is not told: then the error is."""
_FORGET_S: Final = 600.0
_AGAIN_S: Final = 1.0
_PATIENCE_S: Final = 2.0
_LINES_AT_ONCE: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Watching:
    """How often it is looked."""

    poll_s: float = 3.0
    steady_s: float = _STEADY_S
    settle_s: float = _SETTLE_S


class Ticker:
    """Keeps `tasks` up to date."""

    def __init__(self, calls: Calls, logs: Logs, ownership: Ownership, clock: Clock, often: Watching) -> None:
        """Nothing is known."""
        self._calls = calls
        self._logs = logs
        self._ownership = ownership
        self._clock = clock
        self._often = often
        self._lock = asyncio.Lock()
        self._looked_at = NEVER
        self.tasks = Tasks()

    async def describe(self, refs: Sequence[InstanceRef]) -> Mapping[InstanceRef, Instance]:
        """What exists of these. Raises what the last look failed of, if too little is known of all without it.

        A look that has no turn now is left to the next question: what is known is told without waiting.
        """
        now = self._clock.monotonic()
        wanted = [self.tasks.of(ref, now) for ref in refs if place_of(ref) is not None]
        for known in wanted:
            known.asked = now
        await self._refresh(wanted, 0.0)
        now = self._clock.monotonic()
        failed = [known.failed for known in wanted if known.failed and now - known.looked > _STALE_S]
        if failed and len(failed) == len(wanted):  # else one cluster that cannot be asked would hide the others
            raise failed[0]
        await self._read_lines(wanted)
        found = ((known.ref, known.instance(now)) for known in wanted)
        return {ref: instance for ref, instance in found if instance is not None}

    async def look_at(self, ref: InstanceRef) -> Known | None:
        """What is known of one task, looked up if that is nothing; None for what is no task's ARN.

        What is known waits for no look: one that gets no answer keeps no task from being ended.
        """
        if place_of(ref) is None:
            return None
        known = self.tasks.of(ref, self._clock.monotonic())
        if known.task is not None and known.owned is not None:
            return known
        await self._refresh([known], _PATIENCE_S)
        if known.looked == NEVER and known.failed is not None:
            raise known.failed
        return known

    async def _refresh(self, wanted: Sequence[Known], patience_s: float) -> None:
        async with self._lock:  # bounded: every call below is
            now = self._clock.monotonic()
            if not self._is_due(wanted, now):
                return
            self._looked_at = now
            self.tasks.forget_unasked(now - _FORGET_S)
            for batch in self._batches(wanted, now):
                try:
                    await self._look(batch, patience_s)
                except BackendError as error:
                    for known in batch:
                        known.failed = error

    def _is_due(self, wanted: Sequence[Known], now: float) -> bool:
        if any(known.looked == NEVER and known.failed is None for known in wanted):
            return True
        if any(known.looked == NEVER for known in wanted) and now - self._looked_at >= _AGAIN_S:
            return True
        if now - self._looked_at < self._often.poll_s:
            return False
        return any(self._is_stale(known, now) for known in self.tasks.by_ref.values())

    def _is_stale(self, known: Known, now: float) -> bool:
        if self._is_settled(known, now):
            return False
        moves = known.moves(now, self._often.settle_s)
        return now - known.looked >= (self._often.poll_s if moves else self._often.steady_s)

    def _is_settled(self, known: Known, now: float) -> bool:
        """Whether nothing more is to be learnt of it."""
        over = (
            known.task is not None
            and state_of(known.task, known.container) is InstanceState.STOPPED
            and not known.moves(now, 0.0)
        )
        return over or known.is_gone(now) or now - max(known.asked, known.since) > _STALE_S

    def _batches(self, wanted: Sequence[Known], now: float) -> Iterator[list[Known]]:
        """What moves and what is stale, filled up with what was looked at longest ago: a full call costs no more."""
        alive = [known for known in self.tasks.by_ref.values() if not self._is_settled(known, now)]
        chosen = {id(known) for known in wanted if known.looked == NEVER}
        chosen |= {id(k) for k in alive if k.moves(now, self._often.settle_s) or self._is_stale(k, now)}
        pool = {id(known): known for known in (*wanted, *alive)}
        by_place: dict[TaskPlace, tuple[list[Known], list[Known]]] = {}
        for key, known in pool.items():
            place = place_of(known.ref)
            if place is not None:
                by_place.setdefault(place, ([], []))[0 if key in chosen else 1].append(known)
        for due, others in by_place.values():
            if not due:
                continue
            due.sort(key=lambda known: known.owned is not None)  # those whose tags are asked for share a call
            room = -len(due) % _BATCH
            fill = sorted((k for k in others if not self._is_settled(k, now)), key=lambda k: k.looked)[:room]
            full = due + fill
            yield from (full[start : start + _BATCH] for start in range(0, len(full), _BATCH))

    async def _look(self, batch: Sequence[Known], patience_s: float) -> None:
        """One DescribeTasks; with tags only where it is not known yet whose a task is."""
        place = place_of(batch[0].ref)
        if place is None:
            return
        request: dict[str, Any] = {"cluster": place.cluster, "tasks": [known.ref for known in batch]}
        if any(known.owned is None for known in batch):
            request["include"] = ["TAGS"]
        told = await self._calls.ecs(Family.READ, "DescribeTasks", request, region=place.region, patience_s=patience_s)
        now = self._clock.monotonic()
        tasks = {str(task["taskArn"]): task for task in told.get("tasks") or ()}
        failures = told.get("failures") or ()
        missing = {task_id(str(one.get("arn"))) for one in failures if one.get("reason") == "MISSING"}
        for known in batch:
            if (task := tasks.get(known.ref)) is None:
                if task_id(known.ref) in missing:
                    known.miss(now)
                else:  # an answer that is not whole says nothing of it
                    known.failed = OutcomeUnknown("NoAnswer", f"DescribeTasks says nothing of {known.ref}")
                continue
            if known.owned is None and "include" in request:
                known.owned = self._ownership.of_recorded(task)
            known.note(with_notice(task, known.task, self._clock.now()), now)

    async def _read_lines(self, wanted: Sequence[Known]) -> None:
        """Of tasks that have ended unasked, the first time that this is seen; some at a time."""
        ended = [k for k in wanted if k.task is not None and k.lines is None and k.owned and k.ended_at == NEVER]
        ended = [k for k in ended if k.task is not None and state_of(k.task, k.container) is InstanceState.STOPPED]
        if not ended:
            return
        read = await self._logs.last_lines(
            [(k.task, k.container) for k in ended[:_LINES_AT_ONCE] if k.task is not None]
        )
        for known in ended:
            known.lines = read.get(known.ref, ())
