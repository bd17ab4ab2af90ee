"""Each strategy as the file writes it, from the text to where agents go."""

from collections import Counter
from functools import partial
from pathlib import Path

import pytest

from broker.domain.agent import Agent
from broker.domain.ids import PoolName
from broker.domain.reason import Reason
from broker.domain.resources import Resources
from broker.testing.places import FakeHost, make_hosts
from tests.unit.policies.written import Written, of_two_pools, written


async def test_ordered_fills_the_first_pool_before_the_next(tmp_path: Path) -> None:
    async with written(tmp_path, of_two_pools("pools: [b, a]", b=", limits: { agents: 2 }")) as broker:
        assert await broker.pools(3) == ["b", "b", "a"]


async def test_weights_share_out_the_agents(tmp_path: Path) -> None:
    pools = "strategy: weighted, pools: [{ pool: a, weight: 4 }, { pool: b, weight: 1 }]"
    async with written(tmp_path, of_two_pools(pools)) as broker:
        assert Counter(await broker.pools(10)) == {"a": 8, "b": 2}


async def test_a_base_comes_before_the_weights(tmp_path: Path) -> None:
    pools = "strategy: weighted, pools: [{ pool: a, weight: 4 }, { pool: b, weight: 1, base: 2 }]"
    async with written(tmp_path, of_two_pools(pools)) as broker:
        found = await broker.pools(8)
        assert found[:2] == ["b", "b"]
        assert Counter(found) == {"a": 5, "b": 3}


async def test_a_pool_of_weight_0_gets_none(tmp_path: Path) -> None:
    pools = "strategy: weighted, pools: [{ pool: a, weight: 0 }, b]"
    async with written(tmp_path, of_two_pools(pools)) as broker:
        assert set(await broker.pools(5)) == {"b"}


async def test_spread_keeps_pools_even(tmp_path: Path) -> None:
    async with written(tmp_path, of_two_pools("strategy: spread, spread: { by: pool }, pools: [a, b]")) as broker:
        assert Counter(await broker.pools(6)) == {"a": 3, "b": 3}


async def test_cheapest_is_the_pool_of_the_lowest_price_for_the_template(tmp_path: Path) -> None:
    dear, cheap = ", cost: { cpu_hour: 0.01, memory_gib_hour: 0.5 }", ", cost: { cpu_hour: 0.2 }, limits: { agents: 2 }"
    async with written(tmp_path, of_two_pools("strategy: cheapest, pools: [a, b]", a=dear, b=cheap)) as broker:
        assert await broker.pools(3) == ["b", "b", "a"]


ONE_SIZE = make_hosts("a", Resources(cpu_milli=4000, memory_mib=4096), {"east": 2, "west": 2})


async def _places(broker: Written, number: int) -> list[Agent]:
    return sorted(await broker.ask(number), key=lambda agent: agent.name)


async def test_spread_keeps_zones_within_the_skew(tmp_path: Path) -> None:
    text = of_two_pools("strategy: spread, spread: { by: zone, max_skew: 1 }, pools: [a]")
    async with written(tmp_path, text, ONE_SIZE) as broker:
        assert Counter(agent.zone for agent in await _places(broker, 6)) == {"east": 3, "west": 3}


async def test_spread_by_host_puts_as_many_on_each(tmp_path: Path) -> None:
    async with written(
        tmp_path, of_two_pools("strategy: spread, spread: { by: host }, pools: [a]"), ONE_SIZE
    ) as broker:
        assert set(Counter(agent.host for agent in await _places(broker, 8)).values()) == {2}


async def test_spread_keeps_types_of_machines_within_the_skew(tmp_path: Path) -> None:
    of = partial(FakeHost, pool=PoolName("a"), size=Resources(cpu_milli=9000, memory_mib=18432))
    hosts = [
        of(id=f"{kind}-{n}", type=kind) for kind, number in (("m5.large", 3), ("c5.large", 1)) for n in range(number)
    ]
    text = of_two_pools("strategy: spread, spread: { by: type, max_skew: 1 }, pools: [a]")
    async with written(tmp_path, text, hosts) as broker:
        found = [*await _places(broker, 3), *await _places(broker, 3)]
        assert Counter(agent.type for agent in found) == {"m5.large": 3, "c5.large": 3}


async def test_a_zone_that_would_get_too_far_ahead_gets_none(tmp_path: Path) -> None:
    hosts = make_hosts("a", Resources(cpu_milli=2000, memory_mib=8192), {"east": 4, "west": 1})
    text = of_two_pools("strategy: spread, spread: { by: zone, max_skew: 2 }, pools: [a]")
    async with written(tmp_path, text, hosts) as broker:
        found = await _places(broker, 7)
        assert Counter(agent.zone for agent in found if agent.pool) == {"east": 4, "west": 2}
        [waits] = [agent for agent in found if not agent.pool]
        assert waits.why is Reason.MAX_SKEW


@pytest.mark.parametrize(("by", "host"), [("memory", "a-1"), ("cpu", "b-1"), ("agents", "c-1")])
async def test_binpack_fills_the_host_with_the_least_of_what_it_goes_by(by: str, host: str, tmp_path: Path) -> None:
    kinds = {"a": (8, 2, 9), "b": (2, 8, 9), "c": (8, 8, 2)}
    hosts = [
        FakeHost(id=f"{n}-1", pool=PoolName("a"), size=Resources(cpu_milli=c * 1000, memory_mib=m * 1024), slots=s)
        for n, (c, m, s) in kinds.items()
    ]
    text = of_two_pools(f"strategy: binpack, binpack: {{ by: {by} }}, pools: [a]")
    async with written(tmp_path, text, hosts) as broker:
        assert [agent.host for agent in await _places(broker, 2)] == [host, host]


async def test_fastest_tries_each_pool_and_then_takes_the_one_whose_agents_came_online_sooner(tmp_path: Path) -> None:
    async with written(tmp_path, of_two_pools("strategy: fastest, pools: [a, b]")) as broker:
        assert await broker.pools(2) == ["a", "b"]  # nobody knows yet
        for name in ("linux-2", "linux-1"):
            await broker.wait(5)
            broker.core.sessions.connect(await broker.now(name))
            broker.core.says(name)
            await broker.core.sync()
        assert await broker.pools(3) == ["b", "b", "b"]
