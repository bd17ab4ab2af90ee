"""Zones, hosts and speed: where within a pool agents go, from the text of the file to the launch."""

from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest

from broker.domain.ids import AgentName, PoolName
from broker.domain.offer import Offer, Offering
from broker.domain.resources import Resources
from broker.errors import InsufficientCapacity
from broker.testing.places import FakeHost
from tests.unit.policies.written import Written, of_two_pools, written


def zones(broker: Written, **room: int) -> None:
    """What pool a has: places in zones."""
    broker.core.backend.places.offers = [Offer(pool=PoolName("a"), zone=zone, room=n) for zone, n in room.items()]


async def where(broker: Written, number: int) -> Counter[str]:
    agents = await broker.ask(number)
    specs = [broker.core.backend.ledger.spec_of(agent.name) for agent in agents if agent.pool is not None]
    return Counter(spec.offering.zone for spec in specs if spec.offering is not None)


@pytest.mark.parametrize(("max_skew", "most"), [(1, 2), (3, 4)])
async def test_spread_keeps_zones_within_the_skew(max_skew: int, most: int, tmp_path: Path) -> None:
    spread = f"strategy: spread, spread: {{ by: zone, max_skew: {max_skew} }}, pools: [a]"
    async with written(tmp_path, of_two_pools(spread)) as broker:
        zones(broker, x=100, y=1)
        found = await where(broker, 20)
        assert found == {"x": most, "y": 1}


def hosts(**free: tuple[int, int]) -> list[FakeHost]:
    sizes = {name: Resources(cpu_milli=cpu * 1000, memory_mib=gib * 1024) for name, (cpu, gib) in free.items()}
    return [FakeHost(id=name, pool=PoolName("a"), size=size) for name, size in sizes.items()]


async def on_hosts(broker: Written, number: int) -> list[str]:
    agents = await broker.ask(number)
    return [broker.core.backend.ledger.spec_of(AgentName(agent.name)).host for agent in agents]


async def test_spread_keeps_hosts_even(tmp_path: Path) -> None:
    text = of_two_pools("strategy: spread, spread: { by: host }, pools: [a]")
    async with written(tmp_path, text, hosts(one=(8, 8), two=(8, 8), three=(8, 8))) as broker:
        assert Counter(await on_hosts(broker, 6)) == {"one": 2, "two": 2, "three": 2}


@pytest.mark.parametrize(("by", "host"), [("cpu", "few_cpus"), ("memory", "little_memory")])
async def test_binpack_fills_what_is_fullest_by_its_measure(by: str, host: str, tmp_path: Path) -> None:
    text = of_two_pools(f"strategy: binpack, binpack: {{ by: {by} }}, pools: [a]")
    async with written(tmp_path, text, hosts(few_cpus=(2, 16), little_memory=(16, 2))) as broker:
        assert await on_hosts(broker, 2) == [host, host]


async def test_binpack_by_agents_fills_the_host_with_the_fewest_places_left(tmp_path: Path) -> None:
    size = Resources(cpu_milli=16_000, memory_mib=16 * 1024)
    two = [FakeHost(id=f"slots-{n}", pool=PoolName("a"), size=size, slots=n) for n in (9, 3)]
    async with written(tmp_path, of_two_pools("strategy: binpack, binpack: { by: agents }, pools: [a]"), two) as broker:
        assert await on_hosts(broker, 3) == ["slots-3"] * 3


async def test_a_fallback_for_stock_is_turned_to_when_the_cloud_has_none(tmp_path: Path) -> None:
    text = of_two_pools("pools: [a], fallback: [{ pool: b, when: [InsufficientCapacity] }]")
    async with written(tmp_path, text) as broker:
        broker.core.backend.offering_raises(Offering(PoolName("a")), InsufficientCapacity("NoStock", "none is left"))
        await broker.ask()
        await broker.wait(3)
        assert (await broker.now("linux-1")).pool == "b"


async def test_fastest_is_the_pool_whose_agents_came_online_soonest(tmp_path: Path) -> None:
    async with written(tmp_path, of_two_pools("strategy: fastest, pools: [a, b]")) as broker:
        for seconds in (20, 5):  # each pool is tried once; the one that came second starts sooner
            [agent] = await broker.ask()
            await broker.wait(seconds)
            await broker.online(agent.name)
        first, second = await broker.now("linux-1"), await broker.now("linux-2")
        assert {first.pool, second.pool} == {"a", "b"}
        await broker.core.clock.advance(timedelta(minutes=1).total_seconds())
        assert await broker.pools(2) == [str(second.pool)] * 2
