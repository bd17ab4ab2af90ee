"""A batch of placements: read, decided and saved in one transaction, so that no cap can be raced (design D7, D9)."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from broker.domain.agent import Agent
from broker.domain.ids import LaunchToken
from broker.domain.lifecycle import Goal, Phase
from broker.domain.limits import Usage
from broker.domain.placement import Decision, Placed, Waits
from broker.store import cooldowns, limits
from broker.store.agents import change_row, event_row, select_agents
from broker.store.engine import Database
from broker.store.schema import agents, history

Decider = Callable[[list[Agent], Usage], list[Decision]]
"""Pure: given the agents that wait and what is taken, decides each."""

MOST_AT_ONCE: Final = 1_000


async def place_waiting(
    database: Database,
    decider: Decider,
    now: datetime,
    deadline_of: Callable[[Placed], timedelta],
) -> list[tuple[Decision, Agent]]:
    """Places the agents that wait and are due; returns each decision with its agent as it now stands.

    A placed agent is `launching`, its limits reserved, its launch token saved: all before any call. For one that waits,
    the reason is written if it is another than before. The oldest `MOST_AT_ONCE` are looked at.
    """

    async def work(connection: AsyncConnection) -> list[tuple[Decision, Agent]]:
        waiting = await select_agents(
            connection,
            agents.c.phase == Phase.REQUESTED,
            agents.c.goal == Goal.ONLINE,
            agents.c.not_before <= now,
        )
        usage = Usage(now=now, used=await limits.read_used(connection), rests=await cooldowns.read_rests(connection))
        saved: list[tuple[Decision, Agent]] = []
        for decision in decider(waiting[:MOST_AT_ONCE], usage):
            if isinstance(decision, Placed):
                saved.append((decision, await _save_placed(connection, decision, now, deadline_of(decision))))
            else:
                saved.append((decision, await _save_waiting(connection, decision, now)))
        return saved

    return await database.transaction(work)


async def _save_placed(connection: AsyncConnection, placed: Placed, now: datetime, deadline: timedelta) -> Agent:
    before, pool = placed.agent, placed.placement.offer.pool
    attempt = before.attempt + 1
    after = replace(
        before,
        phase=Phase.LAUNCHING,
        phase_since=now,
        deadline=now + deadline,
        attempt=attempt,
        pool=pool,
        token=LaunchToken(f"{before.id}-{attempt}"),
        instance=None,
        why=None,
        message="; ".join(f"{r.pool}: {r.reason}: {r.message}" for r in placed.placement.rejections),
    )
    await limits.reserve(connection, before.id, placed.claims)
    await cooldowns.set_probe(connection, pool, before.id)
    changed = await change_row(connection, before, after)
    await connection.execute(insert(history).values(event_row(changed, "placed", now)))
    return changed


async def _save_waiting(connection: AsyncConnection, waits: Waits, now: datetime) -> Agent:
    before = waits.agent
    if (before.why, before.message) == (waits.reason, waits.message):
        return before
    changed = await change_row(connection, before, replace(before, why=waits.reason, message=waits.message))
    await connection.execute(insert(history).values(event_row(changed, "waiting", now)))
    return changed
