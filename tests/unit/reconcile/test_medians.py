"""How long agents take is known from what was lately, also to a broker that has just started."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from broker.domain.ids import PolicyName, PoolName
from broker.reconcile.medians import Medians
from broker.testing.clock import ManualClock
from broker.testing.factories import POLICY, POOL
from tests.core import Core, open_core

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
HOUR, MINUTE, SECOND = timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1)
FAST, SLOW = PoolName("fast"), PoolName("slow")


async def one_life(core: Core, name: str, start_s: float, life_s: float) -> None:
    """An agent that is online so long after its place, and ends so long after that."""
    await core.sync()
    await core.ask(name)
    await core.settle()
    await core.clock.advance(start_s)
    core.sessions.connect(await core.agent(name))
    core.says(name)
    await core.sync()
    await core.settle()
    await core.clock.advance(life_s)
    await core.release(name)
    core.sessions.disconnect((await core.agent(name)).id)
    await core.advance(5)
    assert await core.phases() == {}


async def test_a_restarted_broker_knows_how_long_agents_took_to_start_and_how_long_they_lived(
    tmp_path: Path, engine: str
) -> None:
    clock = ManualClock(NOON)
    async with open_core(tmp_path / "broker.db", clock=clock) as core:
        for number, start_s in enumerate((4, 7, 30)):
            await one_life(core, f"linux-00000{number}", start_s, 100)
        starts, lives = core.ctx.starts.medians(clock.now()), core.ctx.lives.medians(clock.now())
        assert starts == {POOL: 7 * SECOND}
        assert 100 * SECOND < lives[POLICY] < 120 * SECOND
    async with open_core(tmp_path / "broker.db", clock=clock) as core:
        assert core.ctx.starts.medians(clock.now()) == starts
        assert core.ctx.lives.medians(clock.now()) == lives
        await clock.advance(HOUR.total_seconds())
    async with open_core(tmp_path / "broker.db", clock=clock) as core:
        assert core.ctx.starts.medians(clock.now()) == {}, "what was an hour ago says nothing of now"
        assert core.ctx.lives.medians(clock.now()) == lives


def test_what_was_long_ago_or_is_ahead_of_the_clock_does_not_count() -> None:
    medians = Medians[PoolName](HOUR)
    medians.note(FAST, NOON, NOON + 2 * SECOND)
    medians.note(FAST, NOON + MINUTE, NOON + MINUTE + 6 * SECOND)
    medians.note(SLOW, NOON + MINUTE, NOON)
    assert medians.medians(NOON + 2 * MINUTE) == {FAST: 4 * SECOND}
    assert medians.medians(NOON + HOUR + 10 * SECOND) == {FAST: 6 * SECOND}
    medians.note(FAST, NOON + 2 * HOUR, NOON + 2 * HOUR + SECOND)
    assert medians.medians(NOON + HOUR) == {FAST: 6 * SECOND}, "the clock was set back"
    assert medians.medians(NOON) == {}


def test_of_keys_that_are_used_no_more_nothing_stays() -> None:
    medians, now = Medians[PolicyName](HOUR), NOON
    for number in range(200):
        for _ in range(10):
            medians.note(PolicyName(f"policy-{number}"), now, now + MINUTE)
        now += 10 * MINUTE
        assert len(medians.medians(now)) <= 6
    assert len(medians._of) <= 6


def test_of_each_key_the_newest_count() -> None:
    medians = Medians[PoolName](HOUR)
    for _ in range(400):
        medians.note(FAST, NOON, NOON + MINUTE)
    for _ in range(400):
        medians.note(FAST, NOON, NOON + 2 * MINUTE)
    assert medians.medians(NOON + 3 * MINUTE) == {FAST: 2 * MINUTE}
    assert len(medians._of[FAST]) == 500
