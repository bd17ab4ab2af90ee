"""The feed of what happened: every change of an agent, and what operators did, numbered in the order of the commits."""

import asyncio
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Row, Select, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from broker.domain.ids import AgentId, AgentName, ControllerName, PolicyName, PoolName
from broker.domain.lifecycle import Phase
from broker.domain.reason import Reason
from broker.ports import Clock
from broker.store.engine import Database
from broker.store.schema import agents, history

_MERGE_S: Final = 0.02
"""Readers are woken once for all that is committed within so long."""
_LOOK_AGAIN_S: Final = 5.0
"""Another process may have written: none does today, a replica will."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that happened; `number` rises without end and is never used twice, but leaves gaps.

    An event of an agent says what the agent was then: `agent_id` and `phase` are None, `agent`, `policy` and (for the
    broker as a whole) `controller` empty in what was noted otherwise. `actor` is the operator who did it, else empty.
    """

    number: int
    at: datetime
    controller: ControllerName
    agent_id: AgentId | None
    agent: AgentName
    policy: PolicyName
    event: str
    phase: Phase | None
    attempt: int
    pool: PoolName | None
    why: Reason | None
    message: str
    actor: str
    details: str | None = None
    """What placement said, as the store writes it; None where it said nothing."""


class History:
    """Reads the feed, waits for its growth, and notes what is not a change of an agent.

    A reader that goes on after the last number it has seen misses nothing: an event is visible from its commit, and
    none with a lower number is committed later.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        """Keeps the last number that it has read, and with it the commit up to which that holds."""
        self._database = database
        self._clock = clock
        self._known_until: asyncio.Event | None = None
        self._last = 0

    async def after(
        self, number: int, *, controller: ControllerName | None = None, agent: AgentName | None = None, limit: int = 256
    ) -> list[Event]:
        """The next events after `number`, the oldest first; of one controller, of the agents of one name, or of all."""
        clauses = [history.c.number > number]
        if controller is not None:
            clauses.append(history.c.controller == controller)
        if agent is not None:
            clauses.append(history.c.agent.in_(select(agents.c.id).where(agents.c.name == agent)))
        return await self._select(*clauses, limit=limit)

    async def of_agent(self, agent_id: AgentId) -> list[Event]:
        """All that is kept of one agent, the oldest first."""
        return await self._select(history.c.agent == agent_id)

    async def last_number(self) -> int:
        """The number of the newest event; 0 if there is none."""
        return await self._number(func.max(history.c.number))

    async def first_number(self) -> int:
        """The number of the oldest event that is kept; 0 if there is none."""
        return await self._number(func.min(history.c.number))

    async def note(
        self,
        event: str,
        *,
        actor: str,
        message: str,
        controller: ControllerName | None = None,
        pool: PoolName | None = None,
    ) -> None:
        """Adds an event that is no change of an agent: what an operator did to a pool, a controller or the broker."""
        row = {"at": self._clock.now(), "controller": controller or "", "event": event, "attempt": 0, "pool": pool}
        row |= {"name": "", "policy": "", "message": message, "actor": actor}
        await self._database.transaction(lambda connection: connection.execute(insert(history), [row]))

    async def wait(self, after: int) -> None:
        """Returns when there is an event after that number; at once if there is one already.

        `StoreUnavailable`: nobody can tell. Cancelling it leaves nothing behind.
        """
        while await self._last_seen() <= after:
            news = self._known_until or self._database.next_commit()
            try:
                async with asyncio.timeout(_LOOK_AGAIN_S):
                    await news.wait()
                await asyncio.sleep(_MERGE_S)
            except TimeoutError:
                self._known_until = None

    async def _last_seen(self) -> int:
        """The newest number as of the last commit: many that wait ask the database once."""
        upcoming = self._database.next_commit()
        if self._known_until is not upcoming:
            newest = await self.last_number()
            self._last, self._known_until = max(self._last, newest), upcoming
        return self._last

    async def _number(self, function: ColumnElement[Any]) -> int:
        async def work(connection: AsyncConnection) -> int:
            return int((await connection.execute(select(function))).scalar() or 0)

        return await self._database.read(work)

    async def _select(self, *clauses: ColumnElement[bool], limit: int | None = None) -> list[Event]:
        query = select(history).where(*clauses).order_by(history.c.number).limit(limit)
        return await self._database.read(lambda connection: select_events(connection, query))


async def select_events(connection: AsyncConnection, query: Select[Any]) -> list[Event]:
    """The events of a query over whole rows of the history."""
    return [_from_row(row) for row in await connection.execute(query)]


def _from_row(row: Row[Any]) -> Event:
    values = dict(row._mapping)
    values["agent_id"], values["agent"] = values["agent"], values.pop("name")
    values["phase"] = Phase(values["phase"]) if values["phase"] else None
    values["why"] = Reason(values["why"]) if values["why"] else None
    return Event(**values)
