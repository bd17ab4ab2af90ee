"""Placements that are on disk: read, decided and saved, so many in one transaction."""

import os
import tempfile
import time
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Final

from broker.domain.agent import Agent
from broker.domain.ids import PoolName
from broker.domain.limits import Usage
from broker.domain.offer import Offer
from broker.domain.placement import Decision
from broker.domain.policy import AgentLimits, PoolChoice
from broker.placement.engine import decide
from broker.store.agents import Agents
from broker.store.engine import open_database
from broker.store.placements import place_waiting
from broker.store.standing import Standing
from broker.telemetry.metrics import Metrics
from broker.testing.clock import EPOCH, ManualClock
from broker.testing.factories import make_agent, make_definitions, make_policy, make_pool
from tests.benchmarks.figures import Figure

BATCH: Final = 500
_ROUNDS: Final = 10
_WAITING: Final = 10_000
_POOLS: Final = ("it", "second", "third")


async def _look_s(asked: int, rounds: int, cap: int | None = None) -> tuple[int, float, float]:
    """Agents placed; and by the clock and of the CPU the seconds of their looks, or of one at a cap that is full."""
    pools = [make_pool(name=PoolName(name)) for name in _POOLS]
    policy = make_policy(pools=tuple(PoolChoice(pool=one.name) for one in pools), limits=AgentLimits(agents=cap))
    known, offers = make_definitions(pools=pools, policies=[policy]), {p.name: [Offer(pool=p.name)] for p in pools}

    def decider(agents: list[Agent], usage: Usage) -> list[Decision]:
        return decide(agents, offers, usage, known)

    placed, wall, cpu = 0, 0.0, 0.0
    with tempfile.TemporaryDirectory() as directory:
        database = await open_database(Path(directory, "broker.db"), Metrics(ManualClock()))
        try:
            agents = Agents(database)
            standing = Standing(rows=agents.rows)
            for n in range(rounds):
                await agents.accept([make_agent(n * asked + i) for i in range(asked)])
                if cap is not None:  # the first look fills it and tells everybody
                    await place_waiting(database, decider, EPOCH, lambda _: timedelta(minutes=1), standing)
                began, used = time.perf_counter(), time.process_time()
                look = await place_waiting(database, decider, EPOCH, lambda _: timedelta(minutes=1), standing)
                wall, cpu = wall + time.perf_counter() - began, cpu + time.process_time() - used
                placed += sum(agent.pool is not None for _, agent in look.decided)
        finally:
            await database.close()
    return placed, wall, cpu


async def figures() -> Mapping[str, Figure]:
    """Both on SQLite, synced to disk."""
    placed, wall, cpu = await _look_s(BATCH, _ROUNDS)
    _, full_wall, full_cpu = await _look_s(_WAITING, 1, cap=1)
    load = f"load average {os.getloadavg()[0]:.2f}"
    return {
        "decisions_per_s_durable": Figure(
            value=placed / wall,
            unit="/s",
            target=">= 10000",
            how=f"{_ROUNDS} batches of {BATCH} in a SQLite file; by CPU time {placed / cpu:.0f}/s; {load}",
        ),
        "look_at_full_queue_ms": Figure(
            value=1000 * full_wall,
            unit="ms",
            target="printed",
            how=f"{_WAITING} agents wait at a cap that is full; {1000 * full_cpu:.0f} ms of CPU; {load}",
        ),
    }
