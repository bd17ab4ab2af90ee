"""What is known of agents while others change it."""

from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

from sqlalchemy.ext.asyncio import AsyncConnection

from broker.domain.overrides import Override
from broker.store.agents import Agents
from broker.store.engine import Database
from broker.store.rows import Rows, by_version, read_whole
from broker.store.schema import IS_LIVE
from broker.testing.clock import EPOCH
from broker.testing.factories import agent_id, make_agent


class Interrupted:
    """A connection; whenever it is asked, somebody forgets the first agent meanwhile."""

    def __init__(self, inner: AsyncConnection, rows: Rows) -> None:
        self._inner = inner
        self._rows = rows

    async def execute(self, query: Any) -> Any:
        found = await self._inner.execute(query)
        if "phase" in str(query).partition("FROM")[0]:  # whole rows
            self._rows.forget(agent_id(1))
        return found


async def test_an_agent_that_somebody_forgets_while_others_are_read_is_told_all_the_same(
    agents: Agents, database: Database
) -> None:
    rows = Rows()
    await agents.accept([make_agent(1)])
    await database.read(lambda connection: rows.read(connection, by_version(IS_LIVE)))
    await agents.accept([make_agent(2)])

    def read(connection: AsyncConnection) -> Any:
        return rows.read(cast(AsyncConnection, Interrupted(connection, rows)), by_version(IS_LIVE))

    assert [agent.id for agent in await database.read(read)] == [agent_id(1), agent_id(2)]


async def test_what_is_known_of_agents_that_were_accepted_is_what_the_database_says(
    agents: Agents, database: Database
) -> None:
    asked = Override(cpu_milli=4000, memory_mib=0, image="a/b:1")
    odd = make_agent(2, job="a\x00b", overrides=asked, requested_at=EPOCH + timedelta(microseconds=7))
    await agents.accept([make_agent(1, overrides=asked), odd])
    known = await agents.live()
    stored = await database.read(lambda connection: read_whole(connection, IS_LIVE))
    assert known == stored
    assert len({agent.job for agent in stored}) == 2


async def test_agents_that_were_accepted_are_not_read_again(agents: Agents, database: Database) -> None:
    accepted = await agents.accept([make_agent(1)])
    found = await agents.live()
    assert found[0] is accepted[0]
    await agents.change(found[0], replace(found[0], busy=True), "busy", EPOCH)
    assert (await agents.live())[0].busy
