"""The breaker of a pool: closed, open, tried with one agent, closed again; it survives a restart."""

from datetime import timedelta
from pathlib import Path

import pytest

from broker.domain.limits import Rest
from broker.domain.pool import Cooldown
from broker.domain.reason import Reason
from broker.store.cooldowns import Cooldowns, clear_probe, set_probe
from broker.store.engine import Database
from broker.testing.clock import EPOCH
from broker.testing.factories import POOL, agent_id, make_agent, make_pool
from tests.unit.store.world import opened

RULE = Cooldown(after_failures=3, within=timedelta(minutes=2), rest=timedelta(minutes=5))
SECOND = timedelta(seconds=1)


@pytest.fixture
def cooldowns(database: Database) -> Cooldowns:
    return Cooldowns(database)


async def fail(cooldowns: Cooldowns, after: timedelta = timedelta(), agent: int = 9) -> Rest:
    pool = make_pool(cooldown=RULE)
    return await cooldowns.failed(make_agent(agent), pool, Reason.ACCESS_DENIED, "no", EPOCH + after)


async def try_with(cooldowns: Cooldowns, database: Database, agent: int) -> None:
    await database.transaction(lambda connection: set_probe(connection, POOL, agent_id(agent)))


async def open_breaker(cooldowns: Cooldowns) -> Rest:
    for _ in range(RULE.after_failures - 1):
        assert (await fail(cooldowns)).opened == 0
    return await fail(cooldowns)


async def test_enough_failures_within_the_time_open_it(cooldowns: Cooldowns) -> None:
    rest = await open_breaker(cooldowns)
    assert (rest.opened, rest.until, rest.why) == (1, EPOCH + RULE.rest, Reason.ACCESS_DENIED)
    assert await cooldowns.read() == {POOL: rest}


async def test_failures_far_apart_do_not_open_it(cooldowns: Cooldowns) -> None:
    for n in range(10):
        assert (await fail(cooldowns, n * RULE.within + n * SECOND)).opened == 0


async def test_a_failure_of_an_earlier_launch_does_not_make_the_rest_longer(cooldowns: Cooldowns) -> None:
    rest = await open_breaker(cooldowns)
    for n in range(5):
        assert (await fail(cooldowns, n * SECOND)).until == rest.until


async def test_a_late_failure_of_another_agent_is_no_failed_trial(cooldowns: Cooldowns, database: Database) -> None:
    rest = await open_breaker(cooldowns)
    late = await fail(cooldowns, RULE.rest + SECOND)
    assert (late.opened, late.until) == (1, rest.until)
    await try_with(cooldowns, database, 1)
    late = await fail(cooldowns, RULE.rest + 2 * SECOND)
    assert (late.opened, late.until, late.probe) == (1, rest.until, agent_id(1))
    tried = await fail(cooldowns, RULE.rest + 3 * SECOND, agent=1)
    assert (tried.opened, tried.probe) == (2, None)


async def test_a_failed_trial_doubles_the_rest_up_to_a_bound(cooldowns: Cooldowns, database: Database) -> None:
    rest, rests = await open_breaker(cooldowns), list[timedelta]()
    for _ in range(6):
        assert rest.until is not None
        now = rest.until
        await try_with(cooldowns, database, 1)
        rest = await fail(cooldowns, now - EPOCH, agent=1)
        assert rest.until is not None
        rests.append(rest.until - now)
    assert rests == [RULE.rest * factor for factor in (2, 4, 8, 16, 16, 16)]


async def test_a_success_closes_it_and_the_count_begins_anew(cooldowns: Cooldowns) -> None:
    await open_breaker(cooldowns)
    assert await cooldowns.succeeded(POOL)
    assert not await cooldowns.succeeded(POOL)
    assert await cooldowns.read() == {}
    assert (await fail(cooldowns)).opened == 0


async def test_only_an_open_breaker_is_tried_by_an_agent(cooldowns: Cooldowns, database: Database) -> None:
    await fail(cooldowns)
    await database.transaction(lambda connection: set_probe(connection, POOL, agent_id(1)))
    assert (await cooldowns.read())[POOL].probe is None
    await fail(cooldowns)
    await fail(cooldowns)
    await database.transaction(lambda connection: set_probe(connection, POOL, agent_id(1)))
    assert (await cooldowns.read())[POOL].probe == agent_id(1)
    await database.transaction(lambda connection: clear_probe(connection, agent_id(2)))
    assert (await cooldowns.read())[POOL].probe == agent_id(1)
    await database.transaction(lambda connection: clear_probe(connection, agent_id(1)))
    assert (await cooldowns.read())[POOL].probe is None


async def test_it_survives_a_restart(tmp_path: Path) -> None:
    async with opened(tmp_path / "other.db") as (database, _):
        rest = await open_breaker(Cooldowns(database))
    async with opened(tmp_path / "other.db") as (database, _):
        assert await Cooldowns(database).read() == {POOL: rest}
