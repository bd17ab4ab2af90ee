"""Prices, costs and periods are whole numbers: nothing is lost by rounding, and nothing counts twice."""

from datetime import UTC, datetime, timedelta, timezone
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.domain.money import Micros, Per, Price, bounds, by_period, cost, day_of, per_hour, period, shown
from broker.domain.resources import Resources

HOUR = timedelta(hours=1)
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
FARGATE = Price(cpu_hour=Micros(44_560), memory_gib_hour=Micros(4_865))

moments = st.datetimes(min_value=datetime(2020, 1, 1), max_value=datetime(2035, 1, 1), timezones=st.just(UTC))
rates = st.integers(min_value=0, max_value=10**9).map(Micros)
lengths = st.timedeltas(min_value=timedelta(), max_value=timedelta(days=70))


def test_an_agent_costs_its_part_of_cpu_and_memory() -> None:
    assert per_hour(FARGATE, Resources(cpu_milli=2000, memory_mib=4096)) == 2 * 44_560 + 4 * 4_865


def test_without_a_price_the_cost_is_unknown_and_not_nothing() -> None:
    assert per_hour(None, Resources(cpu_milli=1000)) is None
    assert per_hour(Price(), Resources(cpu_milli=1000)) == 0


def test_the_least_size_costs_something() -> None:
    assert per_hour(Price(cpu_hour=Micros(1)), Resources(cpu_milli=1)) == 1


def test_a_host_costs_each_agent_its_share() -> None:
    price = Price(host_hour=Micros(1_620_000))
    assert per_hour(price, Resources(cpu_milli=4000), Fraction(1, 3)) == 540_000
    assert per_hour(price, Resources(cpu_milli=4000)) == 0


@given(rate=rates, begin=moments, length=lengths, cuts=st.lists(st.fractions(0, 1), max_size=8))
def test_however_a_life_is_cut_into_parts_it_costs_the_same_to_the_micro(
    rate: Micros, begin: datetime, length: timedelta, cuts: list[Fraction]
) -> None:
    marks = [begin, *sorted(begin + length * float(c) for c in cuts), begin + length]
    parts = [cost(rate, a, b) for a, b in pairwise(marks)]
    assert sum(parts) == cost(rate, begin, begin + length)
    assert abs(sum(parts) - Fraction(rate) * Fraction(length / timedelta(microseconds=1)) / 3_600_000_000) < 2


def test_an_hour_costs_the_rate_and_time_that_goes_back_costs_nothing() -> None:
    assert cost(Micros(100_000), NOON, NOON + HOUR) == 100_000
    assert cost(Micros(100_000), NOON + HOUR, NOON) == 0


@given(rate=rates, begin=moments, length=lengths, per=st.sampled_from(Per))
def test_the_costs_of_periods_are_together_the_cost_of_the_life(
    rate: Micros, begin: datetime, length: timedelta, per: Per
) -> None:
    parts = list(by_period(rate, begin, begin + length, per))
    assert sum(micros for _, micros in parts) == cost(rate, begin, begin + length)
    assert len({key for key, _ in parts}) == len(parts)


@given(at=moments, per=st.sampled_from(Per))
def test_a_moment_is_within_its_period_and_the_next_one_begins_where_it_ends(at: datetime, per: Per) -> None:
    key, end = period(at, per)
    assert bounds(key) == (bounds(key)[0], end)
    assert bounds(key)[0] <= at < end
    assert period(end, per)[0] != key
    assert period(end - timedelta(microseconds=1), per) == (key, end)
    assert bounds(period(end, per)[0])[0] == end


@pytest.mark.parametrize(
    ("per", "at", "key", "end"),
    [
        (Per.DAY, NOON, "2026-11-23", datetime(2026, 11, 24, tzinfo=UTC)),
        (Per.WEEK, NOON, "2026-W48", datetime(2026, 11, 30, tzinfo=UTC)),
        (Per.WEEK, datetime(2027, 1, 2, tzinfo=UTC), "2026-W53", datetime(2027, 1, 4, tzinfo=UTC)),
        (Per.MONTH, NOON, "2026-11", datetime(2026, 12, 1, tzinfo=UTC)),
        (Per.MONTH, datetime(2026, 12, 31, 23, tzinfo=UTC), "2026-12", datetime(2027, 1, 1, tzinfo=UTC)),
        (Per.DAY, datetime(2024, 2, 29, tzinfo=UTC), "2024-02-29", datetime(2024, 3, 1, tzinfo=UTC)),
    ],
)
def test_periods_have_names_and_ends(per: Per, at: datetime, key: str, end: datetime) -> None:
    assert period(at, per) == (key, end)


def test_a_day_is_a_day_in_utc() -> None:
    shanghai = timezone(timedelta(hours=8))
    assert day_of(datetime(2026, 11, 24, 7, 59, tzinfo=shanghai)) == "2026-11-23"
    assert period(datetime(2026, 11, 24, 8, 0, tzinfo=shanghai), Per.DAY)[0] == "2026-11-24"


@pytest.mark.parametrize(
    ("amount", "words"),
    [
        (80_000_000, "80 USD"),
        (4_860_000, "4.86 USD"),
        (4_800_000, "4.80 USD"),
        (44_560, "0.0446 USD"),
        (500_000, "0.5 USD"),
        (0, "0 USD"),
    ],
)
def test_amounts_are_shown_to_people(amount: int, words: str) -> None:
    assert shown(Micros(amount), "USD") == words
