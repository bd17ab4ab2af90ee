"""What operators do with a pool: no agents go there, those that start end, those that work finish; until it is over."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from broker.domain.ids import PoolName
from broker.domain.lifecycle import Goal, Outcome, Phase
from broker.domain.limits import Lever, LeverKind
from broker.domain.reason import Reason
from broker.domain.template import Retention
from broker.operations import Actor, Operations
from broker.reconcile.levers import end_levers
from broker.testing.backend import Ledger
from broker.testing.factories import make_definitions, make_policy, make_pool, make_template
from tests.core import Core, open_core

ANA = Actor("ana", "10.0.0.7")
HERE, THERE = PoolName("here"), PoolName("there")
TWO_POOLS = make_definitions(
    pools=[make_pool(name=HERE), make_pool(name=THERE)],
    policies=[make_policy(HERE, THERE)],
    templates=[make_template(retention=Retention(max_uses=0))],
)
ONE_POOL = make_definitions(pools=[make_pool(name=HERE)])


@pytest.fixture
async def core(tmp_path: Path) -> AsyncIterator[Core]:
    async with open_core(tmp_path / "broker.db", TWO_POOLS) as opened:
        yield opened


async def pull(core: Core, kind: LeverKind, pool: PoolName = HERE, seconds: float | None = None) -> None:
    now = core.clock.now()
    until = now + timedelta(seconds=seconds) if seconds is not None else None
    lever = Lever(pool=pool, kind=kind, actor="ana", reason="ECR migration", since=now, until=until)
    await Operations(core.ctx).pull(lever, ANA)
    await core.settle()


async def test_no_agent_goes_to_a_paused_pool(core: Core) -> None:
    await pull(core, LeverKind.PAUSE)
    await core.ask("linux-000001")
    await core.settle()
    assert (await core.agent("linux-000001")).pool == THERE


async def test_an_agent_that_only_a_paused_pool_serves_waits_and_says_who_paused_it(tmp_path: Path) -> None:
    async with open_core(tmp_path / "broker.db", ONE_POOL) as core:
        await pull(core, LeverKind.PAUSE)
        await core.ask("linux-000001")
        await core.settle()
        agent = await core.agent("linux-000001")
        assert (agent.phase, agent.why) == (Phase.REQUESTED, Reason.POOL_PAUSED)
        assert "ana" in agent.message
        assert "ECR migration" in agent.message


async def test_a_resumed_pool_takes_the_agents_that_waited_for_it(tmp_path: Path) -> None:
    async with open_core(tmp_path / "broker.db", ONE_POOL) as core:
        await pull(core, LeverKind.PAUSE)
        await core.ask("linux-000001")
        await core.settle()
        assert await Operations(core.ctx).resume(HERE, ANA, "")
        await core.settle()
        assert (await core.agent("linux-000001")).pool == HERE


async def test_a_pause_ends_by_itself_and_wakes_who_waited(tmp_path: Path) -> None:
    async with open_core(tmp_path / "broker.db", ONE_POOL) as core:
        await pull(core, LeverKind.PAUSE, seconds=600)
        await core.ask("linux-000001")
        await core.advance(2)
        assert (await core.agent("linux-000001")).phase == Phase.REQUESTED
        await core.clock.advance(599)
        await end_levers(core.ctx)
        await core.settle()
        assert (await core.agent("linux-000001")).pool == HERE
        assert core.ctx.levers == {}
        events = await core.ctx.history.after(0, limit=1000)
        told = [(e.event, e.actor) for e in events if e.pool == HERE and e.agent_id is None]
        assert told == [("paused", "ana@10.0.0.7"), ("resumed", "")]


async def test_agents_of_a_paused_pool_go_on(core: Core) -> None:
    agent = await core.start()
    assert agent.pool == HERE
    await pull(core, LeverKind.PAUSE)
    await core.advance(5)
    assert (await core.agent("linux-000001")).goal == Goal.ONLINE


async def test_an_agent_that_starts_in_a_pool_that_is_emptied_ends_at_once(core: Core) -> None:
    await core.sync()
    await core.ask("linux-000001")
    await core.settle()
    assert (await core.agent("linux-000001")).pool == HERE
    await pull(core, LeverKind.DRAIN)
    await core.advance(5)
    agent = await core.agent("linux-000001")
    assert (agent.phase, agent.outcome, agent.why) == (Phase.GONE, Outcome.CANCELLED, Reason.POOL_DRAINING)
    assert core.backend.ledger.instances == {}


async def test_a_busy_agent_of_a_pool_that_is_emptied_ends_after_its_build_however_long_that_takes(core: Core) -> None:
    await core.start()
    core.says("linux-000001", busy=True)
    await core.sync()
    await pull(core, LeverKind.DRAIN)
    await core.advance(3)
    core.says("linux-000001", busy=True, accepting=False)
    await core.sync()
    longer_than_a_drain_may_take = core.ctx.definitions.timeouts_of((await core.agent("linux-000001")).policy).drain
    for _ in range(5):
        await core.clock.advance(longer_than_a_drain_may_take.total_seconds() / 4)
        await core.sync()
        await core.advance(1)
    agent = await core.agent("linux-000001")
    assert (agent.phase, agent.why) == (Phase.DRAINING, Reason.POOL_DRAINING)
    core.says("linux-000001", busy=False, accepting=False)
    await core.sync()
    await core.advance(5)
    assert (await core.agent("linux-000001")).phase == Phase.GONE


async def test_a_lever_outlives_the_process_and_one_whose_time_was_over_meanwhile_does_not(tmp_path: Path) -> None:
    ledger = Ledger()
    async with open_core(tmp_path / "broker.db", TWO_POOLS, ledger) as core:
        await pull(core, LeverKind.PAUSE, HERE)
        await pull(core, LeverKind.PAUSE, THERE, seconds=60)
        clock = core.clock
    await clock.advance(61)
    async with open_core(tmp_path / "broker.db", TWO_POOLS, ledger, clock) as core:
        await end_levers(core.ctx)
        assert list(core.ctx.levers) == [HERE]
        await core.ask("linux-000001")
        await core.settle()
        assert (await core.agent("linux-000001")).pool == THERE


async def test_another_lever_takes_the_place_of_the_first(core: Core) -> None:
    await pull(core, LeverKind.PAUSE, seconds=60)
    await core.clock.advance(1)
    await pull(core, LeverKind.DRAIN)
    await core.clock.advance(100)
    await end_levers(core.ctx)
    assert core.ctx.levers[HERE].kind == LeverKind.DRAIN


async def test_who_has_a_place_in_a_pool_that_is_paused_before_the_launch_goes_elsewhere(core: Core) -> None:
    await core.sync()
    await core.ask_for_offers()
    await core.ask("linux-000001")
    while not core.ctx.placed:
        await core.loop.look_once()
    await pull(core, LeverKind.PAUSE)
    agent = await core.agent("linux-000001")
    assert (agent.pool, agent.attempt, agent.refusals) == (THERE, 2, 1)
    assert [spec.pool.name for spec in core.backend.ledger.calls] == [THERE]
    told = [e.message for e in await core.ctx.history.after(0, limit=1000) if e.event == "waiting"]
    assert told == ["pool here is paused by ana: ECR migration"]
