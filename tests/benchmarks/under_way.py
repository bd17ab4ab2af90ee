"""What goes on in real time while virtual time stands still: calls to a cloud, threads at work."""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final, Protocol

from broker.backends.alibaba_ecs.calls import Answer, Asked
from broker.testing.clock import run_ready

_CALM: Final = 5
"""Turns of the loop without anything to do: a thread tells of its end one turn after it has ended."""
_REAL_S: Final = 0.0002


class UnderWay(Protocol):
    """Something of which is known how much of it is under way."""

    @property
    def open(self) -> int:
        """How much."""
        ...


class Together:
    """All that is under way of several."""

    def __init__(self, *parts: UnderWay) -> None:
        """Counts `parts` whenever it is asked."""
        self._parts = parts

    @property
    def open(self) -> int:
        """The sum of them."""
        return sum(part.open for part in self._parts)


class Asks:
    """Calls by the SDK of Alibaba Cloud, of which is known how many are under way."""

    def __init__(self, inner: Asked) -> None:
        """Asks `inner`."""
        self._inner = inner
        self.open = 0

    async def ask(self, action: str, request: Answer) -> Answer:
        """As the real one, counted."""
        self.open += 1
        try:
            return await self._inner.ask(action, request)
        finally:
            self.open -= 1

    def refused(self) -> None:
        """As the real one."""
        self._inner.refused()

    async def close(self) -> None:
        """Closes the real one."""
        await self._inner.close()


class Threads(ThreadPoolExecutor):
    """The loop's threads, of which is known how many are at work."""

    def __init__(self) -> None:
        """None works yet."""
        super().__init__(max_workers=8)
        self.open = 0

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        """As any, counted until its end is known."""
        self.open += 1
        future = super().submit(fn, *args, **kwargs)
        future.add_done_callback(lambda _: self._done())
        return future

    def _done(self) -> None:
        self.open -= 1


def settling(calls: UnderWay, working: Collection[object] = ()) -> Callable[[], Awaitable[None]]:
    """Waits until nobody is at work: neither `calls` nor `working`, and nothing that is ready to run."""

    async def settled() -> None:
        await run_ready(_CALM)
        while calls.open or working:
            await asyncio.sleep(_REAL_S)
            await run_ready(_CALM)

    return settled
