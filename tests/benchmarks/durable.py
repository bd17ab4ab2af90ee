"""Placements that are on disk: read, decided and saved, so many in one transaction."""

import os
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Final

from broker.domain.agent import Agent
from broker.domain.definitions import Definitions
from broker.domain.ids import PolicyName, PoolName
from broker.domain.limits import Usage
from broker.domain.offer import Offer
from broker.domain.overrides import Override
from broker.domain.placement import Decision
from broker.domain.policy import AgentLimits, PoolChoice
from broker.domain.resources import Resources
from broker.placement.engine import decide
from broker.placement.ground import Offers
from broker.store.agents import Agents
from broker.store.engine import Database, open_database
from broker.store.placements import Look, place_waiting
from broker.store.standing import Standing
from broker.telemetry.metrics import Metrics
from broker.testing.clock import EPOCH, ManualClock
from broker.testing.factories import make_agent, make_definitions, make_policy, make_pool
from tests.benchmarks import packing
from tests.benchmarks.figures import Figure, profiled

HOSTS: Final = 1000
HOST: Final = (32, 128)
QUEUED: Final = 5000
SMALL: Final = ((1, 2), (1, 4), (2, 4), (2, 8))
"""Of these, ten thousand fit on a thousand hosts."""
_ROUNDS: Final = 5
_WAITING: Final = 10_000
_POOLS: Final = ("it", "second", "third")
_NOW: Final = EPOCH + timedelta(minutes=2)


def offers_of_hosts() -> list[Offer]:
    """Empty hosts of one pool."""
    free = packing.resources(HOST)
    return [Offer(pool=packing.POOL, host=f"i-{n:04}", free=free) for n in range(HOSTS)]


class _Round:
    """A database of its own, and who waits in it."""

    def __init__(self, database: Database, definitions: Definitions, offers: Offers) -> None:
        agents = Agents(database)
        self.accept = agents.accept
        self.wall = self.cpu = 0.0
        self._database, self._definitions, self._offers = database, definitions, offers
        asked = dict.fromkeys(offers, EPOCH)  # so what is placed here is not in the offers, and is taken off them
        self._standing = Standing(rows=agents.rows, asked=asked, size_of=self._size_of)

    async def look(self) -> Look:
        """Decides those who wait, and takes the time."""
        began, used = time.perf_counter(), time.process_time()
        look = await place_waiting(self._database, self._decide, _NOW, lambda _: timedelta(minutes=1), self._standing)
        self.wall, self.cpu = self.wall + time.perf_counter() - began, self.cpu + time.process_time() - used
        return look

    def _decide(self, agents: list[Agent], usage: Usage) -> list[Decision]:
        return decide(agents, self._offers, usage, self._definitions)

    def _size_of(self, policy: PolicyName, _overrides: Override) -> Resources:
        return self._definitions.templates[self._definitions.policies[policy].template].resources


@asynccontextmanager
async def _round(definitions: Definitions, offers: Offers) -> AsyncIterator[_Round]:
    with tempfile.TemporaryDirectory() as directory:
        database = await open_database(Path(directory, "broker.db"), Metrics(ManualClock()))
        try:
            yield _Round(database, definitions, offers)
        finally:
            await database.close()


async def _place_all() -> tuple[list[int], float, float]:
    """The sizes of the batches, and the seconds by the clock and of the CPU."""
    batches: list[int] = []
    async with _round(packing.definitions(SMALL), {packing.POOL: offers_of_hosts()}) as it:
        await it.accept(packing.queue(QUEUED, SMALL))
        while sum(batches) < QUEUED:
            look = await it.look()
            batches.append(sum(agent.pool is not None for _, agent in look.decided))
            assert batches[-1], "nobody was placed"
    return batches, it.wall, it.cpu


async def _full_queue() -> tuple[float, float]:
    """Seconds by the clock and of the CPU of a look at a cap that is full, all of whom have been told already."""
    pools = [make_pool(name=PoolName(name)) for name in _POOLS]
    policy = make_policy(pools=tuple(PoolChoice(pool=one.name) for one in pools), limits=AgentLimits(agents=1))
    known = make_definitions(pools=pools, policies=[policy])
    async with _round(known, {pool.name: [Offer(pool=pool.name)] for pool in pools}) as it:
        await it.accept([make_agent(n) for n in range(_WAITING)])
        await it.look()
        it.wall = it.cpu = 0.0
        await it.look()
    return it.wall, it.cpu


async def figures() -> Mapping[str, Figure]:
    """Both on SQLite, synced to disk."""
    rounds = [await _place_all() for _ in range(_ROUNDS)]
    walls = sorted(QUEUED / wall for _, wall, _ in rounds)
    by_cpu = statistics.median(QUEUED / cpu for _, _, cpu in rounds)
    full_wall, full_cpu = await _full_queue()
    load = f"load average {os.getloadavg()[0]:.2f}"
    return {
        "decisions_per_s_durable": Figure(
            value=statistics.median(walls),
            unit="/s",
            target=">= 10000",
            how=f"{QUEUED} agents queued, {len(SMALL)} sizes and policies, {HOSTS} hosts, strategy binpack, batches of "
            f"{', '.join(map(str, rounds[0][0]))}, a SQLite file (synchronous=FULL), by the clock, the median of "
            f"{_ROUNDS} rounds ({walls[0]:.0f} to {walls[-1]:.0f}); by CPU time {by_cpu:.0f}/s; {load}",
        ),
        "look_at_full_queue_ms": Figure(
            value=1000 * full_wall,
            unit="ms",
            target="printed",
            how=f"{_WAITING} agents wait at a cap that is full; {1000 * full_cpu:.0f} ms of CPU; {load}",
        ),
    }


async def profile() -> None:
    """Where the time of `decisions_per_s_durable` goes; what SQLite does is in another thread, and waited for here."""
    async with _round(packing.definitions(SMALL), {packing.POOL: offers_of_hosts()}) as it:
        await it.accept(packing.queue(QUEUED, SMALL))
        with profiled():
            while any(agent.pool is not None for _, agent in (await it.look()).decided):
                pass
