"""A pool that fails is left alone after a handful of launches, tried with one agent, and slows no other (F1)."""

import random
from collections import Counter
from datetime import timedelta
from pathlib import Path

from broker.domain.definitions import Definitions
from broker.domain.ids import PoolName
from broker.domain.lifecycle import Phase
from broker.domain.limits import Rest
from broker.domain.pool import Cooldown
from broker.domain.reason import Reason
from broker.errors import BackendRejected, OutcomeUnknown
from broker.ports import LaunchSpec
from broker.testing.factories import make_definitions, make_policy, make_pool
from tests.core import Core, open_core

DEAD, WELL = PoolName("dead"), PoolName("well")
NO = BackendRejected("AccessDenied", "not allowed", Reason.ACCESS_DENIED)
NAMES = tuple(f"linux-{n:06d}" for n in range(40))
START = Cooldown().after_failures


def definitions(*pools: PoolName) -> Definitions:
    return make_definitions(pools=[make_pool(name=name) for name in pools], policies=[make_policy(*pools)])


def calls(core: Core, pool: PoolName = DEAD) -> int:
    return sum(spec.pool.name == pool for spec in core.backend.ledger.calls)


async def ask(core: Core, *names: str) -> None:
    await core.sync()
    await core.ask(*names)
    await core.settle()


async def rest_of(core: Core, pool: PoolName = DEAD) -> Rest | None:
    return (await core.ctx.cooldowns.read(core.clock.now())).get(pool)


def dead(core: Core) -> None:
    def fail(spec: LaunchSpec) -> None:
        if spec.pool.name == DEAD:
            raise NO

    core.backend.check_launch = fail


async def test_a_pool_that_refuses_everything_is_called_five_times_whoever_waits(tmp_path: Path) -> None:
    async with open_core(tmp_path / "broker.db", definitions(DEAD, WELL)) as core:
        dead(core)
        began = core.clock.monotonic()
        await ask(core, *NAMES)
        assert calls(core) == START
        assert core.clock.monotonic() == began
        pools = Counter((a.pool, a.phase) for a in await core.ctx.agents.live())
        assert pools[WELL, Phase.BOOTING] >= len(NAMES) - START, "who was not called for went there at once"
        await core.advance(60, step_s=10)
        assert calls(core) == START
        assert all(a.pool == WELL for a in await core.ctx.agents.live())


async def test_alone_it_makes_its_agents_wait_with_its_reason_and_none_of_them_fails(tmp_path: Path) -> None:
    async with open_core(tmp_path / "broker.db", definitions(DEAD)) as core:
        dead(core)
        await ask(core, *NAMES)
        await core.advance(120, step_s=10)
        assert calls(core) == START
        waiting = await core.ctx.agents.live()
        assert {a.phase for a in waiting} == {Phase.REQUESTED}
        assert len(waiting) == len(NAMES)
        assert {a.why for a in waiting} == {Reason.POOL_COOLING_DOWN}
        assert all("AccessDenied: not allowed" in a.message for a in waiting)


async def test_after_its_rest_one_agent_tries_it_and_when_it_is_mended_the_first_one_closes_it(tmp_path: Path) -> None:
    async with open_core(tmp_path / "broker.db", definitions(DEAD)) as core:
        dead(core)
        await ask(core, *NAMES[:8])
        await core.advance(310, step_s=10)
        assert calls(core) == START + 1
        await core.advance(580, step_s=10)
        assert calls(core) == START + 1, "the second rest is ten minutes"
        core.backend.check_launch = None
        await core.advance(30, step_s=5)
        assert calls(core) == START + 2
        [probe] = [a for a in await core.ctx.agents.live() if a.phase is not Phase.REQUESTED]
        core.sessions.connect(probe)
        core.says(probe.name, busy=True)
        await core.sync()
        await core.advance(2)
        assert await rest_of(core) is None
        assert all(a.phase is not Phase.REQUESTED for a in await core.ctx.agents.live())


async def test_who_was_on_its_way_when_the_breaker_opened_closes_it_for_launches_too(tmp_path: Path) -> None:
    async with open_core(tmp_path / "broker.db", definitions(DEAD)) as core:
        await ask(core, NAMES[0])
        dead(core)
        await core.advance(2)
        await ask(core, *NAMES[1:8])
        await core.advance(10)
        assert (rest := await rest_of(core)) is not None
        assert rest.opened == 1
        core.backend.check_launch = None
        first = await core.agent(NAMES[0])
        core.sessions.connect(first)
        core.says(first.name, busy=True)
        await core.sync()
        await core.advance(10)
        assert await rest_of(core) is None
        others = [await core.agent(name) for name in NAMES[1:8]]
        assert {a.phase for a in others} == {Phase.CONNECTING}
        assert max(a.attempt for a in others) == 2, "who was placed there again was launched, not given back"


async def test_a_trial_that_waits_for_a_controller_that_is_away_keeps_others_out_for_the_time_of_a_start(
    tmp_path: Path,
) -> None:
    async with open_core(tmp_path / "broker.db", definitions(DEAD)) as core:
        dead(core)
        await ask(core, *NAMES[:8])
        core.backend.check_launch = None
        await core.advance(310, step_s=5)
        assert calls(core) == START + 1
        [probe] = [a for a in await core.ctx.agents.live() if a.phase is not Phase.REQUESTED]
        await core.advance(600, step_s=20)
        assert (await core.agent(probe.name)).phase is Phase.CONNECTING, "its time stands still"
        for _ in range(4):
            await core.loop._look_at_all()
            await core.advance(60, step_s=20)
        assert calls(core) == START + 2


async def test_one_failure_in_twenty_is_tried_again_and_opens_no_breaker(tmp_path: Path) -> None:
    async with open_core(tmp_path / "broker.db", definitions(DEAD)) as core:
        chance = random.Random(5)

        def fail(_: LaunchSpec) -> None:
            if chance.random() < 0.05:
                raise OutcomeUnknown("500", "internal error")

        core.backend.check_launch = fail
        await ask(core, *NAMES)
        await core.advance(30)
        assert {a.phase for a in await core.ctx.agents.live()} == {Phase.CONNECTING}
        assert await rest_of(core) is None
        assert set(core.backend.ledger.created.values()) == {1}
        assert calls(core) > len(NAMES)


async def test_a_broker_that_starts_anew_does_not_begin_with_a_pool_that_rests(tmp_path: Path) -> None:
    async with open_core(tmp_path / "broker.db", definitions(DEAD)) as core:
        dead(core)
        await ask(core, *NAMES)
        ledger, clock = core.backend.ledger, core.clock
    async with open_core(tmp_path / "broker.db", definitions(DEAD), ledger, clock) as core:
        dead(core)
        await core.sync()
        await core.advance(60, step_s=2)
        assert calls(core) == START


async def test_failures_are_written_with_what_they_do_to_their_agent_or_not_at_all(tmp_path: Path) -> None:
    async with open_core(tmp_path / "broker.db", definitions(DEAD)) as core:
        dead(core)
        await core.sync()
        await core.ask_for_offers()
        await core.ask("linux-000001")
        change = core.ctx.agents.change

        async def conflict(*given: object, **more: object) -> object:
            agent = await core.agent("linux-000001")
            if agent.phase is Phase.LAUNCHING:
                await core.ctx.agents.extend_deadlines([agent.id], [Phase.LAUNCHING], timedelta(seconds=1))
            return await change(*given, **more)  # type: ignore[arg-type]  # what it was given

        core.ctx.agents.change = conflict  # type: ignore[method-assign, assignment]  # somebody else is faster
        for _ in range(20):
            await core.loop.look_once()
            if calls(core):
                break
        assert await rest_of(core) is None
        core.ctx.agents.change = change  # type: ignore[method-assign]
        await core.settle()
        assert await rest_of(core) is not None
