"""A database and its agents, without the rest of the broker."""

import json
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from sqlalchemy import select

from broker.domain.agent import Agent
from broker.domain.definitions import Definitions
from broker.domain.ids import AgentId
from broker.domain.limits import Scope, Usage
from broker.domain.offer import Offer
from broker.domain.placement import Decision
from broker.placement.engine import decide
from broker.store import schema
from broker.store.agents import Agents
from broker.store.backing import Backing
from broker.store.engine import Database, _postgres_backing, open_database
from broker.store.placements import Decider
from broker.store.sqlite import sqlite_backing
from broker.telemetry.metrics import Metrics
from broker.testing.clock import ManualClock
from broker.testing.factories import make_definitions
from tests.postgres import place_of


@contextmanager
def temporary() -> Iterator[Path]:
    """A path for a database, for tests that need one for each of many examples."""
    with tempfile.TemporaryDirectory() as directory:
        yield Path(directory, "broker.db")


@asynccontextmanager
async def backing_of(path: Path) -> AsyncIterator[Backing]:
    """The engine of a database as it stands there, without looking at its version."""
    place = place_of(path)
    backing = sqlite_backing(place) if isinstance(place, Path) else await _postgres_backing(place)
    try:
        yield backing
    finally:
        await backing.close()


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[tuple[Database, Agents]]:
    database = await open_database(place_of(path), Metrics(ManualClock()))
    try:
        yield database, Agents(database)
    finally:
        await database.close()


def decider(definitions: Definitions | None = None) -> Decider:
    """The real engine over pools that have room without end."""
    known = definitions or make_definitions()

    def decided(agents: list[Agent], usage: Usage) -> list[Decision]:
        offers = {pool: [Offer(pool=pool)] for pool in known.pools}
        return decide(agents, offers, usage, known)

    return decided


async def events_of(database: Database, agent_id: AgentId) -> list[str]:
    """The history of an agent, the oldest first."""
    async with database.reading() as connection:
        query = select(schema.history.c.event).where(schema.history.c.agent == agent_id)
        return list((await connection.execute(query.order_by(schema.history.c.number))).scalars())


async def used(database: Database) -> dict[tuple[Scope, str], int]:
    """What the limit rows say is taken; rows of 0 left out."""
    async with database.reading() as connection:
        rows = await connection.execute(select(schema.limits).where(schema.limits.c.used != 0))
        return {(Scope(row.scope), row.key): row.used for row in rows}


async def reserved(database: Database) -> dict[tuple[Scope, str], int]:
    """What all agents hold together."""
    sums: Counter[tuple[Scope, str]] = Counter()
    async with database.reading() as connection:
        for held in (await connection.execute(select(schema.agents.c.held))).scalars():
            for scope, key, amount in json.loads(held or "[]"):
                sums[Scope(scope), key] += amount
    return dict(sums)
