"""The events as a list and as a stream (SSE), resumable by number; each reader reads the history at its own pace.

A stream holds nothing for its client but a place in the history: one that is slow, or has been away, and lacks more
than `MOST_BEHIND` events is told to read them as a list. Source of the format: html.spec.whatwg.org, server-sent events
(a block with only an id moves the client's last event id on, and is no event).
"""

import asyncio
from collections.abc import Callable
from typing import Final

from aiohttp import web

from broker.domain.ids import ControllerName
from broker.errors import StoreUnavailable
from broker.ports import Clock
from broker.store.history import Event, History
from broker.web.api.errors import ApiError
from broker.web.api.models import Model, Resync

MOST_BEHIND: Final = 256
KEEP_ALIVE_S: Final = 15.0
MOST_STREAMS: Final = 100
_WRITE_S: Final = 30.0
_MOST_SCANNED: Final = 5_000

Choose = Callable[[Event], bool]
Encode = Callable[[Event], Model]


class Feed:
    """All that reads the history for operators."""

    def __init__(self, history: History, clock: Clock) -> None:
        """Has no stream yet."""
        self._history = history
        self._clock = clock
        self._waiting: set[asyncio.Timeout] = set()
        self.open_streams = 0
        self._closing = False

    def close(self) -> None:
        """Ends all streams, for good; clients come again and resume elsewhere or later."""
        self._closing = True
        for waiting in self._waiting:
            waiting.reschedule(asyncio.get_running_loop().time())

    async def read(
        self, after: int, choose: Choose, controller: ControllerName | None, limit: int
    ) -> tuple[list[Event], int, bool]:
        """Events behind a number, up to which number was read, and whether there are more."""
        found, scanned = list[Event](), 0
        while scanned < _MOST_SCANNED:
            part = await self._history.after(after, controller=controller, limit=MOST_BEHIND)
            for event in part:
                if len(found) == limit:
                    return found, after, True
                after, scanned = event.number, scanned + 1
                if choose(event):
                    found.append(event)
            if len(part) < MOST_BEHIND:
                return found, after, False
        return found, after, True

    async def stream(self, request: web.Request, after: int, choose: Choose, encode: Encode) -> web.StreamResponse:
        """Sends events as they happen, from behind a number, until the client goes or the broker stops."""
        if self.open_streams >= MOST_STREAMS:
            raise ApiError(503, "too_many_streams", f"{MOST_STREAMS} streams of events are open", "try again later")
        self.open_streams += 1
        try:
            response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
            await response.prepare(request)
            await self._send(response, f": from {after}\nid: {after}\n\n")
            try:
                await self._follow(response, after, choose, encode)
            finally:  # it does not read: waiting for the end to arrive could last for ever; nor may an error follow
                if request.transport is not None and not self._closing:
                    request.transport.abort()
            return response
        finally:
            self.open_streams -= 1

    async def _follow(self, response: web.StreamResponse, after: int, choose: Choose, encode: Encode) -> None:
        try:
            while not self._closing:
                text, after = await self._next(after, choose, encode)
                await self._send(response, text)
        except (ConnectionError, TimeoutError, StoreUnavailable):
            return  # the client resumes with its last event id

    async def _next(self, after: int, choose: Choose, encode: Encode) -> tuple[str, int]:
        """What to send next, and where that leads to."""
        last, first = await self._history.last_number(), await self._history.first_number()
        if after > last or 0 < after < first - 1:  # of another database, or no longer kept
            return _resync(after, last)
        if after == last and not await self._grew(after):
            return f": nothing new\nid: {after}\n\n", after
        events = await self._history.after(after, limit=MOST_BEHIND + 1)
        if len(events) > MOST_BEHIND:
            return _resync(after, await self._history.last_number())
        blocks = [f"id: {e.number}\nevent: event\ndata: {encode(e).model_dump_json()}\n\n" for e in events if choose(e)]
        return "".join(blocks), events[-1].number if events else after

    async def _grew(self, after: int) -> bool:
        try:
            async with asyncio.timeout(KEEP_ALIVE_S) as waiting:
                self._waiting.add(waiting)
                try:
                    if not self._closing:
                        await self._history.wait(after)
                finally:
                    self._waiting.discard(waiting)
        except TimeoutError:
            return False
        return True

    async def _send(self, response: web.StreamResponse, text: str) -> None:
        if text:
            async with asyncio.timeout(_WRITE_S):
                await response.write(text.encode())


def _resync(after: int, last: int) -> tuple[str, int]:
    data = Resync(after=after, last=last).model_dump_json()
    return f"id: {last}\nevent: resync\ndata: {data}\n\n", last
