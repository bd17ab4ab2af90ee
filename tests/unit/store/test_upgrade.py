"""A broker with a living fleet is upgraded from the release before: every agent keeps its place and gives it back."""

from collections import Counter
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Final

from sqlalchemy import MetaData, Table, insert, text
from sqlalchemy.ext.asyncio import AsyncConnection

from broker.domain.agent import Agent
from broker.domain.ids import InstanceRef, LaunchToken
from broker.domain.lifecycle import Goal, Outcome, Phase
from broker.domain.limits import PENDING_SCOPES, Scope
from broker.placement.usage import pool_claims, shared_claims
from broker.store import migrate
from broker.store.agents import Agents
from broker.store.engine import Database
from broker.store.placements import place_waiting
from broker.testing.clock import EPOCH
from broker.testing.factories import POLICY, POOL, make_agent, make_definitions
from tests.unit.store.world import backing_of, decider, opened, reserved, used

AGENTS: Final = 300
_BEFORE: Final = 6
_PHASES: Final = (Phase.REQUESTED, Phase.LAUNCHING, Phase.ONLINE, Phase.ONLINE)


def fleet(number: int) -> list[Agent]:
    """A quarter waits, a quarter is being launched, half is online."""
    agents = []
    for n in range(number):
        phase = _PHASES[n % len(_PHASES)]
        agent = make_agent(n, phase=phase)
        if phase is not Phase.REQUESTED:
            agent = replace(agent, attempt=1, pool=POOL, token=LaunchToken(f"{agent.id}-1"))
        if phase is Phase.ONLINE:
            agent = replace(agent, instance=InstanceRef(f"i-{n}"), online_at=EPOCH, busy=True)
        agents.append(agent)
    return agents


async def write_before(path: Path, agents: list[Agent]) -> None:
    """The database as the release before has left it."""

    def tables(connection: Any) -> dict[str, Table]:
        migrate.upgrade(connection, 0, _BEFORE)
        found = MetaData()
        found.reflect(connection)
        return dict(found.tables)

    async with backing_of(path) as backing, backing.writer.begin() as connection:
        known = await connection.run_sync(tables)
        await connection.execute(insert(known["meta"]).values(key="schema_version", value=str(_BEFORE)))
        await connection.execute(insert(known["agents"]), [_row(agent, known["agents"]) for agent in agents])
        await _reserve(connection, known, agents)


def _row(agent: Agent, table: Table) -> dict[str, Any]:
    values = {f.name: getattr(agent, f.name) for f in fields(Agent) if f.name in table.columns}
    moments = ("requested_at", "phase_since", "not_before", "online_at", "deadline", "gone_at", "waits_since")
    return values | {name: 0 if values[name] is not None else None for name in moments}


async def _reserve(connection: AsyncConnection, known: dict[str, Table], agents: list[Agent]) -> None:
    definitions = make_definitions()
    policy, pool = definitions.policies[POLICY], definitions.pools[POOL]
    size = definitions.templates[policy.template].resources
    rows, taken = list[dict[str, Any]](), Counter[tuple[str, str]]()
    for agent in agents:
        claims = [*shared_claims(agent, policy, definitions), *pool_claims(size, pool)]
        left = frozenset(Scope) - PENDING_SCOPES if agent.was_online else frozenset(Scope)
        for claim in claims if agent.pool else []:
            if claim.scope in left:
                taken[claim.scope, claim.key] += claim.amount
                rows.append({"agent": agent.id, "scope": claim.scope, "key": claim.key, "amount": claim.amount})
    await connection.execute(insert(known["reservations"]), rows)
    limits = [{"scope": scope, "key": key, "used": amount} for (scope, key), amount in taken.items()]
    await connection.execute(insert(known["limits"]), limits)


async def end(agents: Agents, agent: Agent) -> None:
    ending = replace(agent, phase=Phase.TERMINATING, goal=Goal.GONE, outcome=Outcome.SUCCEEDED)
    if agent.phase is not Phase.REQUESTED:
        agent = await agents.change(agent, ending, "terminating", EPOCH)
    gone = replace(agent, phase=Phase.GONE, goal=Goal.GONE, outcome=Outcome.SUCCEEDED, gone_at=EPOCH)
    await agents.change(agent, gone, "gone", EPOCH)


async def test_a_living_fleet_keeps_what_it_holds_over_the_upgrade_and_gives_it_back(
    tmp_path: Path, engine: str
) -> None:
    path, before = tmp_path / "broker.db", fleet(AGENTS)
    await write_before(path, before)
    async with opened(path) as (database, agents):
        live = await agents.live()
        assert {agent.id: (agent.phase, agent.pool, agent.instance) for agent in live} == {
            agent.id: (agent.phase, agent.pool, agent.instance) for agent in before
        }
        assert await used(database) == await reserved(database)
        assert (await used(database))[Scope.POOL_AGENTS, POOL] == AGENTS * 3 // 4
        assert (await used(database))[Scope.POOL_PENDING, POOL] == AGENTS // 4
        await place_all(database)
        assert (await used(database))[Scope.POOL_AGENTS, POOL] == AGENTS, engine
        for agent in await agents.live():
            await end(agents, agent)
        assert await used(database) == {}
        async with database.reading() as connection:
            tables = "SELECT count(*) FROM agents WHERE held <> ''"
            assert (await connection.execute(text(tables))).scalar() == 0


async def place_all(database: Database) -> None:
    look = await place_waiting(database, decider(), EPOCH, lambda placed: placed.policy.timeouts.launch)
    assert len(look.decided) == AGENTS // 4
