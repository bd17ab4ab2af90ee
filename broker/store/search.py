"""Questions that people ask: agents by what is known of them, and what is taken of limits. Nothing here writes."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median
from typing import Final

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from broker.domain.agent import Agent
from broker.domain.ids import AgentName, ControllerName, PoolName
from broker.domain.lifecycle import Phase
from broker.domain.limits import Scope
from broker.domain.reason import REASONS
from broker.store.engine import Database
from broker.store.history import Event, select_events
from broker.store.limits import read_used
from broker.store.rows import read_whole
from broker.store.schema import IS_LIVE, agents, history

_MOST_STARTS: Final = 2_000
_FEWEST_STARTS: Final = 5
"""Of fewer, nothing is usual."""
_MOST_SCANNED: Final = 20_000
"""So many of the newest events are searched for failures."""
_CAN_BE_FIXED: Final = [reason for reason, about in REASONS.items() if about.fix_by]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which agents are meant; what is None does not matter. Without `gone`, those that are gone are left out."""

    controller: str | None = None
    policy: str | None = None
    pool: str | None = None
    phase: Phase | None = None
    gone: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """A place in the list of agents: behind this one, by request time and then by name."""

    requested_at: datetime
    name: str


class Search:
    """Reads of one database."""

    def __init__(self, database: Database) -> None:
        """Keeps nothing in memory."""
        self._database = database

    async def agents(self, wanted: Wanted, *, limit: int, behind: Place | None = None) -> list[Agent]:
        """The oldest requests first, at most `limit`."""
        by_name = {"controller": wanted.controller, "policy": wanted.policy, "pool": wanted.pool, "phase": wanted.phase}
        clauses = [agents.c[name] == value for name, value in by_name.items() if value is not None]
        if not wanted.gone and wanted.phase is None:
            clauses.append(IS_LIVE)
        if behind is not None:
            same = and_(agents.c.requested_at == behind.requested_at, agents.c.name > behind.name)
            clauses.append(or_(agents.c.requested_at > behind.requested_at, same))
        ids = select(agents.c.id).where(*clauses).order_by(agents.c.requested_at, agents.c.name).limit(limit)
        return await self._agents(agents.c.id.in_(ids.scalar_subquery()))

    async def named(self, name: str) -> Agent | None:
        """The agent of this name, alive or gone, whichever controller asked for it; names are used once."""
        found = await self._agents(agents.c.name == AgentName(name))
        return found[-1] if found else None

    async def of_build(self, url: str) -> list[Agent]:
        """The agents that were asked for for the build of this URL, with or without a slash at its end."""
        bare = url.rstrip("/")
        return await self._agents(agents.c.build_url.in_([bare, f"{bare}/"]))

    async def start_times(self, since: datetime) -> list[timedelta]:
        """From request to online, of the agents that came online since then."""
        query = select(agents.c.online_at, agents.c.requested_at).where(agents.c.online_at >= since)

        async def work(connection: AsyncConnection) -> list[timedelta]:
            rows = await connection.execute(query.limit(_MOST_STARTS))
            return [online - requested for online, requested in rows]

        return await self._database.read(work)

    async def usual_start(self, pool: PoolName, since: datetime) -> timedelta | None:
        """The median from place to online, of a pool's agents that came online since then; None of too few."""
        mine = (agents.c.pool == pool, agents.c.online_at >= since, agents.c.placed_at.is_not(None))
        query = select(agents.c.online_at, agents.c.placed_at).where(*mine).limit(_MOST_STARTS)

        async def work(connection: AsyncConnection) -> timedelta | None:
            took = [online - placed for online, placed in await connection.execute(query)]
            return median(took) if len(took) >= _FEWEST_STARTS else None

        return await self._database.read(work)

    async def failures(self, controller: ControllerName, *, limit: int) -> list[Event]:
        """What went wrong with agents of a controller, the newest first: failed attempts, and decided ends."""
        newest = select(func.max(history.c.number)).scalar_subquery()
        clauses = (
            history.c.number > newest - _MOST_SCANNED,
            history.c.controller == controller,
            history.c.event.in_(["failed", "goal"]),
            history.c.why.in_(_CAN_BE_FIXED),
        )
        query = select(history).where(*clauses).order_by(history.c.number.desc()).limit(limit)
        return await self._database.read(lambda connection: select_events(connection, query))

    async def used(self) -> dict[tuple[Scope, str], int]:
        """What is taken of every limit."""
        return await self._database.read(read_used)

    async def number_before(self, moment: datetime) -> int:
        """The number behind which the events since `moment` begin."""
        since = select(history.c.number).where(history.c.at >= moment).order_by(history.c.number).limit(1)
        last = select(history.c.number).order_by(history.c.number.desc()).limit(1)

        async def work(connection: AsyncConnection) -> int:
            found = (await connection.execute(since)).scalar()
            return int(found) - 1 if found is not None else int((await connection.execute(last)).scalar() or 0)

        return await self._database.read(work)

    async def _agents(self, *clauses: ColumnElement[bool]) -> list[Agent]:
        return await self._database.read(lambda connection: read_whole(connection, *clauses))
