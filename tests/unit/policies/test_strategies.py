"""Each strategy as the file writes it, from the text to where agents go."""

from collections import Counter
from pathlib import Path

from tests.unit.policies.written import written

TEXT = """
templates: {{ default: {{ cpu: 1, memory: 1Gi }} }}
pools:
  a: {{ backend: process{a} }}
  b: {{ backend: process{b} }}
policies:
  linux: {{ labels: [linux], {policy} }}
"""


def of(policy: str, a: str = "", b: str = "") -> str:
    return TEXT.format(policy=policy, a=a, b=b)


async def test_ordered_fills_the_first_pool_before_the_next(tmp_path: Path) -> None:
    async with written(tmp_path, of("pools: [b, a]", b=", limits: { agents: 2 }")) as broker:
        assert await broker.pools(3) == ["b", "b", "a"]


async def test_weights_share_out_the_agents(tmp_path: Path) -> None:
    pools = "strategy: weighted, pools: [{ pool: a, weight: 4 }, { pool: b, weight: 1 }]"
    async with written(tmp_path, of(pools)) as broker:
        assert Counter(await broker.pools(10)) == {"a": 8, "b": 2}


async def test_a_base_comes_before_the_weights(tmp_path: Path) -> None:
    pools = "strategy: weighted, pools: [{ pool: a, weight: 4 }, { pool: b, weight: 1, base: 2 }]"
    async with written(tmp_path, of(pools)) as broker:
        found = await broker.pools(8)
        assert found[:2] == ["b", "b"]
        assert Counter(found) == {"a": 5, "b": 3}


async def test_a_pool_of_weight_0_gets_none(tmp_path: Path) -> None:
    pools = "strategy: weighted, pools: [{ pool: a, weight: 0 }, b]"
    async with written(tmp_path, of(pools)) as broker:
        assert set(await broker.pools(5)) == {"b"}


async def test_spread_keeps_pools_even(tmp_path: Path) -> None:
    async with written(tmp_path, of("strategy: spread, spread: { by: pool }, pools: [a, b]")) as broker:
        assert Counter(await broker.pools(6)) == {"a": 3, "b": 3}


async def test_cheapest_is_the_pool_of_the_lowest_price_for_the_template(tmp_path: Path) -> None:
    dear, cheap = ", cost: { cpu_hour: 0.01, memory_gib_hour: 0.5 }", ", cost: { cpu_hour: 0.2 }, limits: { agents: 2 }"
    async with written(tmp_path, of("strategy: cheapest, pools: [a, b]", a=dear, b=cheap)) as broker:
        assert await broker.pools(3) == ["b", "b", "a"]
