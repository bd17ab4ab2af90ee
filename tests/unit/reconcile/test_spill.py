"""What is out of stock is left alone for a time, and the agents that it refused go elsewhere at once (F5, F8)."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from broker.domain.agent import Agent
from broker.domain.definitions import Definitions
from broker.domain.ids import BackendName, PoolName
from broker.domain.instance import InstanceState
from broker.domain.lifecycle import Goal, Outcome, Phase
from broker.domain.offer import Offer, Offering
from broker.domain.policy import OnTimeout, Policy, Retry, Timeouts
from broker.domain.pool import Direct, Pool
from broker.domain.reason import Reason
from broker.errors import BackendRejected, InsufficientCapacity
from broker.testing.backend import FakeBackend
from broker.testing.factories import make_definitions, make_policy, make_pool
from tests.core import Core, open_core

CLOUD, NEXT = PoolName("cloud"), PoolName("next")
NAME = "linux-000001"
FULL = InsufficientCapacity("NoStock", "none left")
QUOTA = InsufficientCapacity("Quota", "8 vCPU", Reason.QUOTA_EXCEEDED)
STOCK = timedelta(minutes=3)
NAMES = tuple(f"linux-{n:06d}" for n in range(10))


def pools(*names: PoolName, **changes: object) -> tuple[Pool, ...]:
    return tuple(make_pool(name=name, **changes) for name in names)


def definitions(*names: PoolName, **changes: object) -> Definitions:
    policy: Policy = make_policy(*names, **changes)
    return make_definitions(pools=pools(*names), policies=[policy])


def zones(core: Core, pool: PoolName, names: str, **changes: object) -> None:
    core.backend.places.offers += [Offer(pool=pool, zone=zone, **changes) for zone in names]  # type: ignore[arg-type]  # fields of Offer


async def asked(core: Core, *names: str) -> list[Agent]:
    await core.sync()
    await core.ask(*names)
    await core.settle()
    return [await core.agent(name) for name in names]


async def test_an_agent_that_one_zone_refuses_is_launched_in_the_next_in_the_same_moment(tmp_path: Path) -> None:
    async with open_core(tmp_path / "broker.db", definitions(CLOUD)) as core:
        zones(core, CLOUD, "ab")
        core.backend.offering_raises(Offering(CLOUD, "a"), FULL)
        began = core.clock.monotonic()
        [agent] = await asked(core, NAME)
        assert core.clock.monotonic() == began
        assert (agent.phase, agent.zone, agent.refusals) == (Phase.BOOTING, "b", 1)


async def test_of_ten_agents_those_that_are_refused_go_to_the_next_offering_at_once(tmp_path: Path) -> None:
    async with open_core(tmp_path / "broker.db", definitions(CLOUD, NEXT)) as core:
        zones(core, CLOUD, "a")
        core.backend.places.stock[Offering(CLOUD, "a")] = 6
        began = core.clock.monotonic()
        agents = await asked(core, *NAMES)
        assert core.clock.monotonic() == began
        assert Counter((agent.phase, agent.pool) for agent in agents) == {
            (Phase.BOOTING, CLOUD): 6,
            (Phase.BOOTING, NEXT): 4,
        }
        assert len(core.backend.ledger.calls) == 11, "who had not been called for yet was not called for in vain"


@pytest.mark.parametrize(
    ("out", "goes_to"),
    [
        ([Offering(CLOUD, "a", "small", "SPOT")], ("cloud", "a", "large", "SPOT")),
        (
            [Offering(CLOUD, "a", kind, "SPOT") for kind in ("small", "large")],
            ("cloud", "b", "small", "SPOT"),
        ),
        (
            [Offering(CLOUD, zone, kind, "SPOT") for zone in "ab" for kind in ("small", "large")],
            ("next", "", "", "FARGATE"),
        ),
    ],
)
async def test_the_chain_is_walked_in_order_to_what_is_in_stock(
    tmp_path: Path, out: list[Offering], goes_to: tuple[str, ...]
) -> None:
    once = Retry(attempts=1)
    async with open_core(tmp_path / "broker.db", definitions(CLOUD, NEXT, retry=once)) as core:
        for zone in "ab":
            for kind in ("small", "large"):
                core.backend.places.offers.append(Offer(pool=CLOUD, zone=zone, type=kind, capacity="SPOT"))
        core.backend.places.offers.append(Offer(pool=NEXT, capacity="FARGATE"))
        for offering in out:
            core.backend.offering_raises(offering, FULL)
        [agent] = await asked(core, NAME)
        assert agent.phase is Phase.BOOTING
        assert (agent.pool, agent.zone, agent.type, agent.capacity) == goes_to
        assert agent.attempt == len(out) + 1, "each launch was called once"


async def test_with_nothing_left_it_waits_and_says_one_clear_reason(tmp_path: Path) -> None:
    async with open_core(tmp_path / "broker.db", definitions(CLOUD, NEXT, retry=Retry(attempts=1))) as core:
        zones(core, CLOUD, "ab")
        for offering in (Offering(CLOUD, "a"), Offering(CLOUD, "b"), Offering(NEXT)):
            core.backend.offering_raises(offering, FULL)
        [agent] = await asked(core, NAME)
        assert (agent.phase, agent.goal, agent.why) == (Phase.REQUESTED, Goal.ONLINE, Reason.INSUFFICIENT_CAPACITY)
        assert "NoStock: none left" in agent.message
        assert core.backend.ledger.total_created() == 0
        assert len(core.backend.ledger.calls) == 3


async def test_what_was_out_of_stock_is_tried_again_after_its_time_and_not_before(tmp_path: Path) -> None:
    async with open_core(tmp_path / "broker.db", definitions(CLOUD)) as core:
        zones(core, CLOUD, "a")
        core.backend.offering_raises(Offering(CLOUD, "a"), FULL)
        await asked(core, NAME)
        core.backend.offering_recovers(Offering(CLOUD, "a"))
        await core.advance(STOCK.total_seconds() - 6, step_s=2)
        assert len(core.backend.ledger.calls) == 1
        await core.advance(12, step_s=2)
        assert (await core.agent(NAME)).phase is Phase.CONNECTING


async def test_a_restart_does_not_forget_what_is_out_of_stock(tmp_path: Path) -> None:
    async with open_core(tmp_path / "broker.db", definitions(CLOUD)) as core:
        zones(core, CLOUD, "a")
        core.backend.offering_raises(Offering(CLOUD, "a"), FULL)
        await asked(core, NAME)
        ledger, clock = core.backend.ledger, core.clock
    async with open_core(tmp_path / "broker.db", definitions(CLOUD), ledger, clock) as core:
        zones(core, CLOUD, "a")
        await core.sync()
        await core.advance(10)
        assert len(ledger.calls) == 1


async def test_a_quota_is_the_accounts_all_its_pools_that_pay_alike_rest(tmp_path: Path) -> None:
    other, elsewhere = PoolName("other"), PoolName("elsewhere")
    given = make_definitions(
        pools=[*pools(CLOUD, other, NEXT), make_pool(name=elsewhere, backend=BackendName("another"))],
        policies=[make_policy(CLOUD, other, NEXT)],
    )
    async with open_core(tmp_path / "broker.db", given) as core:
        core.ctx.backends = {**core.ctx.backends, BackendName("another"): FakeBackend(clock=core.clock)}
        for pool, capacity in ((CLOUD, "SPOT"), (other, "SPOT"), (NEXT, "FARGATE")):
            zones(core, pool, "a", capacity=capacity)
        core.backend.offering_raises(Offering(CLOUD, "a", capacity="SPOT"), QUOTA)
        [agent] = await asked(core, NAME)
        assert (agent.phase, agent.pool) == (Phase.BOOTING, NEXT)
        assert [spec.pool.name for spec in core.backend.ledger.calls] == [CLOUD, NEXT], "nobody asks for more of it"
        cooled = await core.ctx.cooldowns.cooled(core.clock.now())
        assert not [of for of in cooled if of.pool == elsewhere]


async def test_a_quota_that_shrinks_stops_new_agents_and_ends_no_busy_one(tmp_path: Path) -> None:
    async with open_core(tmp_path / "broker.db", definitions(CLOUD)) as core:
        busy = await core.start(NAME)
        core.says(NAME, busy=True)
        core.backend.offering_raises(Offering(CLOUD), QUOTA)
        [waits] = await asked(core, "linux-000002")
        await core.advance(400, step_s=2)
        assert (await core.agent(NAME)).phase is Phase.ONLINE
        assert (await core.agent(NAME)).version >= busy.version
        waits = await core.agent("linux-000002")
        assert (waits.phase, waits.goal) == (Phase.REQUESTED, Goal.ONLINE)
        assert "QuotaExceeded: Quota: 8 vCPU" in waits.message


async def test_refusals_use_up_no_attempt_and_failures_still_do(tmp_path: Path) -> None:
    async with open_core(tmp_path / "broker.db", definitions(CLOUD, NEXT, retry=Retry(attempts=2))) as core:
        zones(core, CLOUD, "abc")
        for zone in "abc":
            core.backend.offering_raises(Offering(CLOUD, zone), FULL)
        core.backend.offering_raises(Offering(NEXT), BackendRejected("Internal", "no"))
        await asked(core, NAME)
        await core.advance(60, step_s=1)
        agent = await core.agent(NAME)
        assert (agent.phase, agent.outcome, agent.why) == (Phase.GONE, Outcome.FAILED, Reason.BACKEND_ERROR)
        assert (agent.attempt, agent.refusals) == (5, 3)


async def test_refusals_do_not_make_the_time_in_the_queue_longer(tmp_path: Path) -> None:
    impatient = Timeouts(queue=timedelta(minutes=5), on_timeout=OnTimeout.FAIL)
    async with open_core(tmp_path / "broker.db", definitions(CLOUD, timeouts=impatient)) as core:
        core.backend.offering_raises(Offering(CLOUD), FULL)
        await asked(core, NAME)
        await core.advance(310, step_s=2)
        assert len(core.backend.ledger.calls) == 2, "the second was after three minutes"
        agent = await core.agent(NAME)
        assert (agent.phase, agent.why) == (Phase.GONE, Reason.QUEUE_TIMEOUT)


async def test_an_instance_that_ends_for_lack_of_capacity_is_one_more_refusal(tmp_path: Path) -> None:
    async with open_core(tmp_path / "broker.db", definitions(CLOUD, NEXT, retry=Retry(attempts=1))) as core:
        core.backend.first_state = InstanceState.PENDING
        [agent] = await asked(core, NAME)
        assert agent.instance is not None
        core.backend.stop(agent.instance, reason=Reason.INSUFFICIENT_CAPACITY, message="Capacity is unavailable")
        await core.advance(2)
        agent = await core.agent(NAME)
        assert (agent.phase, agent.pool, agent.refusals) == (Phase.BOOTING, NEXT, 1)
        assert core.backend.ledger.total_created() == 2


async def test_a_direct_agent_has_its_one_attempt_even_if_it_is_refused(tmp_path: Path) -> None:
    given = make_definitions(
        pools=[make_pool(name=CLOUD, direct=Direct()), make_pool(name=NEXT)], policies=[make_policy(CLOUD, NEXT)]
    )
    async with open_core(tmp_path / "broker.db", given) as core:
        core.backend.offering_raises(Offering(CLOUD), FULL)
        first, second = [(await asked(core, name))[0] for name in (NAME, "linux-000002")]
        assert (first.goal, first.outcome) == (Goal.GONE, Outcome.FAILED)
        assert (second.phase, second.pool) == (Phase.BOOTING, NEXT), "the next one does not try it"


async def test_a_pool_that_refuses_though_it_should_rest_is_not_called_without_a_pause(tmp_path: Path) -> None:
    nothing = replace(make_pool(name=CLOUD).cooldown, out_of_stock=timedelta(), after_failures=10_000)
    given = make_definitions(pools=pools(CLOUD, cooldown=nothing), policies=[make_policy(CLOUD)])
    async with open_core(tmp_path / "broker.db", given) as core:
        core.backend.offering_raises(Offering(CLOUD), FULL)
        [agent] = await asked(core, NAME)
        assert (agent.phase, len(core.backend.ledger.calls)) == (Phase.REQUESTED, 16)
