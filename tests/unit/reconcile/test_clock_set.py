"""A wall clock that is set by an hour or a day ends nobody, and makes nobody wait (F18)."""

from datetime import timedelta
from pathlib import Path

import pytest

from broker.domain.definitions import Definitions
from broker.domain.ids import PoolName
from broker.domain.lifecycle import Phase
from broker.domain.policy import Fallback, OnTimeout, Policy, Timeouts
from broker.domain.pool import PoolLimits
from broker.domain.reason import Reason
from broker.testing.backend import Ledger
from broker.testing.clock import ManualClock
from broker.testing.factories import make_definitions, make_policy, make_pool
from tests.core import Core, open_core

SMALL, DEAR = PoolName("small"), PoolName("dear")
BUSY, STARTS, WAITS = "linux-000001", "linux-000002", "linux-000003"
JUMPS = [timedelta(days=1), timedelta(hours=1), -timedelta(hours=1), -timedelta(days=1)]
PATIENCE = Timeouts(queue=timedelta(minutes=15), on_timeout=OnTimeout.FAIL)


def definitions(policy: Policy, agents: int = 2) -> Definitions:
    pools = [make_pool(name=SMALL, limits=PoolLimits(agents=agents)), make_pool(name=DEAR)]
    return make_definitions(pools=pools, policies=[policy])


async def look_at_all(core: Core) -> None:
    for agent in await core.ctx.agents.live():
        core.ctx.nudge.agent(agent.id)
    core.ctx.nudge.placement()
    await core.settle()


@pytest.mark.parametrize("by", JUMPS, ids=str)
async def test_nobody_ends_and_who_waits_gets_the_place_that_becomes_free(tmp_path: Path, by: timedelta) -> None:
    given = definitions(make_policy(SMALL, timeouts=PATIENCE))
    async with open_core(tmp_path / "broker.db", given) as core:
        await core.start(BUSY)
        core.says(BUSY, busy=True)
        await core.ask(STARTS, WAITS)
        await core.advance(2)
        before = await core.phases()
        assert before[WAITS] is Phase.REQUESTED
        core.clock.jump(by)
        await look_at_all(core)
        for _ in range(5):
            await core.sync()
            await core.advance(4, step_s=1)
        assert await core.phases() == before
        await core.release(STARTS, Reason.CANCELLED, uses=0)
        await core.advance(5)
        assert (await core.agent(WAITS)).pool == SMALL


@pytest.mark.parametrize("by", JUMPS, ids=str)
async def test_a_fallback_is_turned_to_after_its_time_and_not_before(tmp_path: Path, by: timedelta) -> None:
    later = Fallback(pool=DEAR, after=timedelta(minutes=10))
    async with open_core(tmp_path / "broker.db", definitions(make_policy(SMALL, fallback=(later,)), agents=1)) as core:
        await core.sync()
        await core.ask(BUSY, WAITS)
        await core.advance(300, step_s=5)
        core.clock.jump(by)
        await core.advance(250, step_s=5)
        assert (await core.agent(WAITS)).phase is Phase.REQUESTED
        await core.advance(100, step_s=5)
        assert (await core.agent(WAITS)).pool == DEAR


async def test_who_waits_when_it_is_set_back_between_two_runs_is_placed(tmp_path: Path) -> None:
    clock, ledger, path = ManualClock(), Ledger(), tmp_path / "broker.db"
    given = definitions(make_policy(SMALL), agents=1)
    async with open_core(path, given, ledger, clock) as core:
        await core.sync()
        await core.ask(BUSY, WAITS)
        await core.advance(20)
    clock.jump(-timedelta(days=1))
    async with open_core(path, given, ledger, clock) as core:
        await core.sync()
        await core.release(BUSY, Reason.CANCELLED, uses=0)
        await core.advance(10)
        assert (await core.agent(WAITS)).pool == SMALL


@pytest.mark.parametrize("by", JUMPS, ids=str)
async def test_who_comes_in_the_moment_after_is_not_taken_for_one_from_before(tmp_path: Path, by: timedelta) -> None:
    given = definitions(make_policy(SMALL, timeouts=PATIENCE))
    async with open_core(tmp_path / "broker.db", given) as core:
        await core.start(BUSY)
        await core.ask(STARTS)
        await core.advance(20)
        core.clock.jump(by)
        await core.ask(WAITS)
        await core.release(STARTS, Reason.CANCELLED, uses=0)
        await core.settle()
        await core.advance(10)
        agent = await core.agent(WAITS)
        assert agent.pool == SMALL
        assert timedelta() <= core.clock.now() - agent.requested_at <= timedelta(seconds=11)
        assert agent.deadline is not None
        assert timedelta() < agent.deadline - core.clock.now() < timedelta(minutes=10)
