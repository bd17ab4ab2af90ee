"""Time that does not count: deadlines that wait for a connection stand still while the controller or gateway is away,
and all deadlines while the broker itself was."""

from datetime import datetime, timedelta
from typing import Final

from broker.domain.lifecycle import Phase
from broker.errors import StoreUnavailable
from broker.reconcile.context import Context
from broker.reconcile.presence import AWAY_AFTER_S
from broker.store.engine import Database
from broker.telemetry import events

TICK_S: Final = 1.0
_ALIVE_EVERY_S: Final = 5.0
_ALIVE_AT: Final = "alive_at"
_WAITING: Final = (Phase.CONNECTING, Phase.RECONNECTING, Phase.DRAINING)
_TIMED: Final = (Phase.REQUESTED, Phase.LAUNCHING, Phase.BOOTING, *_WAITING)


class Standstill:
    """Moves deadlines by the time that did not count."""

    def __init__(self, ctx: Context) -> None:
        """Counts from now on; `make_up_for_absence` comes first."""
        self._ctx = ctx
        self._last = self._began = ctx.clock.monotonic()
        self._alive_noted = float("-inf")
        self._away = set(ctx.definitions.controllers)
        """At the start all are: nobody is told of a controller that was never there."""

    async def make_up_for_absence(self) -> None:
        """The time in which the broker did not run counts for nobody."""
        alive, now = await last_alive(self._ctx.database), self._ctx.clock.now()
        if alive is not None and alive < now:
            ids = await self._ctx.agents.live_ids()
            await self._ctx.agents.extend_deadlines(ids, _TIMED, now - alive)
            await self._ctx.hosts.extend_deadlines(now - alive)
        await self._note_alive()

    async def tick(self) -> None:
        """Moves the deadlines of agents whose controller or gateway is away by the time since the last tick.

        While the store cannot be written no deadline counts: the time is made up for once it can be again.
        """
        try:
            await self._tick()
        except StoreUnavailable:
            if self._ctx.store_silent_since is None:
                self._ctx.store_silent_since = max(self._alive_noted, self._began)
                events.STORE_AWAY.emit(message=self._ctx.database.failing)
            raise

    async def _tick(self) -> None:
        now = self._ctx.clock.monotonic()
        silent_since = self._ctx.store_silent_since
        if silent_since is not None:
            ids = await self._ctx.agents.live_ids()
            silent = timedelta(seconds=now - silent_since)
            await self._ctx.agents.extend_deadlines(ids, _TIMED, silent)
            await self._ctx.hosts.extend_deadlines(silent)
            self._ctx.nudge.hosts()
            await self._note_alive()
            self._last, self._ctx.store_silent_since = now, None
            events.STORE_BACK.emit(after_s=round(now - silent_since, 1))
            return
        passed = timedelta(seconds=now - self._last)
        still = [agent.id for agent in await self._ctx.agents.in_phases(_WAITING) if self._ctx.time_stands_still(agent)]
        await self._ctx.agents.extend_deadlines(still, _WAITING, passed)
        self._last = now
        self._tell_who_is_away()
        if now - self._alive_noted >= _ALIVE_EVERY_S:
            await self._note_alive()

    async def _note_alive(self) -> None:
        await self._ctx.database.remember(_ALIVE_AT, self._ctx.clock.now().isoformat())
        self._alive_noted = self._ctx.clock.monotonic()

    def _tell_who_is_away(self) -> None:
        for controller in self._ctx.definitions.controllers:
            away = self._ctx.presence.away(controller)
            if away and controller not in self._away:
                events.CONTROLLER_AWAY.emit(controller=controller, after_s=AWAY_AFTER_S)
            (self._away.add if away else self._away.discard)(controller)


async def last_alive(database: Database) -> datetime | None:
    """When the broker last noted that it runs; None for a new database."""
    noted = await database.recall(_ALIVE_AT)
    return datetime.fromisoformat(noted) if noted else None
