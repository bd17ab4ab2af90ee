"""How tasks spread over a capacity provider strategy."""

import random
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from broker.demo.clouds.ecs.strategy import Item, spread


@st.composite
def _strategies(draw: st.DrawFn) -> list[Item]:
    weights = draw(st.lists(st.integers(0, 1000), min_size=1, max_size=20).filter(any))
    based = draw(st.integers(-1, len(weights) - 1))
    return [
        Item(f"p{index}", weight, draw(st.integers(1, 12)) if index == based else 0)
        for index, weight in enumerate(weights)
    ]


@given(strategy=_strategies(), count=st.integers(1, 10), seed=st.integers())
def test_the_base_comes_first_and_the_rest_by_weight(strategy: list[Item], count: int, seed: int) -> None:
    counts = Counter(spread(strategy, count, random.Random(seed)))
    assert counts.total() == count
    base = next((item for item in strategy if item.base), None)
    based = min(base.base, count) if base else 0
    total = sum(item.weight for item in strategy)
    for item in strategy:
        beyond = counts[item.provider] - (based if item is base else 0)
        share = (count - based) * item.weight / total
        assert share - 1 < beyond < share + 1
        assert item.weight > 0 or beyond == 0


def test_calls_of_one_task_keep_the_ratio_in_the_long_run() -> None:
    chance = random.Random(1)
    counts = Counter(spread([Item("a", 1), Item("b", 3)], 1, chance)[0] for _ in range(4000))
    assert 900 < counts["a"] < 1100
