"""What is known of agents while others change it."""

from typing import Any, cast

from sqlalchemy.ext.asyncio import AsyncConnection

from broker.store.agents import Agents
from broker.store.engine import Database
from broker.store.rows import Rows, by_version
from broker.store.schema import IS_LIVE
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
