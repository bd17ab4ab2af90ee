"""Agents on hosts of ours, through the store: how few hosts are made, and what counting the room of many costs."""

import os
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Final

from broker.domain.agent import Agent
from broker.domain.definitions import Definitions
from broker.domain.host import Host, HostPhase, HostRules, new_host_id
from broker.domain.ids import PolicyName
from broker.domain.limits import Usage
from broker.domain.offer import Offer
from broker.domain.placement import Decision, Placed
from broker.placement.engine import decide
from broker.store.agents import Agents
from broker.store.engine import Database, open_database
from broker.store.hosts import Hosts
from broker.store.placements import Look, place_waiting
from broker.store.standing import Standing
from broker.telemetry.metrics import Metrics
from broker.testing.clock import EPOCH, ManualClock
from broker.testing.factories import make_agent
from tests.benchmarks import durable, packing
from tests.benchmarks.figures import Figure, profiled

_NOW: Final = EPOCH + timedelta(minutes=2)
_NUMBER: Final = 1000
_SEEDS: Final = range(3)
_WAVE: Final = 50
_ROUNDS: Final = 5


class World:
    """A pool of hosts with a database of its own, and who waits for a place on them."""

    def __init__(self, database: Database, decided: Definitions, host: packing.Size) -> None:
        """`host` is what a host has."""
        self.agents, self.hosts, self._database = Agents(database), Hosts(database), database
        rules = HostRules()
        pools = {name: replace(pool, hosts=rules) for name, pool in decided.pools.items()}
        self._definitions = replace(decided, pools=pools)
        self._offers = {packing.POOL: [Offer(pool=packing.POOL, shape=packing.resources(host))]}
        self._standing = Standing(
            rows=self.agents.rows, asked=dict.fromkeys(pools, EPOCH), hosted=dict.fromkeys(pools, rules)
        )
        self.wall = self.cpu = 0.0

    async def look(self) -> Look:
        """Decides those who wait, and takes the time."""
        began, used = time.perf_counter(), time.process_time()
        look = await place_waiting(self._database, self._decide, _NOW, lambda _: timedelta(minutes=1), self._standing)
        self.wall, self.cpu = self.wall + time.perf_counter() - began, self.cpu + time.process_time() - used
        return look

    async def place_all(self) -> list[int]:
        """Looks until all have a place; answers the sizes of the batches."""
        batches = list[int]()
        while True:
            look = await self.look()
            batches.append(sum(isinstance(decision, Placed) for decision, _ in look.decided))
            assert batches[-1], "nobody was placed"
            if not look.more:
                return batches

    def _decide(self, agents: list[Agent], usage: Usage) -> list[Decision]:
        return decide(agents, self._offers, usage, self._definitions)


@asynccontextmanager
async def world(mix: tuple[packing.Size, ...], host: packing.Size) -> AsyncIterator[World]:
    """Nobody waits, and there is no host."""
    with tempfile.TemporaryDirectory() as directory:
        database = await open_database(Path(directory, "broker.db"), Metrics(ManualClock()))
        try:
            yield World(database, packing.definitions(mix), host)
        finally:
            await database.close()


async def _made(sizes: list[packing.Size], wave: int) -> int:
    """How many hosts there are when all have come, so many at a time."""
    asked = [make_agent(n, policy=PolicyName(packing.name_of(size))) for n, size in enumerate(sizes)]
    async with world(packing.MIX, packing.HOST) as it:
        for start in range(0, len(asked), wave):
            await it.agents.accept(asked[start : start + wave])
            await it.place_all()
        return len(await it.hosts.living())


async def hosts_vs_lower_bound() -> Mapping[str, Figure]:
    """Hosts that 1 000 agents get, by the hosts that no packing can do without; all at once, and as they come."""
    mixes = [packing.items(_NUMBER, seed) for seed in _SEEDS]
    bound = sum(packing.lower_bound(sizes) for sizes in mixes)
    at_once = sum([await _made(sizes, _NUMBER) for sizes in mixes]) / bound
    in_waves = sum([await _made(sizes, _WAVE) for sizes in mixes]) / bound
    how = (
        f"{len(mixes)} mixes of {_NUMBER} agents of {len(packing.MIX)} sizes on hosts of {packing.HOST[0]} vCPU and "
        f"{packing.HOST[1]} GiB, strategy binpack, through the store; all at once {at_once:.3f}, {_WAVE} at a time "
        f"{in_waves:.3f}: the larger of the two"
    )
    return {"hosts_vs_lower_bound": Figure(value=max(at_once, in_waves), unit="x", target="<= 1.10", how=how)}


def _ready() -> Host:
    return Host(
        id=new_host_id(),
        pool=packing.POOL,
        phase=HostPhase.READY,
        version=1,
        requested_at=EPOCH,
        phase_since=EPOCH,
        size=packing.resources(durable.HOST),
    )


async def _place_on_many() -> tuple[list[int], float, float]:
    async with world(durable.SMALL, durable.HOST) as it:
        await it.hosts.add([_ready() for _ in range(durable.HOSTS)], EPOCH)
        await it.agents.accept(packing.queue(durable.QUEUED, durable.SMALL))
        return await it.place_all(), it.wall, it.cpu


async def decisions_on_hosts() -> Mapping[str, Figure]:
    """As `decisions_per_s_durable`, but that the hosts are rows, and what is free on them is counted at each look."""
    rounds = [await _place_on_many() for _ in range(_ROUNDS)]
    walls = sorted(durable.QUEUED / wall for _, wall, _ in rounds)
    by_cpu = statistics.median(durable.QUEUED / cpu for _, _, cpu in rounds)
    batches = ", ".join(map(str, rounds[0][0]))
    return {
        "decisions_per_s_on_hosts": Figure(
            value=statistics.median(walls),
            unit="/s",
            target=">= 10000",
            how=f"{durable.QUEUED} agents queued, {durable.HOSTS} hosts of ours as rows, strategy binpack, batches of "
            f"{batches}, a SQLite file (synchronous=FULL), by the clock, the median of {_ROUNDS} rounds "
            f"({walls[0]:.0f} to {walls[-1]:.0f}); by CPU time {by_cpu:.0f}/s; load average {os.getloadavg()[0]:.2f}",
        )
    }


async def figures() -> Mapping[str, Figure]:
    """Both."""
    return {**await decisions_on_hosts(), **await hosts_vs_lower_bound()}


async def profile() -> None:
    """Where the time of `decisions_per_s_on_hosts` goes."""
    async with world(durable.SMALL, durable.HOST) as it:
        await it.hosts.add([_ready() for _ in range(durable.HOSTS)], EPOCH)
        await it.agents.accept(packing.queue(durable.QUEUED, durable.SMALL))
        with profiled():
            await it.place_all()
