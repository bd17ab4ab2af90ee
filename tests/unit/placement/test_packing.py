"""Strategy binpack beside the best that any packing can do."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.benchmarks.packing import (
    HOST,
    MIX,
    Size,
    first_fit_decreasing,
    items,
    lower_bound,
    optimum,
    packed_at_once,
    packed_one_by_one,
)

SIZES = st.lists(st.sampled_from(MIX), min_size=1, max_size=9)


@given(sizes=SIZES)
@settings(max_examples=60, deadline=None)
def test_a_small_batch_needs_one_host_more_than_the_optimum_at_most(sizes: list[Size]) -> None:
    best = optimum(sizes)
    assert lower_bound(sizes) <= best <= packed_at_once(sizes) <= best + 1


@given(sizes=SIZES)
@settings(max_examples=60, deadline=None)
def test_the_exact_solver_finds_what_trying_everything_finds(sizes: list[Size]) -> None:
    few = sizes[:6]
    assert optimum(few) == _tried_all(few, [])


def _tried_all(sizes: list[Size], free: list[Size]) -> int:
    if not sizes:
        return len(free)
    (cpu, memory), rest = sizes[0], sizes[1:]
    ways = [_tried_all(rest, [*free, (HOST[0] - cpu, HOST[1] - memory)])]
    for at, one in enumerate(free):
        if one[0] >= cpu and one[1] >= memory:
            ways.append(_tried_all(rest, [*free[:at], (one[0] - cpu, one[1] - memory), *free[at + 1 :]]))
    return min(ways)


def test_a_batch_of_a_hundred_needs_no_more_hosts_than_the_naive_way() -> None:
    for seed in range(5):
        sizes = items(100, seed)
        assert packed_at_once(sizes) <= first_fit_decreasing(sizes) <= 1.1 * lower_bound(sizes) + 1


def test_agents_that_come_one_by_one_need_a_quarter_more_hosts_at_most() -> None:
    sizes = items(120, 1)
    assert packed_one_by_one(sizes) <= 1.25 * lower_bound(sizes)
