"""What is old enough goes: agents that are gone with all that happened to them, hosts, what operators did, and
launches; and what is known of pools, and limits of which nothing is taken."""

from datetime import datetime
from typing import Any, Final

from sqlalchemy import Select, delete, exists, select
from sqlalchemy.ext.asyncio import AsyncConnection

from broker.store import limits
from broker.store.engine import Database
from broker.store.schema import (
    HOST_IS_GONE,
    IS_GONE,
    agents,
    controller_cookies,
    cooldowns,
    hand_launches,
    history,
    hosts,
    offering_rests,
)

BATCH: Final = 200
"""Agents, or notes, of one transaction: other writers wait for some milliseconds."""


async def prune(database: Database, before: datetime, most: int = BATCH) -> int:
    """Deletes agents and hosts that were gone before that time, notes and launches as old, at most so many of each.

    Returns how many it has deleted; `most` or more means that there may be others. Living agents are never touched,
    whatever their age, and those of a launch by hand stay as long as it does, for it counts them. The name of an agent
    is free to be used again once its row is deleted.
    """
    launch_lasts = exists().where(hand_launches.c.id == agents.c.launch_id, hand_launches.c.expires_at >= before)
    over = select(agents.c.id).where(IS_GONE, agents.c.gone_at < before, ~launch_lasts)
    launches = select(hand_launches.c.id).where(hand_launches.c.expires_at < before)
    ended = select(hosts.c.id).where(HOST_IS_GONE, hosts.c.gone_at < before)
    old = select(history.c.number).where(history.c.agent.is_(None), history.c.at < before)

    async def work(connection: AsyncConnection) -> int:
        ids = await _keys(connection, over.order_by(agents.c.gone_at).limit(most))
        for held in await _keys(connection, select(agents.c.held).where(agents.c.id.in_(ids), agents.c.held != "")):
            await limits.give_back(connection, held)  # by the rules there is none; a bug must not cost a place for ever
        await connection.execute(delete(history).where(history.c.agent.in_(ids)))
        await connection.execute(delete(controller_cookies).where(controller_cookies.c.agent.in_(ids)))
        await connection.execute(delete(agents).where(agents.c.id.in_(ids)))
        numbers = await _keys(connection, old.order_by(history.c.number).limit(most))
        await connection.execute(delete(history).where(history.c.number.in_(numbers)))
        expired = await _keys(connection, launches.order_by(hand_launches.c.expires_at).limit(most))
        await connection.execute(delete(hand_launches).where(hand_launches.c.id.in_(expired)))
        machines = await _keys(connection, ended.order_by(hosts.c.gone_at).limit(most))
        await connection.execute(delete(hosts).where(hosts.c.id.in_(machines)))
        await limits.forget_unused(connection)
        await connection.execute(delete(cooldowns).where(cooldowns.c.window_start < before))
        await connection.execute(delete(offering_rests).where(offering_rests.c.until < before))
        return max(len(ids), len(numbers), len(expired), len(machines))

    return await database.transaction(work)


async def _keys(connection: AsyncConnection, query: Select[Any]) -> list[Any]:
    return list((await connection.execute(query)).scalars())
