"""A keyed, merging, delaying queue: a key is worked on by one worker at a time, and asking for it twice is once."""

import asyncio
import heapq
from collections.abc import Hashable
from typing import Final, Generic, TypeVar

from broker.ports import Clock

K = TypeVar("K", bound=Hashable)
_STALE_ALLOWED: Final = 64


class WorkQueue(Generic[K]):
    """Keys that want a look, now or later. Bounded by the number of keys that exist.

    A key asked for while it is worked on is worked on once more afterwards. Of several times for one key the earliest
    stands; a look that is due at once takes the place of later ones, since the look decides the next by itself.
    """

    def __init__(self, clock: Clock) -> None:
        """Needs `run` beside its workers."""
        self._clock = clock
        self._ready: asyncio.Queue[K] = asyncio.Queue()
        self._waiting: set[K] = set()
        self._busy: set[K] = set()
        self._again: set[K] = set()
        self._due: dict[K, float] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._count = 0
        self._sooner = asyncio.Event()

    def add(self, key: K, after_s: float = 0.0) -> None:
        """Asks for a look at `key`, at once or after so many seconds."""
        if after_s <= 0:
            self._make_ready(key)
            return
        when = self._clock.monotonic() + after_s
        if key in self._waiting or self._due.get(key, float("inf")) <= when:
            return
        self._due[key] = when
        self._count += 1
        heapq.heappush(self._heap, (when, self._count, key))
        self._forget_stale()
        self._sooner.set()

    async def get(self) -> K:
        """The next key that is due; the caller must call `done` with it."""
        key = await self._ready.get()
        self._waiting.discard(key)
        self._busy.add(key)
        return key

    def done(self, key: K) -> None:
        """The look at `key` is over."""
        self._busy.discard(key)
        if key in self._again:
            self._again.discard(key)
            self._make_ready(key)

    async def run(self) -> None:
        """Makes delayed keys ready when their time has come; runs until it is cancelled."""
        while True:
            self._sooner.clear()
            when = self.ripen()
            async with asyncio.TaskGroup() as group:
                tasks: set[asyncio.Task[object]] = {group.create_task(self._sooner.wait(), name="queue:sooner")}
                if when is not None:
                    tasks.add(group.create_task(self._clock.sleep_until(when), name="queue:alarm"))
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in tasks:
                    task.cancel()

    def pending(self) -> bool:
        """Whether a key is ready for a worker."""
        return not self._ready.empty()

    def ripen(self) -> float | None:
        """Makes ready what is due; returns when the next key is, None if there is none."""
        while self._heap:
            when, _, key = self._heap[0]
            if self._due.get(key) == when and when > self._clock.monotonic():
                return when
            heapq.heappop(self._heap)
            if self._due.get(key) == when:
                self._make_ready(key)
        return None

    def _forget_stale(self) -> None:
        """A time that another one has replaced stays in the heap; now and then it is made anew without them."""
        if len(self._heap) > _STALE_ALLOWED + 2 * len(self._due):
            self._heap = [entry for entry in self._heap if self._due.get(entry[2]) == entry[0]]
            heapq.heapify(self._heap)

    def _make_ready(self, key: K) -> None:
        self._due.pop(key, None)
        if key in self._busy:
            self._again.add(key)
        elif key not in self._waiting:
            self._waiting.add(key)
            self._ready.put_nowait(key)
