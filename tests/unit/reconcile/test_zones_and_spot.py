"""What clouds run short of, zone by zone and kind by kind, within the wait of one build."""

from pathlib import Path

from broker.domain.definitions import Definitions
from broker.domain.ids import PoolName
from broker.domain.lifecycle import Phase
from broker.domain.offer import Offer, Offering
from broker.domain.policy import Fallback
from broker.domain.reason import Reason
from broker.errors import InsufficientCapacity
from broker.store.details import from_text
from broker.store.history import Event
from broker.testing.factories import make_definitions, make_policy, make_pool
from tests.core import Core, open_core

SPOT, SURE, EC2 = PoolName("fargate-spot"), PoolName("fargate"), PoolName("ec2")
NAME = "linux-000001"
NO_ADDRESS = InsufficientCapacity("RESOURCE:ENI", "no free address in the subnet", Reason.NETWORK_UNAVAILABLE)
NO_SPOT = InsufficientCapacity("", "Capacity is unavailable at this time", Reason.SPOT_UNAVAILABLE)
FULL = InsufficientCapacity("", "Capacity is unavailable at this time")
CHAIN = (
    Fallback(pool=SURE, when=(Reason.SPOT_UNAVAILABLE,)),
    Fallback(pool=EC2, when=(Reason.SPOT_UNAVAILABLE, Reason.INSUFFICIENT_CAPACITY)),
)


def definitions(*pools: PoolName, fallback: tuple[Fallback, ...] = ()) -> Definitions:
    known = [make_pool(name=name) for name in (*pools, *(step.pool for step in fallback))]
    return make_definitions(pools=known, policies=[make_policy(*pools, fallback=fallback)])


def zones(core: Core, pool: PoolName, names: str, capacity: str = "") -> None:
    core.backend.places.offers += [Offer(pool=pool, zone=zone, capacity=capacity) for zone in names]


async def waits_for(core: Core) -> list[Event]:
    await core.sync()
    await core.ask(NAME)
    await core.settle()
    return await core.ctx.history.of_agent((await core.agent(NAME)).id)


async def test_a_zone_without_free_addresses_alone_is_left_alone_and_the_agent_goes_to_another(tmp_path: Path) -> None:
    async with open_core(tmp_path / "broker.db", definitions(SURE)) as core:
        zones(core, SURE, "abc")
        core.backend.offering_raises(Offering(SURE, "a"), NO_ADDRESS)
        began = core.clock.monotonic()
        await waits_for(core)
        agent = await core.agent(NAME)
        assert (core.clock.monotonic(), agent.zone, agent.refusals) == (began, "b", 1)
        names = [f"linux-{n:06d}" for n in range(2, 8)]
        await core.ask(*names)
        await core.settle()
        assert sorted([(await core.agent(name)).zone for name in names]) == ["b"] * 3 + ["c"] * 3
        assert not await core.ctx.cooldowns.read(core.clock.now()), "the pool itself does not rest"


async def test_a_task_that_gets_no_interface_after_its_launch_is_made_in_another_zone(tmp_path: Path) -> None:
    async with open_core(tmp_path / "broker.db", definitions(SURE)) as core:
        zones(core, SURE, "ab")
        await waits_for(core)
        first = await core.agent(NAME)
        assert (first.zone, first.instance is not None) == ("a", True)
        assert first.instance is not None
        told = "Timeout waiting for network interface provisioning to complete"
        core.backend.stop(first.instance, reason=Reason.NETWORK_UNAVAILABLE, message=told)
        await core.advance(5)
        again = await core.agent(NAME)
        assert (again.zone, again.attempt, again.refusals) == ("b", 2, 1)


async def test_spot_then_on_demand_then_the_next_pool_within_one_wait_in_words(tmp_path: Path) -> None:
    async with open_core(tmp_path / "broker.db", definitions(SPOT, fallback=CHAIN)) as core:
        zones(core, SPOT, "ab", "FARGATE_SPOT")
        zones(core, SURE, "ab", "FARGATE")
        for zone in "ab":
            core.backend.offering_raises(Offering(SPOT, zone, "", "FARGATE_SPOT"), NO_SPOT)
            core.backend.offering_raises(Offering(SURE, zone, "", "FARGATE"), FULL)
        began = core.clock.monotonic()
        events = await waits_for(core)
        agent = await core.agent(NAME)
        assert core.clock.monotonic() == began
        assert (agent.pool, agent.phase, agent.refusals) == (EC2, Phase.BOOTING, 4)
        story = [(e.event, e.pool, e.why) for e in events if e.event in ("placed", "failed")]
        assert story == [
            *[("placed", SPOT, None), ("failed", SPOT, Reason.SPOT_UNAVAILABLE)] * 2,
            *[("placed", SURE, None), ("failed", SURE, Reason.INSUFFICIENT_CAPACITY)] * 2,
            ("placed", EC2, None),
        ]
        assert "Capacity is unavailable at this time" in next(e.message for e in events if e.event == "failed")
        last = next(e.message for e in reversed(events) if e.event == "placed")
        assert "pool fargate-spot (a, FARGATE_SPOT) is left alone until 00:03:00 UTC: SpotUnavailable" in last
        assert "pool fargate (b, FARGATE) is left alone until 00:03:00 UTC: InsufficientCapacity" in last


async def test_the_other_zones_of_the_pool_that_was_taken_are_in_the_details_and_not_in_the_build_s_log(
    tmp_path: Path,
) -> None:
    async with open_core(tmp_path / "broker.db", definitions(SPOT, SURE)) as core:
        zones(core, SPOT, "abc", "FARGATE_SPOT")
        zones(core, SURE, "ab", "FARGATE")
        placed = next(e for e in await waits_for(core) if e.event == "placed")
        assert placed.message == "fargate: Superseded: a pool before it could take the agent"
        told = [(r.pool, r.message) for r in from_text(placed.details).rejections]
        assert told[0] == (SPOT, "another place of the pool was taken")
