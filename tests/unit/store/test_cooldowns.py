"""The breaker of a pool: closed, open, tried with one agent, closed again; it survives a restart."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from broker.domain.ids import PoolName
from broker.domain.limits import Cooled, Rest
from broker.domain.offer import Offering
from broker.domain.pool import Cooldown
from broker.domain.reason import Reason
from broker.store.cooldowns import Cooldowns, Failure, clear_probe, set_probe
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
    failure = make_failure(after, agent)
    await cooldowns._database.transaction(failure.write)
    cooldowns.written(failure)
    assert failure.rest is not None
    return failure.rest


def make_failure(after: timedelta = timedelta(), agent: int = 9, **changes: Any) -> Failure:
    failure = Failure(
        agent=agent_id(agent),
        pool=make_pool(cooldown=RULE),
        why=Reason.ACCESS_DENIED,
        message="no",
        at=EPOCH + after,
    )
    return replace(failure, **changes)


async def succeed(cooldowns: Cooldowns, online: timedelta = timedelta()) -> bool:
    at = EPOCH + online
    return await cooldowns.succeeded(make_agent(pool=POOL, online_at=at), at)


async def try_with(cooldowns: Cooldowns, database: Database, agent: int) -> None:
    await database.transaction(lambda connection: set_probe(connection, POOL, agent_id(agent)))


async def open_breaker(cooldowns: Cooldowns) -> Rest:
    for _ in range(RULE.after_failures - 1):
        assert (await fail(cooldowns)).opened == 0
    return await fail(cooldowns)


async def test_enough_failures_within_the_time_open_it(cooldowns: Cooldowns) -> None:
    rest = await open_breaker(cooldowns)
    assert (rest.opened, rest.until, rest.why) == (1, EPOCH + RULE.rest, Reason.ACCESS_DENIED)
    assert await cooldowns.read(EPOCH) == {POOL: rest}


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
    for _ in range(3):
        assert rest.until is not None
        now = rest.until
        await try_with(cooldowns, database, 1)
        rest = await fail(cooldowns, now - EPOCH, agent=1)
        assert rest.until is not None
        rests.append(rest.until - now)
    assert rests == [timedelta(minutes=10)] * 3, "a mended pool does not stand idle for an hour"


async def test_a_rest_that_the_rule_makes_longer_than_the_bound_stays_as_long(
    cooldowns: Cooldowns, database: Database
) -> None:
    slow = make_pool(cooldown=replace(RULE, rest=timedelta(hours=1), after_failures=1))
    for agent in (1, 2):
        await try_with(cooldowns, database, agent)
        failure = make_failure(agent=agent, pool=slow)
        await database.transaction(failure.write)
        assert failure.rests_until == EPOCH + timedelta(hours=1)


async def test_a_success_closes_it_and_the_count_begins_anew(cooldowns: Cooldowns) -> None:
    await open_breaker(cooldowns)
    assert await succeed(cooldowns)
    assert not await succeed(cooldowns)
    assert await cooldowns.read(EPOCH) == {}
    assert (await fail(cooldowns)).opened == 0


async def test_only_an_open_breaker_is_tried_by_an_agent(cooldowns: Cooldowns, database: Database) -> None:
    await fail(cooldowns)
    await database.transaction(lambda connection: set_probe(connection, POOL, agent_id(1)))
    assert (await cooldowns.read(EPOCH))[POOL].probe is None
    await fail(cooldowns)
    await fail(cooldowns)
    await database.transaction(lambda connection: set_probe(connection, POOL, agent_id(1)))
    assert (await cooldowns.read(EPOCH))[POOL].probe == agent_id(1)
    await database.transaction(lambda connection: clear_probe(connection, agent_id(2)))
    assert (await cooldowns.read(EPOCH))[POOL].probe == agent_id(1)
    await database.transaction(lambda connection: clear_probe(connection, agent_id(1)))
    assert (await cooldowns.read(EPOCH))[POOL].probe is None


async def test_it_survives_a_restart(tmp_path: Path) -> None:
    async with opened(tmp_path / "other.db") as (database, _):
        rest = await open_breaker(Cooldowns(database))
    async with opened(tmp_path / "other.db") as (database, _):
        assert await Cooldowns(database).read(EPOCH) == {POOL: rest}


async def test_a_failure_that_is_written_while_a_new_broker_reads_the_others_is_not_lost(
    cooldowns: Cooldowns, database: Database
) -> None:
    read = database.read

    async def meanwhile(work: Callable[[AsyncConnection], Awaitable[Any]]) -> Any:
        told = await read(work)
        database.read = read  # type: ignore[method-assign]  # once
        for _ in range(RULE.after_failures):
            await fail(cooldowns)
        return told

    database.read = meanwhile  # type: ignore[method-assign]  # the moment between what is read and what is known
    assert await succeed(cooldowns, SECOND), "its breaker is found, and closed"


async def test_a_breaker_that_opens_while_a_success_is_written_stays_open(
    cooldowns: Cooldowns, database: Database
) -> None:
    await fail(cooldowns)
    transaction = database.transaction

    async def meanwhile(work: Callable[[AsyncConnection], Awaitable[Any]]) -> Any:
        database.transaction = transaction  # type: ignore[method-assign]  # once
        for _ in range(RULE.after_failures - 1):
            await fail(cooldowns, 10 * SECOND)
        return await transaction(work)

    database.transaction = meanwhile  # type: ignore[method-assign]  # who is first has the writer
    assert not await succeed(cooldowns, SECOND)
    assert (await cooldowns.read(EPOCH + 10 * SECOND))[POOL].opened == 1
    assert await succeed(cooldowns, 20 * SECOND)


async def test_who_was_online_before_the_failures_says_nothing_of_them(cooldowns: Cooldowns) -> None:
    await open_breaker(cooldowns)
    assert not await succeed(cooldowns, -SECOND)
    assert (await cooldowns.read(EPOCH))[POOL].opened == 1
    assert await succeed(cooldowns, SECOND)


async def test_a_success_is_heard_by_a_broker_that_has_just_started(cooldowns: Cooldowns, database: Database) -> None:
    await open_breaker(cooldowns)
    assert await succeed(Cooldowns(database), SECOND)


@pytest.mark.parametrize("back", [timedelta(hours=1), timedelta(days=1)])
async def test_a_clock_that_is_set_back_does_not_keep_a_pool_at_rest(
    cooldowns: Cooldowns, database: Database, back: timedelta
) -> None:
    await open_breaker(cooldowns)
    lacks = make_failure(lacks=(Offering(POOL, "a"),), times=0)
    await database.transaction(lacks.write)
    now = EPOCH - back
    rest = (await cooldowns.read(now))[POOL]
    assert rest.until is not None
    assert rest.until <= now, "one agent may try it"
    assert await cooldowns.cooled(now) == {}
    assert (await cooldowns.read(EPOCH - SECOND))[POOL].until == EPOCH + RULE.rest, "a small step is nothing"


async def test_failures_ahead_of_the_clock_are_not_counted_with_those_of_now(cooldowns: Cooldowns) -> None:
    for _ in range(RULE.after_failures - 1):
        await fail(cooldowns)
    assert (await fail(cooldowns, -timedelta(hours=1))).opened == 0


async def test_what_is_out_of_stock_is_so_for_its_time(cooldowns: Cooldowns, database: Database) -> None:
    here, there = Offering(POOL, "a", "small", "SPOT"), Offering(PoolName("other"), capacity="SPOT")
    why = Reason.QUOTA_EXCEEDED
    failure = make_failure(lacks=(here, there, here), times=0, why=why, message="8 vCPU")
    await database.transaction(failure.write)
    assert failure.rest is None, "it says nothing of the pool"
    cooled = Cooled(until=EPOCH + RULE.out_of_stock, why=why, message="8 vCPU")
    assert await cooldowns.cooled(EPOCH) == {here: cooled, there: cooled}
    assert await cooldowns.cooled(cooled.until) == {}


async def test_a_lack_that_is_over_leaves_no_row(cooldowns: Cooldowns, database: Database) -> None:
    for n, zone in enumerate("abc"):
        failure = make_failure(n * RULE.out_of_stock, lacks=(Offering(POOL, zone),))
        await database.transaction(failure.write)
    assert list(await cooldowns.cooled(EPOCH)) == []
    assert [of.zone for of in await cooldowns.cooled(EPOCH + 2 * RULE.out_of_stock)] == ["c"]
