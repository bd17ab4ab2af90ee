"""What is old goes, with all that belongs to it, and nothing else; its place in the file is used again."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from sqlalchemy import func, insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from broker.domain.agent import Agent
from broker.domain.ids import PoolName
from broker.domain.lifecycle import Goal, Outcome, Phase
from broker.domain.limits import Claim, Scope
from broker.domain.offer import Offering
from broker.domain.reason import Reason
from broker.store import limits, schema
from broker.store.agents import Agents
from broker.store.cooldowns import Failure
from broker.store.engine import Database, open_database
from broker.store.history import History
from broker.store.pruning import prune
from broker.telemetry.metrics import Metrics
from broker.testing.clock import EPOCH, ManualClock
from broker.testing.factories import agent_id, make_agent, make_pool
from tests.unit.store.world import reserved, used

DAY = timedelta(days=1)


async def end(agents: Agents, agent: Agent, after: timedelta = timedelta()) -> None:
    at = EPOCH + after
    gone = replace(agent, phase=Phase.GONE, goal=Goal.GONE, outcome=Outcome.CANCELLED, gone_at=at)
    await agents.change(agent, gone, "gone", at)


async def rows(database: Database) -> dict[str, int]:
    tables = (schema.agents, schema.history)
    async with database.reading() as connection:
        return {t.name: (await connection.execute(select(func.count()).select_from(t))).scalar_one() for t in tables}


async def test_an_agent_that_is_long_gone_goes_with_its_history(agents: Agents, database: Database) -> None:
    old, young, living = await agents.accept([make_agent(n) for n in (1, 2, 3)])
    await end(agents, old)
    await end(agents, young, after=DAY)
    assert await prune(database, EPOCH + DAY) == 1
    history = History(database, ManualClock())
    assert await history.of_agent(old.id) == []
    assert [e.event for e in await history.of_agent(young.id)] == ["requested", "gone"]
    assert [e.agent_id for e in await history.after(0)] == [young.id, living.id, young.id]
    assert set(await agents.by_names(old.controller, [old.name, young.name, living.name])) == {young.name, living.name}
    assert await prune(database, EPOCH + DAY) == 0


async def test_a_living_agent_stays_however_old_it_is(agents: Agents, database: Database) -> None:
    await agents.accept([make_agent(n, phase=phase) for n, phase in enumerate(Phase, start=1) if phase != Phase.GONE])
    before = await rows(database)
    assert await prune(database, EPOCH + 1000 * DAY) == 0
    assert await rows(database) == before


async def test_old_notes_of_operators_go_too(database: Database) -> None:
    clock = ManualClock()
    history = History(database, clock)
    await history.note("pool_paused", actor="alice", message="")
    await clock.advance(DAY.total_seconds())
    await history.note("pool_resumed", actor="alice", message="")
    assert await prune(database, EPOCH + DAY) == 1
    assert [e.event for e in await history.after(0)] == ["pool_resumed"]
    assert await history.first_number() == 2


async def test_a_batch_is_bounded_and_the_oldest_go_first(agents: Agents, database: Database) -> None:
    for n, agent in enumerate(await agents.accept([make_agent(n) for n in range(1, 6)])):
        await end(agents, agent, after=(5 - n) * timedelta(seconds=1))
    assert await prune(database, EPOCH + DAY, most=2) == 2
    assert set(await agents.by_names(make_agent(1).controller, [make_agent(n).name for n in range(1, 6)])) == {
        make_agent(n).name for n in (1, 2, 3)
    }
    assert [await prune(database, EPOCH + DAY, most=2) for _ in range(3)] == [2, 1, 0]


async def test_a_name_is_free_again_once_its_agent_is_forgotten(agents: Agents, database: Database) -> None:
    [first] = await agents.accept([make_agent(1)])
    await end(agents, first)
    again = replace(make_agent(1), id=agent_id(9))
    assert (await agents.accept([again]))[0].id == first.id
    await prune(database, EPOCH + DAY)
    assert (await agents.accept([again]))[0].id == agent_id(9)


async def test_no_limit_leaks_with_a_forgotten_agent(agents: Agents, database: Database) -> None:
    claim = Claim(scope=Scope.POOL_AGENTS, key="it", amount=1, cap=2)
    held = limits.as_held([claim])  # what only a bug would leave
    await agents.accept([make_agent(1, phase=Phase.GONE, goal=Goal.GONE, gone_at=EPOCH, held=held)])
    await database.transaction(lambda c: limits.reserve(c, [[claim]]))
    assert await used(database) == await reserved(database) != {}
    await prune(database, EPOCH + DAY)
    assert await used(database) == await reserved(database) == {}


async def test_limits_of_which_nothing_is_taken_leave_no_row(database: Database) -> None:
    budget = (Scope.POLICY_BUDGET, "linux|2026-11-23")
    claims = [Claim(scope=Scope.JOB_AGENTS, key=f"linux|{job}", amount=1, cap=2) for job in range(50)]

    async def work(connection: AsyncConnection) -> None:
        await limits.reserve(connection, [claims])
        await limits.give_back(connection, limits.as_held(claims[1:]))
        values = {"scope": budget[0], "key": budget[1], "used": 0, "cap": 5}
        await connection.execute(insert(schema.limits).values(**values))

    await database.transaction(work)
    await prune(database, EPOCH)
    async with database.reading() as connection:
        kept = {(row.scope, row.key) for row in await connection.execute(select(schema.limits))}
    assert kept == {(Scope.JOB_AGENTS, "linux|0"), budget}, "a budget's row is its charge's"
    await database.transaction(lambda connection: limits.reserve(connection, [claims]))
    assert (await used(database))[Scope.JOB_AGENTS, "linux|1"] == 1


async def test_what_failed_long_ago_in_pools_that_are_used_no_more_is_forgotten(database: Database) -> None:
    for number, at in enumerate((EPOCH, EPOCH + DAY)):
        pool = make_pool(name=PoolName(f"pool-{number}"))
        lacks = (Offering(pool.name, "a"),)
        failure = Failure(
            agent=agent_id(number), pool=pool, why=Reason.INSUFFICIENT_CAPACITY, message="", at=at, lacks=lacks
        )
        await database.transaction(failure.write)
    await prune(database, EPOCH + DAY)
    async with database.reading() as connection:
        for table in (schema.cooldowns, schema.offering_rests):
            assert [row.pool for row in await connection.execute(select(table))] == ["pool-1"]


async def test_numbers_go_on_when_all_that_was_kept_is_gone(agents: Agents, database: Database) -> None:
    [agent] = await agents.accept([make_agent(1)])
    await end(agents, agent)
    history = History(database, ManualClock())
    last = await history.last_number()
    await prune(database, EPOCH + DAY)
    assert await history.last_number() == 0
    await agents.accept([make_agent(2)])
    assert await history.last_number() > last


async def test_the_file_does_not_grow_from_round_to_round(tmp_path: Path) -> None:
    sizes = []
    database = await open_database(tmp_path / "rounds.db", Metrics(ManualClock()))
    agents = Agents(database)
    for round_ in range(4):
        many = [make_agent(round_ * 1000 + n, job="x" * 200) for n in range(1, 401)]
        for agent in await agents.accept(many):
            await end(agents, agent)
        while await prune(database, EPOCH + DAY):
            pass
        async with database.reading() as connection:
            sizes.append((await connection.execute(text("PRAGMA page_count"))).scalar_one())
    await database.close()
    assert max(sizes) <= sizes[0] * 1.02, sizes


async def test_the_living_are_found_without_a_look_at_those_gone(tmp_path: Path) -> None:
    database = await open_database(tmp_path / "plan.db", Metrics(ManualClock()))
    async with database.reading() as connection:
        for clause, index in ((schema.IS_LIVE, "agents_live"), (schema.IS_GONE, "agents_gone")):
            query = select(schema.agents.c.id).where(clause, schema.agents.c.gone_at < EPOCH)
            compiled = query.compile(dialect=connection.dialect, compile_kwargs={"literal_binds": True})
            plan = (await connection.execute(text(f"EXPLAIN QUERY PLAN {compiled}"))).all()
            assert index in str(plan)
    await database.close()
