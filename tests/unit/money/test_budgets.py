"""A budget is kept at each admission: by what is spent and what is set aside for those who run."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from broker.domain.ids import PolicyName, PoolName
from broker.domain.lifecycle import Phase
from broker.domain.money import Budget, Micros, Per, cost
from broker.domain.policy import Fallback
from broker.domain.reason import Reason
from broker.store.spending import Spending
from broker.testing.backend import Ledger
from broker.testing.clock import ManualClock
from broker.testing.factories import POLICY, POOL, make_policy, make_pool
from tests.core import Core, open_core
from tests.unit.money.world import (
    HOURLY,
    NOON,
    TEN_MINUTES,
    TODAY,
    TOMORROW,
    metric,
    money_definitions,
    priced,
    spent,
    taken,
    with_budget,
)
from tests.unit.wanted.jenkins import Jenkins, wishes

NAMES = [f"linux-{n:06d}" for n in range(1, 6)]


async def ask_for(core: Core, *names: str) -> None:
    await core.sync()
    await core.ask(*names)
    await core.settle()


async def waiting(core: Core) -> list[str]:
    return sorted(name for name, phase in (await core.phases()).items() if phase is Phase.REQUESTED)


async def test_no_more_agents_are_launched_than_the_budget_can_pay_for(tmp_path: Path) -> None:
    definitions = money_definitions(with_budget(3 * TEN_MINUTES))
    async with open_core(tmp_path / "broker.db", definitions, clock=ManualClock(NOON)) as core:
        await ask_for(core, *NAMES)
        assert await taken(core) == 3 * TEN_MINUTES
        assert len(core.backend.ledger.instances) == 3
        [one, *_] = await waiting(core)
        agent = await core.agent(one)
        assert agent.why == Reason.BUDGET_EXCEEDED
        assert "the day's 6 USD are spent or set aside; resumes at 00:00 UTC" in agent.message


async def test_what_an_agent_did_not_cost_is_there_for_the_next_one(tmp_path: Path, engine: str) -> None:
    definitions = money_definitions(with_budget(TEN_MINUTES + 100_000))
    async with open_core(tmp_path / "broker.db", definitions, clock=ManualClock(NOON)) as core:
        await core.start()
        await ask_for(core, NAMES[1])
        assert await waiting(core) == [NAMES[1]]
        await core.advance(20)
        assert await taken(core) == TEN_MINUTES, "what is spent was set aside before"
        await core.release(NAMES[0])
        await core.advance(10)
        assert await waiting(core) == []
        gone = await core.agent(NAMES[0])
        assert gone.gone_at is not None
        assert await taken(core) == 2 * cost(Micros(HOURLY), NOON, gone.gone_at), "so long they live, as is known now"


async def test_who_lives_longer_than_expected_takes_more_of_the_budget_and_goes_on(tmp_path: Path) -> None:
    definitions = money_definitions(with_budget(TEN_MINUTES))
    async with open_core(tmp_path / "broker.db", definitions, clock=ManualClock(NOON)) as core:
        await core.start()
        await core.advance(1200, step_s=10)
        assert await taken(core) == 2 * TEN_MINUTES == (await spent(core))[TODAY]
        assert await core.phases() == {NAMES[0]: Phase.ONLINE}
        assert metric(core, "budget_spent_ratio", policy=POLICY) == 2.0


async def test_at_midnight_those_who_wait_are_launched(tmp_path: Path) -> None:
    late = datetime(2026, 11, 23, 23, 59, 40, tzinfo=UTC)
    definitions = money_definitions(with_budget(TEN_MINUTES))
    async with open_core(tmp_path / "broker.db", definitions, clock=ManualClock(late)) as core:
        await core.start()
        await ask_for(core, NAMES[1])
        assert await taken(core, TOMORROW) == TEN_MINUTES - 20_000
        await core.release(NAMES[0])
        await core.advance(10)
        assert await waiting(core) == [NAMES[1]] or await taken(core) <= TEN_MINUTES
        await core.advance(30)
        assert await waiting(core) == []
        assert await taken(core, TOMORROW) <= TEN_MINUTES


async def test_a_restart_forgets_neither_what_is_spent_nor_what_is_set_aside(tmp_path: Path) -> None:
    clock, ledger, path = ManualClock(NOON), Ledger(), tmp_path / "broker.db"
    definitions = money_definitions(with_budget(2 * TEN_MINUTES))
    async with open_core(path, definitions, ledger, clock) as core:
        await core.start()
        await core.advance(60)
        before = await taken(core)
    async with open_core(path, definitions, ledger, clock) as core:
        assert await taken(core) == before == TEN_MINUTES
        await core.advance(60)
        assert await taken(core) == TEN_MINUTES


async def test_what_came_together_in_an_absence_counts_before_the_first_admission(tmp_path: Path) -> None:
    clock, ledger, path = ManualClock(NOON), Ledger(), tmp_path / "broker.db"
    definitions = money_definitions(with_budget(7 * TEN_MINUTES))
    async with open_core(path, definitions, ledger, clock) as core:
        await core.start()
        await core.advance(10)
    await clock.advance(3600 - 10)
    async with open_core(path, definitions, ledger, clock) as core:
        assert await taken(core) == 6 * TEN_MINUTES, "it may have run for all of that time"
        assert (await spent(core))[TODAY] < TEN_MINUTES, "nobody knows yet"


async def test_a_budget_that_a_reload_brings_counts_what_was_spent_before(tmp_path: Path) -> None:
    async with open_core(tmp_path / "broker.db", money_definitions(), clock=ManualClock(NOON)) as core:
        await core.start()
        await core.advance(60)
        core.ctx.definitions = money_definitions(with_budget(TEN_MINUTES))
        await core.advance(0.5)
        assert await taken(core) == 60_500
        core.ctx.definitions = money_definitions()
        await core.advance(1)
        assert await taken(core) == 0


async def test_a_budget_that_a_reload_brings_counts_from_the_first_look_on(tmp_path: Path) -> None:
    async with open_core(tmp_path / "broker.db", money_definitions(), clock=ManualClock(NOON)) as core:
        await core.start()
        await core.advance(60)
        core.ctx.definitions = money_definitions(with_budget(TEN_MINUTES))
        await ask_for(core, NAMES[1])
        assert await waiting(core) == [NAMES[1]], "nobody has added up yet"
        await core.advance(2)
        assert (await core.agent(NAMES[1])).why == Reason.BUDGET_EXCEEDED
        core.ctx.definitions = money_definitions(with_budget(3 * TEN_MINUTES))
        await core.advance(2)
        assert await waiting(core) == []


async def test_a_week_is_spent_by_all_of_its_days(tmp_path: Path) -> None:
    late = datetime(2026, 11, 24, 23, 59, 0, tzinfo=UTC)
    definitions = money_definitions(with_budget(per=Per.WEEK))
    async with open_core(tmp_path / "broker.db", definitions, clock=ManualClock(late)) as core:
        await core.start()
        await core.advance(120)
        standing = await Spending(core.ctx.database).charge(
            {PolicyName(POLICY): Budget(amount=Micros(10**9), per=Per.WEEK)}, core.clock.now()
        )
        assert standing[PolicyName(POLICY)].spent == 120_000
        assert standing[PolicyName(POLICY)].until == datetime(2026, 11, 30, tzinfo=UTC)


async def test_a_budget_that_only_warns_stops_nobody_and_is_told_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    definitions = money_definitions(with_budget(10_000, pause=False))
    async with open_core(tmp_path / "broker.db", definitions, clock=ManualClock(NOON)) as core:
        await ask_for(core, *NAMES)
        assert await waiting(core) == []
        await core.advance(60)
    assert capsys.readouterr().out.count("budget_exceeded") == 1


async def test_that_agents_wait_for_money_is_told_once_a_period(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    definitions = money_definitions(with_budget(TEN_MINUTES))
    async with open_core(tmp_path / "broker.db", definitions, clock=ManualClock(NOON)) as core:
        await ask_for(core, *NAMES)
        await core.advance(60)
    told = [line for line in capsys.readouterr().out.splitlines() if "budget_exceeded" in line]
    assert len(told) == 1
    assert "policy=linux" in told[0]
    assert "2026-11-24" in told[0]


async def test_no_agent_is_kept_warm_from_a_spent_budget(tmp_path: Path) -> None:
    policy = make_policy(min_idle=3, budget=Budget(amount=Micros(2 * TEN_MINUTES)))
    async with open_core(tmp_path / "broker.db", money_definitions(policy), clock=ManualClock(NOON)) as core:
        assert wishes(await Jenkins(core).sync()) == [(POLICY, 2)]


async def test_agents_are_expected_to_live_as_long_as_those_that_ended(tmp_path: Path) -> None:
    definitions = money_definitions(with_budget())
    async with open_core(tmp_path / "broker.db", definitions, clock=ManualClock(NOON)) as core:
        await core.start()
        await core.advance(29)
        await core.release(NAMES[0])
        await core.advance(90)
        await ask_for(core, NAMES[1])
        agent = await core.agent(NAMES[1])
        assert agent.expected_life is not None
        assert timedelta(seconds=29) <= agent.expected_life <= timedelta(seconds=32)


async def test_a_pool_that_the_budget_cannot_pay_leaves_the_cheaper_one(tmp_path: Path) -> None:
    policy = make_policy(POOL, "cheap", budget=Budget(amount=Micros(TEN_MINUTES // 2), as_written="0.3 USD"))
    definitions = money_definitions(policy, pools=[priced(), priced("cheap", HOURLY // 10)])
    async with open_core(tmp_path / "broker.db", definitions, clock=ManualClock(NOON)) as core:
        await ask_for(core, NAMES[0])
        agent = await core.agent(NAMES[0])
        assert (agent.pool, agent.rate) == ("cheap", HOURLY // 10)


async def test_a_fallback_takes_what_the_budget_cannot_pay(tmp_path: Path) -> None:
    own = Fallback(pool=PoolName("own"), when=(Reason.BUDGET_EXCEEDED,))
    policy = make_policy(fallback=(own,), budget=Budget(amount=Micros(TEN_MINUTES), as_written="1 USD"))
    definitions = money_definitions(policy, pools=[priced(), make_pool(name=PoolName("own"))])
    async with open_core(tmp_path / "broker.db", definitions, clock=ManualClock(NOON)) as core:
        await ask_for(core, *NAMES[:3])
        assert sorted(str(a.pool) for a in await core.ctx.agents.live()) == [POOL, "own", "own"]
        assert metric(core, "fallbacks_total", policy=POLICY, pool="own", reason="BudgetExceeded") == 2
