"""What a scrape tells of pools: what is taken of them, what they are out of, and how long placing takes."""

from pathlib import Path

from broker.domain.ids import PoolName
from broker.domain.offer import Offering
from broker.errors import InsufficientCapacity
from broker.views.readings import readings
from tests.unit.policies.written import Written, written

TEXT = """
templates: { default: { cpu: 1.5, memory: 3Gi } }
pools:
  a: { backend: process, limits: { cpu: 6, memory: 8Gi } }
  b: { backend: process }
policies:
  linux: { labels: [linux], pools: [a, b] }
"""
GIB = 2**30


async def scraped(broker: Written, name: str, **labels: str) -> float | None:
    metrics = broker.core.ctx.metrics
    metrics.read(await readings(broker.core.ctx))
    return metrics.registry.get_sample_value(f"agentbroker_{name}", labels)


async def test_what_agents_take_of_a_pool_and_what_it_has(tmp_path: Path) -> None:
    async with written(tmp_path, TEXT) as broker:
        assert await scraped(broker, "pool_cpu_cores", pool="a", kind="used") == 0
        assert await broker.pools(3) == ["a", "a", "b"]
        assert await scraped(broker, "pool_cpu_cores", pool="a", kind="used") == 3
        assert await scraped(broker, "pool_cpu_cores", pool="a", kind="limit") == 6
        assert await scraped(broker, "pool_memory_bytes", pool="a", kind="used") == 6 * GIB
        assert await scraped(broker, "pool_memory_bytes", pool="a", kind="limit") == 8 * GIB
        assert await scraped(broker, "pool_memory_bytes", pool="b", kind="limit") == 0, "none"
        await broker.end("linux-1", "linux-2")
        assert await scraped(broker, "pool_memory_bytes", pool="a", kind="used") == 0


async def test_each_decision_is_timed(tmp_path: Path) -> None:
    async with written(tmp_path, TEXT) as broker:  # no time passes within a decision, by this clock
        before = await scraped(broker, "placement_duration_seconds_count")
        await broker.ask(3)
        assert await scraped(broker, "placement_duration_seconds_count") == (before or 0) + 1


async def test_a_pool_that_is_out_of_stock_is_no_more_ready_until_it_is_tried_again(tmp_path: Path) -> None:
    async with written(tmp_path, TEXT) as broker:
        assert await scraped(broker, "offerings_cooled_total", pool="a", reason="InsufficientCapacity") == 0
        broker.core.backend.offering_raises(Offering(PoolName("a")), InsufficientCapacity("NoStock", "none is left"))
        await broker.ask()
        await broker.wait(3)
        assert (await broker.now("linux-1")).pool == "b"
        assert await scraped(broker, "offerings_cooled_total", pool="a", reason="InsufficientCapacity") == 1
        assert await scraped(broker, "pool_state", pool="a", state="cooldown") == 1
        assert await scraped(broker, "pool_state", pool="b", state="ready") == 1
        await broker.wait(200, step_s=20)
        assert await scraped(broker, "pool_state", pool="a", state="ready") == 1
