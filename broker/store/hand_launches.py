"""Launches by hand: kept until their agents were asked for or their time is over, so that a restart forgets none."""

from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from broker.domain.agent import Agent
from broker.domain.hand_launch import HandLaunch
from broker.domain.ids import ControllerName, HandLaunchId, PolicyName
from broker.domain.lifecycle import Outcome
from broker.store.engine import Database
from broker.store.rows import read_whole
from broker.store.schema import IS_GONE, agents, hand_launches, history


class HandLaunches:
    """The launches by hand of one database, and what became of agents that no build had asked for."""

    def __init__(self, database: Database) -> None:
        """Keeps nothing in memory."""
        self._database = database

    async def add(self, launch: HandLaunch) -> HandLaunch:
        """Keeps a launch, with its event in the same transaction; one whose id is known is returned as it stands."""

        async def work(connection: AsyncConnection) -> HandLaunch:
            known = await _select(connection, hand_launches.c.id == launch.id)
            if known:
                return known[0]
            await connection.execute(insert(hand_launches), [asdict(launch)])
            await connection.execute(insert(history), [_event(launch)])
            return launch

        return await self._database.transaction(work)

    async def get(self, launch_id: HandLaunchId) -> HandLaunch | None:
        """One launch."""
        found = await self.some([launch_id])
        return found.get(launch_id)

    async def some(self, ids: Iterable[HandLaunchId]) -> dict[HandLaunchId, HandLaunch]:
        """The launches of these ids that are known."""
        wanted = list(dict.fromkeys(ids))
        found = await self._database.read(lambda connection: _select(connection, hand_launches.c.id.in_(wanted)))
        return {launch.id: launch for launch in found}

    async def open(self, controller: ControllerName, now: datetime) -> list[HandLaunch]:
        """The launches of a controller whose time is not over, the oldest first."""
        mine, lasting = hand_launches.c.controller == controller, hand_launches.c.expires_at > now
        return await self._database.read(lambda connection: _select(connection, mine, lasting))

    async def asked(self, ids: Iterable[HandLaunchId]) -> dict[HandLaunchId, int]:
        """How many agents were asked for for each, those that are gone too; a launch without any is left out."""
        wanted = list(dict.fromkeys(ids))
        query = select(agents.c.launch_id, func.count()).where(agents.c.launch_id.in_(wanted))

        async def work(connection: AsyncConnection) -> dict[HandLaunchId, int]:
            rows = await connection.execute(query.group_by(agents.c.launch_id))
            return {HandLaunchId(launch): int(number) for launch, number in rows}

        return await self._database.read(work)

    async def agents_of(self, launch_id: HandLaunchId) -> list[Agent]:
        """All agents that were asked for for a launch, the oldest first."""
        return await self._database.read(lambda connection: read_whole(connection, agents.c.launch_id == launch_id))

    async def warm_failures(
        self, controller: ControllerName, policy: PolicyName, since: datetime, now: datetime
    ) -> tuple[int, datetime | None]:
        """How many warm agents have ended without ever being online since then and since one came; and when last.

        What lies after `now` is left out: the clock was set back, and has still to tell that time.
        """
        warm = (agents.c.controller == controller, agents.c.policy == policy, agents.c.cause == "warm")
        came = select(func.max(agents.c.online_at)).where(*warm, agents.c.online_at <= now)
        failed = select(func.count(), func.max(agents.c.gone_at)).where(
            *warm, IS_GONE, agents.c.gone_at <= now, agents.c.online_at.is_(None), agents.c.outcome != Outcome.SUCCEEDED
        )

        async def work(connection: AsyncConnection) -> tuple[int, datetime | None]:
            last_came = (await connection.execute(came)).scalar()
            begin = max(since, last_came) if last_came is not None else since
            number, last = (await connection.execute(failed.where(agents.c.gone_at > begin))).one()
            return int(number), last

        return await self._database.read(work)


async def _select(connection: AsyncConnection, *clauses: ColumnElement[bool]) -> list[HandLaunch]:
    order = (hand_launches.c.created_at, hand_launches.c.id)
    rows = await connection.execute(select(hand_launches).where(*clauses).order_by(*order))
    return [HandLaunch(**row._mapping) for row in rows]


def _event(launch: HandLaunch) -> dict[str, Any]:
    agents_ = "1 agent" if launch.count == 1 else f"{launch.count} agents"
    label = f" for {launch.label_expression}" if launch.label_expression else ""
    return {
        "at": launch.created_at,
        "controller": launch.controller,
        "name": "",
        "policy": launch.policy,
        "event": "launch_asked",
        "attempt": 0,
        "message": f"launch {launch.id}: {agents_} of policy {launch.policy}{label}",
        "actor": launch.actor,
    }
