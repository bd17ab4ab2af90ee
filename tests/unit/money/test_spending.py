"""What agents cost is in the sums, to the micro: over restarts, midnight and a clock that is set."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from broker.domain.lifecycle import Phase
from broker.domain.money import Micros, cost
from broker.domain.resources import Resources
from broker.errors import BackendRejected
from broker.placement.prices import DEAREST
from broker.testing.backend import Ledger
from broker.testing.clock import ManualClock
from broker.testing.factories import POLICY, POOL, make_pool, make_template
from tests.core import open_core
from tests.unit.money.world import HOURLY, NOON, TODAY, TOMORROW, metric, money_definitions, priced, spent

EVERY_TICK_S = 10


async def test_an_agent_costs_its_rate_from_the_accepted_launch_on(tmp_path: Path) -> None:
    async with open_core(tmp_path / "broker.db", money_definitions(), clock=ManualClock(NOON)) as core:
        agent = await core.start()
        assert agent.costs_since == NOON
        await core.advance(60)
        assert await spent(core) == {TODAY: cost(Micros(HOURLY), NOON, core.clock.now())}
        assert metric(core, "estimated_cost_total", policy=POLICY, pool=POOL, currency="USD") == pytest.approx(0.06)


async def test_an_agent_costs_nothing_any_more_when_its_instance_is_gone(tmp_path: Path, engine: str) -> None:
    async with open_core(tmp_path / "broker.db", money_definitions(), clock=ManualClock(NOON)) as core:
        await core.start()
        await core.advance(13)
        await core.release("linux-000001")
        await core.advance(5)
        assert await core.phases() == {}
        gone = await core.agent("linux-000001")
        assert gone.gone_at is not None
        exactly = cost(Micros(HOURLY), NOON, gone.gone_at)
        assert await spent(core) == {TODAY: exactly}
        await core.advance(120)
        assert await spent(core) == {TODAY: exactly}
        assert metric(core, "estimated_cost_total", policy=POLICY) == pytest.approx(exactly / 1_000_000)


async def test_a_life_shorter_than_a_tick_is_charged_too(tmp_path: Path) -> None:
    async with open_core(tmp_path / "broker.db", money_definitions(), clock=ManualClock(NOON)) as core:
        await core.start()
        await core.advance(1)
        await core.release("linux-000001")
        await core.advance(EVERY_TICK_S)
        gone = await core.agent("linux-000001")
        assert gone.gone_at is not None
        assert (await spent(core))[TODAY] == cost(Micros(HOURLY), NOON, gone.gone_at) > 0


async def test_an_agent_in_a_pool_without_a_price_costs_nothing(tmp_path: Path) -> None:
    free = money_definitions(pools=[make_pool()])
    async with open_core(tmp_path / "broker.db", free, clock=ManualClock(NOON)) as core:
        await core.start()
        await core.advance(60)
        assert await spent(core) == {}
        assert metric(core, "estimated_cost_total") is None


async def test_a_launch_that_is_never_accepted_costs_nothing(tmp_path: Path) -> None:
    async with open_core(tmp_path / "broker.db", money_definitions(), clock=ManualClock(NOON)) as core:
        core.backend.next_launch_raises(BackendRejected("no", "not today"), times=100)
        await core.sync()
        await core.ask("linux-000001")
        await core.advance(60)
        assert await spent(core) == {}


async def test_a_life_over_midnight_is_charged_to_both_days(tmp_path: Path) -> None:
    late = datetime(2026, 11, 23, 23, 59, 30, tzinfo=UTC)
    async with open_core(tmp_path / "broker.db", money_definitions(), clock=ManualClock(late)) as core:
        await core.start()
        await core.advance(90)
        assert await spent(core) == {TODAY: 30_000, TOMORROW: 60_000}


async def test_the_time_in_which_the_broker_did_not_run_is_charged_once(tmp_path: Path) -> None:
    clock, ledger, path = ManualClock(NOON), Ledger(), tmp_path / "broker.db"
    async with open_core(path, money_definitions(), ledger, clock) as core:
        await core.start()
        await core.advance(60)
    await clock.advance(7200)
    async with open_core(path, money_definitions(), ledger, clock) as core:
        await core.advance(60)
        assert await spent(core) == {TODAY: cost(Micros(HOURLY), NOON, clock.now())}
    async with open_core(path, money_definitions(), ledger, clock) as core:
        await core.advance(EVERY_TICK_S)
        assert await spent(core) == {TODAY: cost(Micros(HOURLY), NOON, clock.now())}


async def test_an_instance_that_ended_while_the_broker_did_not_run_is_not_charged_for_all_of_that(
    tmp_path: Path,
) -> None:
    clock, ledger, path = ManualClock(NOON), Ledger(), tmp_path / "broker.db"
    async with open_core(path, money_definitions(), ledger, clock) as core:
        await core.start()
        await core.advance(60)
    await clock.advance(7200)
    ledger.instances.clear()
    async with open_core(path, money_definitions(), ledger, clock) as core:
        await core.advance(120)
        assert Phase.ONLINE not in (await core.phases()).values()
        assert (await spent(core))[TODAY] <= cost(Micros(HOURLY), NOON, NOON + timedelta(minutes=3))


async def test_a_clock_that_is_set_back_a_day_makes_nothing_free_and_nothing_cost_twice(tmp_path: Path) -> None:
    clock = ManualClock(NOON)
    async with open_core(tmp_path / "broker.db", money_definitions(), clock=clock) as core:
        await core.start()
        await core.advance(60)
        clock.jump(timedelta(days=-1))
        await core.advance(60)
        assert sum((await spent(core)).values()) == 120_000


async def test_a_clock_that_is_set_back_has_no_day_added_to_the_counter_again(tmp_path: Path) -> None:
    clock = ManualClock(NOON)
    async with open_core(tmp_path / "broker.db", money_definitions(), clock=clock) as core:
        await core.start()
        for _ in range(4):
            await core.sync()
            await core.advance(12 * 3600, step_s=3 * 3600)
        clock.jump(timedelta(days=-1))
        await core.advance(60)
        counted = metric(core, "estimated_cost_total", policy=POLICY, pool=POOL, currency="USD")
        assert counted == pytest.approx(sum((await spent(core)).values()) / 1_000_000)


async def test_a_clock_that_is_set_forward_a_day_costs_no_day(tmp_path: Path) -> None:
    clock = ManualClock(NOON)
    async with open_core(tmp_path / "broker.db", money_definitions(), clock=clock) as core:
        await core.start()
        await core.advance(60)
        clock.jump(timedelta(days=1))
        await core.advance(60)
        assert sum((await spent(core)).values()) == 120_000


async def test_a_clock_that_was_set_back_while_the_broker_did_not_run_charges_nothing_twice(tmp_path: Path) -> None:
    clock, ledger, path = ManualClock(NOON), Ledger(), tmp_path / "broker.db"
    async with open_core(path, money_definitions(), ledger, clock) as core:
        await core.start()
        await core.advance(60)
    clock.jump(timedelta(days=-1))
    async with open_core(path, money_definitions(), ledger, clock) as core:
        await core.advance(60)
        assert sum((await spent(core)).values()) == 120_000


async def test_a_price_beyond_all_measure_stops_neither_placement_nor_charges(tmp_path: Path) -> None:
    large = make_template(resources=Resources(cpu_milli=4_096_000, memory_mib=1024))
    definitions = money_definitions(pools=[priced(hourly=10**18)], templates=[large])
    async with open_core(tmp_path / "broker.db", definitions, clock=ManualClock(NOON)) as core:
        await core.start()
        await core.advance(30)
        assert (await core.agent("linux-000001")).rate == DEAREST
        assert sum((await spent(core)).values()) == cost(DEAREST, NOON, NOON + timedelta(seconds=30))
