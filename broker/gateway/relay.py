"""The relay of one session: opaque bytes both ways between two legs, and nothing else."""

import asyncio
import errno
from collections.abc import Callable
from typing import Final

from broker.gateway.legs import CHUNK, GRACE_S, Leg

PING_TIMEOUT: Final = "ping_timeout"
SHUTDOWN: Final = "shutdown"
ERROR: Final = "error"


class Relay:
    """Carries bytes until one side ends; a slow side pauses the other one.

    `received_bytes` are the agent's, `sent_bytes` go to it. `why` tells who or what ended it first: a leg's name
    (`agent`, `controller`), `ping_timeout`, or what `end` was given; empty while it runs.
    """

    __slots__ = ("_agent", "_controller", "_cut", "_ended", "_tell", "received_bytes", "sent_bytes", "why")

    def __init__(self, agent: Leg, controller: Leg, tell: Callable[[str], None]) -> None:
        """Takes both legs, with the bytes that were read past their heads; `tell` is called with `why` as it ends."""
        self._agent = agent
        self._controller = controller
        self._ended = asyncio.Event()
        self._cut = False
        self._tell = tell
        self.received_bytes = 0
        self.sent_bytes = 0
        self.why = ""

    async def run(self) -> str:
        """Returns `why` when both connections are gone: pending bytes delivered, FIN, 2 s for the other direction."""
        try:
            async with asyncio.TaskGroup() as group:
                up = group.create_task(self._pump(self._agent, self._controller), name="relay:up")
                down = group.create_task(self._pump(self._controller, self._agent), name="relay:down")
                await self._ended.wait()
                if not self._cut:
                    await asyncio.wait({up, down}, timeout=GRACE_S)
                up.cancel()
                down.cancel()
        finally:
            self._end(SHUTDOWN)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._agent.close(), name="relay:close-agent")
                group.create_task(self._controller.close(), name="relay:close-controller")
        return self.why

    def end(self, why: str = SHUTDOWN) -> None:
        """Begins the end from outside: what is pending goes out, then both close. Safe to repeat."""
        self._cut = True
        self._end(why)

    def _end(self, why: str) -> None:
        if not self.why:
            self.why = why
            self._tell(why)
        self._ended.set()

    async def _pump(self, source: Leg, sink: Leg) -> None:
        data = bytes(source.surplus) or await self._read(source)
        source.surplus.clear()
        while data:
            if source is self._agent:
                self.received_bytes += len(data)
            else:
                self.sent_bytes += len(data)
            if not await self._write(sink, data):
                return
            data = await self._read(source)
        sink.finish()

    async def _read(self, leg: Leg) -> bytes:
        try:
            data = await leg.reader.read(CHUNK)
        except OSError as error:
            self._end(_why(leg, error))
            return b""
        if not data:
            self._end(leg.name)
        return data

    async def _write(self, leg: Leg, data: bytes) -> bool:
        try:
            leg.writer.write(data)
            await leg.writer.drain()
        except OSError as error:
            self._end(_why(leg, error))
            return False
        return True


def _why(leg: Leg, error: OSError) -> str:
    return PING_TIMEOUT if error.errno == errno.ETIMEDOUT else leg.name
