"""Time that does not count: deadlines that wait for a connection stand still while the controller or gateway is away,
and all deadlines while the broker itself was."""

from datetime import timedelta
from typing import Final

from broker.domain.lifecycle import Phase
from broker.reconcile.context import Context

TICK_S: Final = 1.0
_ALIVE_EVERY_S: Final = 5.0
_WAITING: Final = (Phase.CONNECTING, Phase.RECONNECTING, Phase.DRAINING)
_TIMED: Final = (Phase.REQUESTED, Phase.LAUNCHING, Phase.BOOTING, *_WAITING)


class Standstill:
    """Moves deadlines by the time that did not count."""

    def __init__(self, ctx: Context) -> None:
        """Counts from now on; `make_up_for_absence` comes first."""
        self._ctx = ctx
        self._last = ctx.clock.monotonic()
        self._alive_noted = float("-inf")

    async def make_up_for_absence(self) -> None:
        """The time in which the broker did not run counts for nobody."""
        alive, now = await self._ctx.contacts.last_alive(), self._ctx.clock.now()
        if alive is not None and alive < now:
            ids = [agent.id for agent in await self._ctx.agents.live()]
            await self._ctx.agents.extend_deadlines(ids, _TIMED, now - alive)
        await self._note_alive()

    async def tick(self) -> None:
        """Moves the deadlines of agents whose controller or gateway is away by the time since the last tick."""
        now = self._ctx.clock.monotonic()
        passed, self._last = timedelta(seconds=now - self._last), now
        still = [
            agent.id
            for agent in await self._ctx.agents.live()
            if agent.phase in _WAITING and self._ctx.time_stands_still(agent)
        ]
        await self._ctx.agents.extend_deadlines(still, _WAITING, passed)
        if now - self._alive_noted >= _ALIVE_EVERY_S:
            await self._note_alive()

    async def _note_alive(self) -> None:
        self._alive_noted = self._ctx.clock.monotonic()
        await self._ctx.contacts.note_alive(self._ctx.clock.now())
