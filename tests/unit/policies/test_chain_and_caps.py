"""Fallbacks and caps as the file writes them, from the text to the launch."""

from pathlib import Path

import pytest

from broker.domain.lifecycle import Phase
from tests.unit.policies.written import written

POOLS = """
templates: { default: { cpu: 1, memory: 1Gi } }
pools:
  a: { backend: process, limits: { agents: 1 } }
  b: { backend: process }
  c: { backend: process }
policies:
  linux:
    labels: [linux]
    pools: [a]
"""


async def test_a_fallback_takes_what_the_first_pools_cannot(tmp_path: Path) -> None:
    async with written(tmp_path, f"{POOLS}    fallback: [{{ pool: b }}]\n") as broker:
        assert await broker.pools(3) == ["a", "b", "b"]


async def test_a_fallback_is_turned_to_only_after_its_wait(tmp_path: Path) -> None:
    async with written(tmp_path, f"{POOLS}    fallback: [{{ pool: b, after: 45s }}]\n") as broker:
        assert await broker.pools(2) == ["a", "PoolAtLimit"]
        await broker.wait(40)
        assert (await broker.now("linux-2")).phase is Phase.REQUESTED
        await broker.wait(10)
        assert (await broker.now("linux-2")).pool == "b"


@pytest.mark.parametrize(("when", "where"), [("PoolAtLimit", "b"), ("InsufficientCapacity", "PoolAtLimit")])
async def test_a_fallback_is_turned_to_only_for_its_reasons(when: str, where: str, tmp_path: Path) -> None:
    async with written(tmp_path, f"{POOLS}    fallback: [{{ pool: b, when: [{when}] }}]\n") as broker:
        assert await broker.pools(2) == ["a", where]


@pytest.mark.parametrize(
    ("hours", "zone", "pool"),
    [
        ("07:00-09:00", "Asia/Shanghai", "b"),  # it is 08:00 there when the test begins
        ("07:00-09:00", "UTC", None),
        ("20:00-08:00", "Asia/Shanghai", None),
        ("20:00-08:00", "UTC", "b"),
    ],
)
async def test_a_fallback_serves_only_in_its_hours(hours: str, zone: str, pool: str | None, tmp_path: Path) -> None:
    only = f'{{ hours: "{hours}", timezone: {zone} }}'
    async with written(tmp_path, f"{POOLS}    fallback: [{{ pool: b, only: {only} }}]\n") as broker:
        _, second = await broker.ask(2)
        assert second.pool == pool
        assert pool or f"fallback from {hours[:5]} to {hours[6:]} {zone} only" in second.message


async def test_an_agent_that_waits_goes_to_a_fallback_whose_hours_begin(tmp_path: Path) -> None:
    only = '{ hours: "00:01-01:00", timezone: UTC }'
    async with written(tmp_path, f"{POOLS}    fallback: [{{ pool: b, only: {only} }}]\n") as broker:
        await broker.ask(2)
        assert (await broker.now("linux-2")).phase is Phase.REQUESTED
        await broker.wait(65)
        assert (await broker.now("linux-2")).pool == "b"


async def test_one_job_takes_no_more_agents_than_its_cap_and_leaves_others_theirs(tmp_path: Path) -> None:
    text = POOLS.replace("pools: [a]", "pools: [b]") + "    limits: { per_job: 2 }\n"
    async with written(tmp_path, text) as broker:
        assert await broker.pools(3, job="folder/one") == ["b", "b", "JobAtLimit"]
        assert await broker.pools(2, job="folder/two") == ["b", "b"]
        await broker.end("linux-1")
        assert (await broker.now("linux-3")).pool == "b"
