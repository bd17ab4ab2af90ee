"""What an agent would cost on an offer, and what it takes of its policy's budget."""

from datetime import UTC, datetime, timedelta
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.domain.limits import Usage
from broker.domain.money import Budget, Micros, Per, Price, Rate
from broker.domain.offer import Offer
from broker.domain.policy import Policy
from broker.domain.reason import Reason
from broker.domain.resources import Resources
from broker.domain.template import Retention
from broker.placement.prices import UNKNOWN_LIFE, budget_claims, hourly_of, rate_of
from broker.testing.factories import POLICY, POOL, make_policy, make_pool, make_template

NOON: Final = datetime(2026, 11, 23, 12, tzinfo=UTC)
HOUR: Final = timedelta(hours=1)
PRICED: Final = make_pool(cost=Price(cpu_hour=Micros(100_000), host_hour=Micros(1_600_000)))
SIZE: Final = Resources(cpu_milli=2000, memory_mib=1024)


def usage(**lives: timedelta) -> Usage:
    return Usage(now=NOON, lives={make_policy(name=name).name: life for name, life in lives.items()})


def with_budget(amount: int = 1_000_000, **keys: object) -> Policy:
    return make_policy(budget=Budget(amount=Micros(amount), as_written="1 USD", **keys))  # type: ignore[arg-type] # its own keys


def test_an_agent_is_expected_to_live_as_long_as_those_before_it() -> None:
    rate = rate_of(make_policy(), make_template(resources=SIZE), PRICED, Offer(pool=POOL), usage(**{POLICY: HOUR}))
    assert rate == Rate(hourly=Micros(200_000), expected=HOUR)


def test_of_a_policy_without_a_past_it_is_expected_to_live_ten_minutes() -> None:
    rate = rate_of(make_policy(), make_template(), PRICED, Offer(pool=POOL), usage())
    assert rate is not None
    assert rate.expected == UNKNOWN_LIFE


def test_it_is_expected_to_live_no_longer_than_it_may() -> None:
    template = make_template(retention=Retention(max_lifetime=timedelta(minutes=3)))
    rate = rate_of(make_policy(), template, PRICED, Offer(pool=POOL), usage(**{POLICY: HOUR}))
    assert rate is not None
    assert rate.expected == timedelta(minutes=3)


def test_a_pool_without_a_price_has_no_rate_unless_its_cloud_says_one() -> None:
    nothing_said = make_pool()
    assert rate_of(make_policy(), make_template(), nothing_said, Offer(pool=POOL), usage()) is None
    spot = Offer(pool=POOL, price=Micros(7))
    assert hourly_of(SIZE, nothing_said, spot) == 7
    assert hourly_of(SIZE, PRICED, spot) == 7


@pytest.mark.parametrize(
    ("offer", "hourly"),
    [
        (Offer(pool=POOL), 200_000),
        (Offer(pool=POOL, shape=Resources(cpu_milli=8000, memory_mib=65536)), 200_000 + 400_000),
        (Offer(pool=POOL, shape=Resources(cpu_milli=8000, memory_mib=2048)), 200_000 + 800_000),
        (Offer(pool=POOL, shape=Resources(cpu_milli=1000, memory_mib=2048)), 200_000 + 1_600_000),
        (Offer(pool=POOL, shape=Resources(), slots=4), 200_000 + 400_000),
        (Offer(pool=POOL, host="one"), 200_000 + 1_600_000),
        (Offer(pool=POOL, host="one", shape=Resources(cpu_milli=8000, memory_mib=65536)), 200_000 + 400_000),
        (Offer(pool=POOL, host="one", shape=Resources(), slots=1, of_slots=4), 200_000 + 400_000),
    ],
)
def test_on_a_host_it_costs_the_part_that_it_uses_up(offer: Offer, hourly: int) -> None:
    assert hourly_of(SIZE, PRICED, offer) == hourly


def test_a_budget_sets_aside_what_an_agent_is_expected_to_cost() -> None:
    [claim] = budget_claims(with_budget(), Rate(hourly=Micros(200_000), expected=HOUR), NOON)
    assert (claim.key, claim.amount, claim.cap) == (f"{POLICY}|2026-11-23", 200_000, 1_000_000)


def test_a_life_that_goes_over_midnight_is_set_aside_in_both_days() -> None:
    late = datetime(2026, 11, 23, 23, 45, tzinfo=UTC)
    claims = budget_claims(with_budget(), Rate(hourly=Micros(200_000), expected=HOUR), late)
    assert [(c.key, c.amount) for c in claims] == [
        (f"{POLICY}|2026-11-23", 50_000),
        (f"{POLICY}|2026-11-24", 150_000),
    ]


def test_nothing_is_set_aside_without_a_budget_or_a_price() -> None:
    assert budget_claims(make_policy(), Rate(hourly=Micros(1), expected=HOUR), NOON) == ()
    assert budget_claims(with_budget(), None, NOON) == ()
    assert budget_claims(with_budget(), Rate(hourly=Micros(0), expected=HOUR), NOON) == ()


def test_a_budget_that_only_warns_refuses_nobody() -> None:
    [claim] = budget_claims(with_budget(pause=False), Rate(hourly=Micros(10**12), expected=HOUR), NOON)
    assert claim.cap is None


@pytest.mark.parametrize(
    ("per", "words"),
    [
        (Per.DAY, "the day's 1 USD are spent or set aside; resumes at 00:00 UTC"),
        (Per.WEEK, "the week's 1 USD are spent or set aside; resumes on 2026-11-30 at 00:00 UTC"),
        (Per.MONTH, "the month's 1 USD are spent or set aside; resumes on 2026-12-01 at 00:00 UTC"),
    ],
)
def test_a_refusal_says_whose_money_is_spent_and_when_there_is_more(per: Per, words: str) -> None:
    [claim] = budget_claims(with_budget(per=per), Rate(hourly=Micros(200_000), expected=HOUR), NOON)
    assert (claim.reason, claim.refusal(999_999)) == (Reason.BUDGET_EXCEEDED, words)


def test_an_agent_that_costs_more_than_the_whole_budget_is_not_told_to_wait_for_midnight() -> None:
    [claim] = budget_claims(with_budget(100_000), Rate(hourly=Micros(200_000), expected=HOUR), NOON)
    assert claim.refusal(0) == "an agent is expected to cost more than the day's 1 USD"


@given(
    amount=st.integers(1, 10**8),
    lives=st.lists(st.tuples(st.integers(0, 10**7), st.timedeltas(timedelta(), timedelta(days=3))), max_size=30),
    at=st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC)),
    per=st.sampled_from(Per),
)
def test_what_is_admitted_never_sets_more_aside_than_the_budget_has(
    amount: int, lives: list[tuple[int, timedelta]], at: datetime, per: Per
) -> None:
    policy, taken = with_budget(amount, per=per), Usage(now=at)
    for hourly, expected in lives:
        claims = budget_claims(policy, Rate(hourly=Micros(hourly), expected=expected), at)
        if taken.first_full(claims) is None:
            taken.take(claims)
    assert all(used <= amount for used in taken.used.values())
