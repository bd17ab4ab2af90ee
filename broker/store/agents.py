"""Agents as rows: accept, read, compare-and-set. Every change has its history event in the same transaction."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    and_,
    func,
    insert,
    select,
    type_coerce,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from broker.domain.agent import Agent
from broker.domain.ids import AgentId, AgentName, ControllerName, InstanceRef, LaunchToken, PoolName
from broker.domain.lifecycle import Phase, may_follow
from broker.domain.limits import PENDING_SCOPES
from broker.errors import Conflict, NotFound
from broker.store import cooldowns, limits, spending
from broker.store.columns import Moment
from broker.store.engine import Database, Work
from broker.store.lines import Waiting, read_kind, read_waiting
from broker.store.reports import Report, write_reports
from broker.store.rows import BATCH, OLDEST_FIRST, Rows, by_version, read_whole
from broker.store.schema import IS_LIVE, IS_WAITING, agents, history


class Agents:
    """The agents of one database. Rows that are gone stay for their history."""

    def __init__(self, database: Database) -> None:
        """Keeps in memory only what it reads again by version."""
        self._database = database
        self.rows = Rows()

    async def accept(self, asked: Sequence[Agent]) -> list[Agent]:
        """Inserts agents, all or none; one whose (controller, name) is known already is returned as it stands."""

        async def work(connection: AsyncConnection) -> tuple[list[Agent], list[Agent]]:
            known = await _by_names(connection, asked)
            fresh = {(a.controller, a.name): a for a in asked if (a.controller, a.name) not in known}
            if fresh:
                await connection.execute(insert(agents), [_values(agent) for agent in fresh.values()])
                await connection.execute(
                    insert(history), [event_row(a, "requested", a.requested_at) for a in fresh.values()]
                )
            known |= fresh
            return [known[a.controller, a.name] for a in asked], list(fresh.values())

        told, inserted = await self._database.transaction(work)
        self.rows.committed(inserted)
        return told

    async def get(self, agent_id: AgentId) -> Agent:
        """One agent; `NotFound` if there is none."""
        found = await self._select(agents.c.id == agent_id)
        if not found:
            raise NotFound(f"no agent {agent_id}")
        return found[0]

    async def by_name(self, controller: ControllerName, name: AgentName) -> Agent | None:
        """The agent of that name, alive or gone."""
        found = await self._select(agents.c.controller == controller, agents.c.name == name)
        return found[0] if found else None

    async def by_any_controller(self, name: AgentName) -> list[Agent]:
        """The agents of that name, alive or gone, at most one a controller."""
        return await self._select(agents.c.name == name)

    async def by_names(self, controller: ControllerName, names: Iterable[AgentName]) -> dict[AgentName, Agent]:
        """The agents of those names that are known."""
        wanted, found = list(dict.fromkeys(names)), list[Agent]()
        for start in range(0, len(wanted), BATCH):
            found += await self._select(
                agents.c.controller == controller, agents.c.name.in_(wanted[start : start + BATCH])
            )
        return {agent.name: agent for agent in found}

    async def users_of(self, names: Iterable[AgentName], controller: ControllerName) -> set[AgentName]:
        """Those of `names` that another controller has used."""
        found = await self._select(agents.c.controller != controller, agents.c.name.in_(list(names)))
        return {agent.name for agent in found}

    async def live(self, controller: ControllerName | None = None) -> list[Agent]:
        """All agents that are not gone, the oldest first; of one controller or of all."""
        if controller is not None:
            return await self._read(IS_LIVE, agents.c.controller == controller)
        found = await self._read(IS_LIVE)
        self.rows.keep_only(found)
        return found

    async def in_phases(self, phases: Iterable[Phase], pools: Iterable[PoolName] | None = None) -> list[Agent]:
        """The agents in some phases, none of which is the end; of some pools or of all."""
        clauses = [IS_LIVE, agents.c.phase.in_(list(phases))]
        if pools is not None:
            clauses.append(agents.c.pool.in_(list(pools)))
        return await self._read(*clauses)

    async def on_host(self, host: str) -> list[Agent]:
        """The living agents with a place on a host."""
        return await self._read(IS_LIVE, ~IS_WAITING, agents.c.host == host)

    async def live_ids(self) -> list[AgentId]:
        """The ids of all agents that are not gone."""
        query = select(agents.c.id).where(IS_LIVE).order_by(*OLDEST_FIRST)

        async def work(connection: AsyncConnection) -> list[AgentId]:
            return list((await connection.execute(query)).scalars())

        return await self._database.read(work)

    async def waiting(self, now: datetime) -> Waiting:
        """Who waits for a place, in short."""
        return await self._database.read(lambda connection: read_waiting(connection, now))

    async def waiting_like(self, agent: Agent, now: datetime) -> list[AgentId]:
        """All that wait with the same controller, policy and override."""
        return await self._database.read(lambda connection: read_kind(connection, agent, now))

    async def count_live(self, controller: ControllerName) -> int:
        """How many agents of a controller are not gone."""
        query = select(func.count()).select_from(agents).where(IS_LIVE, agents.c.controller == controller)

        async def work(connection: AsyncConnection) -> int:
            return int((await connection.execute(query)).scalar_one())

        return await self._database.read(work)

    async def change(
        self,
        before: Agent,
        after: Agent,
        event: str,
        at: datetime,
        actor: str = "",
        also: Work | None = None,
        words: str = "",
    ) -> Agent:
        """Replaces `before` by `after` if nobody was faster, with a history event; returns it with its new version.

        `actor` is the person or program that asked for it, empty for the broker itself. `words` are what the event
        says where the agent has no message. `also` is written with it, first. `Conflict`: the row has changed since
        `before` was read. `ValueError`: the change of phase is not allowed. What the agent had reserved is given back
        as the phase demands.
        """

        async def work(connection: AsyncConnection) -> Agent:
            if also is not None:
                await also(connection)
            changed = await change_row(connection, before, after)
            row = event_row(changed, event, at, actor)
            await connection.execute(insert(history), [{**row, "message": row["message"] or words}])
            return changed

        done = await self._database.transaction(work)
        if done.phase == Phase.GONE:
            self.rows.forget(done.id)
        return done

    async def record_instance(self, agent_id: AgentId, token: LaunchToken, instance: InstanceRef) -> Agent:
        """Notes the instance of an attempt, whatever else has changed meanwhile; `Conflict` if that attempt is over."""

        async def work(connection: AsyncConnection) -> Agent:
            await _set(connection, {"instance": instance}, agents.c.id == agent_id, agents.c.token == token)
            [agent] = await read_whole(connection, agents.c.id == agent_id)
            return agent

        return await self._database.transaction(work)

    async def report(self, reports: Sequence[Report]) -> None:
        """Writes what Jenkins said, where it is new. Uses never go back."""
        if not reports:
            return

        await self._database.transaction(lambda connection: write_reports(connection, reports))

    async def extend_deadlines(self, ids: Sequence[AgentId], phases: Iterable[Phase], by: timedelta) -> None:
        """Moves deadlines of these agents, as far as they are in one of these phases: a time that did not count."""
        by_us = by // timedelta(microseconds=1)
        clause = and_(agents.c.phase.in_(list(phases)), agents.c.deadline.is_not(None))

        async def work(connection: AsyncConnection) -> None:
            moved = type_coerce(type_coerce(agents.c.deadline, BigInteger) + by_us, Moment)
            for start in range(0, len(ids), BATCH):
                these = agents.c.id.in_(ids[start : start + BATCH])
                values = {"deadline": moved, "version": agents.c.version + 1}
                await connection.execute(update(agents).where(clause, these).values(**values))

        if ids:
            await self._database.transaction(work)

    async def _select(self, *clauses: ColumnElement[bool]) -> list[Agent]:
        return await self._database.read(lambda connection: read_whole(connection, *clauses))

    async def _read(self, *clauses: ColumnElement[bool]) -> list[Agent]:
        return await self._database.read(lambda connection: self.rows.read(connection, by_version(*clauses)))


async def change_row(connection: AsyncConnection, before: Agent, after: Agent) -> Agent:
    """The compare-and-set itself; gives back what the agent had reserved as the phase demands.

    An agent that is gone needs its real secret no more, and keeps none.
    """
    if after.phase == Phase.GONE:
        after = replace(after, sealed_secret=b"")
    after = spending.begun(before, after)
    if after.phase in (Phase.REQUESTED, Phase.GONE) and before.phase != after.phase:
        after = replace(after, held=await limits.give_back(connection, before.held))
        await spending.settle(connection, before, after.phase_since)
        await cooldowns.clear_probe(connection, before.id)
    elif after.was_online and not before.was_online:
        after = replace(after, held=await limits.give_back(connection, before.held, PENDING_SCOPES))
    return await _compare_and_set(connection, before, after)


async def _compare_and_set(connection: AsyncConnection, before: Agent, after: Agent) -> Agent:
    changed = replace(after, version=before.version + 1)
    if before.phase != after.phase and not may_follow(before.phase, after.phase):
        raise ValueError(f"agent {before.name}: {before.phase} may not become {after.phase}")
    values = {name: value for name, value in _values(changed).items() if value != getattr(before, name)}
    this = and_(agents.c.id == before.id, agents.c.version == before.version)
    done = await connection.execute(update(agents).where(this).values(**values))
    if done.rowcount != 1:
        raise Conflict(f"agent {before.name} has changed since it was read")
    return changed


def event_row(agent: Agent, event: str, at: datetime, actor: str = "") -> dict[str, Any]:
    """The history event of what an agent now is."""
    columns = ("controller", "name", "policy", "phase", "attempt", "pool", "why", "message")
    told = {column: getattr(agent, column) for column in columns}
    return {**told, "at": at, "agent": agent.id, "event": event, "actor": actor}


async def _by_names(
    connection: AsyncConnection, asked: Sequence[Agent]
) -> dict[tuple[ControllerName, AgentName], Agent]:
    found: dict[tuple[ControllerName, AgentName], Agent] = {}
    for start in range(0, len(asked), BATCH):
        part = asked[start : start + BATCH]
        names, controllers = [a.name for a in part], {a.controller for a in part}
        for agent in await read_whole(connection, agents.c.name.in_(names), agents.c.controller.in_(controllers)):
            found[agent.controller, agent.name] = agent
    return found


async def _set(connection: AsyncConnection, values: Mapping[str, Any], *clauses: ColumnElement[bool]) -> None:
    values = {**values, "version": agents.c.version + 1}
    changed = await connection.execute(update(agents).where(*clauses).values(**values))
    if changed.rowcount != 1:
        raise Conflict("the agent has changed since it was read")


def _values(agent: Agent) -> dict[str, Any]:
    return {field.name: getattr(agent, field.name) for field in fields(Agent)}
