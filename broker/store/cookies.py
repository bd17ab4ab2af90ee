"""What controllers have given the last connections of agents, sealed."""

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from broker.domain.ids import AgentId
from broker.store.engine import Database
from broker.store.schema import controller_cookies


class SealedCookies:
    """One an agent, gone with the agent's row."""

    def __init__(self, database: Database) -> None:
        """Keeps nothing in memory."""
        self._database = database

    async def keep(self, agent_id: AgentId, sealed: bytes) -> None:
        """Takes the place of the former one."""
        this = controller_cookies.c.agent == agent_id

        async def work(connection: AsyncConnection) -> None:
            if not (await connection.execute(update(controller_cookies).where(this).values(sealed=sealed))).rowcount:
                await connection.execute(insert(controller_cookies).values(agent=agent_id, sealed=sealed))

        await self._database.transaction(work)

    async def of(self, agent_id: AgentId) -> bytes | None:
        """The last one; None if there is none."""
        query = select(controller_cookies.c.sealed).where(controller_cookies.c.agent == agent_id)

        async def work(connection: AsyncConnection) -> bytes | None:
            return (await connection.execute(query)).scalar()

        return await self._database.read(work)
