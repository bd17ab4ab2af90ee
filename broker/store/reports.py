"""What Jenkins says of agents at work, as far as their rows keep it."""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import case, false, or_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from broker.domain.ids import AgentId
from broker.store.schema import agents


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What Jenkins said of an agent: whether it runs a build, and how many it has begun.

    `build_url` is of the build that it runs, where that is known: kept if the agent was asked for without one.
    """

    agent_id: AgentId
    busy: bool
    uses: int
    build_url: str = ""


async def write_reports(connection: AsyncConnection, reports: Iterable[Report]) -> None:
    """Writes what is new. Uses never go back, and the first build that is known stays."""
    for r in reports:
        uses = case((agents.c.uses < r.uses, r.uses), else_=agents.c.uses)
        first = agents.c.build_url == "" if r.build_url else false()
        differs = or_(agents.c.busy != r.busy, agents.c.uses < r.uses, first)
        values = {"busy": r.busy, "uses": uses, "version": agents.c.version + 1}
        values["build_url"] = case((first, r.build_url), else_=agents.c.build_url)
        await connection.execute(update(agents).where(agents.c.id == r.agent_id, differs).values(**values))
