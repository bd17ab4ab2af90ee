"""Images on their way: one fetch an image, however many agents wait for it, and whoever gives up waiting."""

import asyncio
from dataclasses import dataclass, field
from typing import Final

from broker.backends.container.engine import Engine
from broker.domain.ids import LaunchToken
from broker.errors import BackendError, Throttled
from broker.ports import Clock

_AT_ONCE: Final = 4


@dataclass(slots=True)
class _Pull:
    started: float
    status: str = ""
    waiting: set[LaunchToken] = field(default_factory=set)
    """Launches that were told to come back: they are owed its end."""
    task: asyncio.Task[BackendError | None] | None = None


class Pulls:
    """Fetches outlive the call that began them: a launch has half a minute, an image may need many."""

    def __init__(self, engine: Engine, clock: Clock, patience_s: float = 15.0) -> None:
        """A call waits `patience_s` before it is told to come back."""
        self._engine = engine
        self._clock = clock
        self._patience_s = patience_s
        self._pulls: dict[str, _Pull] = {}
        self._room = asyncio.Semaphore(_AT_ONCE)

    async def ensure(self, image: str, token: LaunchToken) -> None:
        """Returns when the image is there.

        `Throttled` while it is on its way, with the engine's words; raises what the fetch failed of to every launch
        that has waited for it, once. Later launches try again.
        """
        pull = self._pulls.get(image)
        if pull is None or (pull.task is not None and pull.task.done() and token not in pull.waiting):
            pull = self._pulls[image] = self._begin(image)
        assert pull.task is not None
        pull.waiting.add(token)
        done, _ = await asyncio.wait({pull.task}, timeout=self._patience_s)
        if not done:
            seconds = round(self._clock.monotonic() - pull.started)
            raise Throttled("ImagePulling", f"{image} is being fetched since {seconds} s: {pull.status}".rstrip(": "))
        pull.waiting.discard(token)
        failed = pull.task.result()
        if not pull.waiting and self._pulls.get(image) is pull:
            del self._pulls[image]
        if failed is not None:
            raise failed

    async def close(self) -> None:
        """Ends what is on its way; the engine keeps what it has of it."""
        tasks = [pull.task for pull in self._pulls.values() if pull.task is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        self._pulls.clear()

    def _begin(self, image: str) -> _Pull:
        pull = _Pull(self._clock.monotonic())
        # In no group: it belongs to the backend, whose `close` ends it, and not to the launch that needs it first.
        pull.task = asyncio.get_running_loop().create_task(self._fetch(image, pull), name=f"pull:{image}")
        return pull

    async def _fetch(self, image: str, pull: _Pull) -> BackendError | None:
        def note(status: str) -> None:
            pull.status = status or pull.status

        try:
            async with self._room:
                await self._engine.pull(image, note)
        except BackendError as error:
            return type(error)(error.code, f"{image}: {error.message}", error.reason)
        return None
