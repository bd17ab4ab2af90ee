"""The arithmetic of the figures of Amazon ECS, and that what is played is what is counted."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.benchmarks.amazon_ecs import Launches, efficiency, ideal_s, per_agent
from tests.benchmarks.ecs_plugin import plugin_calls
from tests.benchmarks.ecs_world import ecs_world


def launches(at: Sequence[float], throttled: Sequence[int] = ()) -> Launches:
    return Launches(at=at, throttled=[number in throttled for number in range(len(at))])


def test_a_bucket_lets_in_what_it_has_saved_at_once_and_the_rest_at_its_rate() -> None:
    assert ideal_s(1000, 20, 20) == 49
    assert ideal_s(20, 20, 20) == 0


def test_launches_at_the_rate_are_all_that_can_be_had_and_slower_ones_less() -> None:
    at_rate = launches([0.0] * 20 + [(n + 1) / 20 for n in range(80)])
    assert efficiency(at_rate, 20, 20) == pytest.approx(1.0)
    slower = launches([0.0] * 20 + [(n + 1) / 10 for n in range(80)])
    assert efficiency(slower, 20, 20) == pytest.approx(0.5)


def test_what_was_throttled_is_no_launch_and_counts_as_refused() -> None:
    seen = launches([0.0, 1.0, 2.0, 9.0], throttled=[1, 3])
    assert (seen.accepted, seen.refused_share, seen.took_s) == (2, 0.5, 2.0)
    nothing = launches([])
    assert (nothing.accepted, nothing.refused_share, nothing.took_s, efficiency(nothing, 20, 20)) == (0, 0.0, 0.0, 1.0)


async def test_the_plugin_asks_once_a_second_until_its_task_runs_and_four_times_beside(tmp_path: Path) -> None:
    calls = await plugin_calls(2)
    assert {action: count for action, count in calls.items() if action != "DescribeTasks"} == {
        "DescribeTaskDefinition": 2,
        "ListTagsForResource": 2,
        "RunTask": 2,
        "StopTask": 2,
    }
    assert 2 * 53 <= calls["DescribeTasks"] <= 2 * 64


async def test_an_agent_lives_its_life_in_the_played_world_and_leaves_by_itself(tmp_path: Path) -> None:
    async with ecs_world(tmp_path) as world:
        await world.ask(2)
        await world.until(world.all_gone, 400)
        ledger = world.fake.ledger
        assert (ledger.count("RunTask"), ledger.count("StopTask"), world.done) == (2, 0, 2)
        assert 53 + 120 <= world.clock.monotonic() <= 62 + 120 + 30
        assert per_agent(ledger, 2) == len(ledger) / 2
        assert ledger.problems == []
        await world.core.advance(20)
        assert await world.is_over()
