"""A batch of placements: read, decided and saved in one transaction, so that no cap can be raced (design D7, D9)."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from broker.domain.agent import Agent
from broker.domain.ids import LaunchToken
from broker.domain.lifecycle import Goal, Phase
from broker.domain.limits import Usage
from broker.domain.placement import Decision, Placed, Waits
from broker.store import cooldowns, limits
from broker.store.agents import change_rows, event_row, select_agents
from broker.store.engine import Database
from broker.store.levers import read_levers
from broker.store.schema import IS_LIVE, agents, history

Decider = Callable[[list[Agent], Usage], list[Decision]]
"""Pure: given the agents that wait and what is taken, decides each."""


async def place_waiting(
    database: Database,
    decider: Decider,
    now: datetime,
    deadline_of: Callable[[Placed], timedelta],
) -> list[tuple[Decision, Agent]]:
    """Places the agents that wait and are due; returns each decision with its agent as it now stands.

    A placed agent is `launching`, its limits reserved, its launch token saved: all before any call. For one that waits,
    the reason is written if it is another than before. All are looked at: a full policy must not starve another.
    """

    async def work(connection: AsyncConnection) -> list[tuple[Decision, Agent]]:
        waiting = await select_agents(
            connection,
            IS_LIVE,
            agents.c.phase == Phase.REQUESTED,
            agents.c.goal == Goal.ONLINE,
            agents.c.not_before <= now,
        )
        usage = Usage(
            now=now,
            used=await limits.read_used(connection),
            rests=await cooldowns.read_rests(connection, now),
            cooled=await cooldowns.read_cooled(connection, now),
            levers=await read_levers(connection),
        )
        decisions = decider(waiting, usage)
        placed = [d for d in decisions if isinstance(d, Placed)]
        await limits.reserve(connection, [d.claims for d in placed])
        for pool, agent_id in {d.placement.offer.pool: d.agent.id for d in placed}.items():
            await cooldowns.set_probe(connection, pool, agent_id)
        changes = [(d.agent, _launching(d, now, deadline_of(d))) for d in placed]
        waits = [d for d in decisions if isinstance(d, Waits)]
        news = [d for d in waits if (d.agent.why, d.agent.message) != (d.reason, d.message)]
        changes += [(d.agent, replace(d.agent, why=d.reason, message=d.message)) for d in news]
        changed = {agent.id: agent for agent in await change_rows(connection, changes)}
        if changed:
            names = {Phase.LAUNCHING: "placed", Phase.REQUESTED: "waiting"}
            await connection.execute(insert(history), [event_row(a, names[a.phase], now) for a in changed.values()])
        return [(decision, changed.get(decision.agent.id, decision.agent)) for decision in decisions]

    return await database.transaction(work)


def _launching(placed: Placed, now: datetime, deadline: timedelta) -> Agent:
    before, attempt, offer = placed.agent, placed.agent.attempt + 1, placed.placement.offer
    return replace(
        before,
        phase=Phase.LAUNCHING,
        phase_since=now,
        deadline=now + deadline,
        attempt=attempt,
        pool=offer.pool,
        placed_at=now,
        zone=offer.zone,
        type=offer.type,
        capacity=offer.capacity,
        host=offer.host,
        token=LaunchToken(f"{before.id}-{attempt}"),
        instance=None,
        direct=placed.direct,
        rate=placed.rate.hourly if placed.rate else None,
        expected_life=placed.rate.expected if placed.rate else None,
        costs_since=None,
        held=limits.as_held(placed.claims),
        why=None,
        message="; ".join(f"{r.pool}: {r.reason}: {r.message}" for r in placed.placement.rejections),
    )
