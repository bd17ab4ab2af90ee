"""Zones in which agents have no hosts, as on Fargate: nobody but the broker keeps them even."""

from collections import Counter

import pytest

from broker.domain.ids import PolicyName, PoolName
from broker.domain.limits import Cooled
from broker.domain.money import Micros, Price
from broker.domain.offer import Offer, Offering
from broker.domain.placement import Placed
from broker.domain.policy import Policy, PoolChoice, Spread, SpreadBy, Strategy
from broker.domain.reason import Reason
from broker.testing.clock import EPOCH
from broker.testing.factories import POLICY, make_definitions, make_pool
from tests.unit.placement.world import Given, agents, counts_of, decided, plain, policy, size, usage

ZONES = ("a", "b", "c")
THREE: Given = {"fargate": [plain("fargate", zone=zone, capacity="FARGATE") for zone in ZONES]}
ONE = (PoolChoice(pool=PoolName("fargate"), weight=1),)
STRATEGIES = [
    policy("fargate"),
    policy(strategy=Strategy.WEIGHTED, pools=ONE),
    policy("fargate", strategy=Strategy.CHEAPEST),
    policy("fargate", strategy=Strategy.FASTEST),
    policy("fargate", strategy=Strategy.BINPACK),
    policy("fargate", strategy=Strategy.SPREAD, spread=Spread(by=SpreadBy.ZONE)),
    policy("fargate", strategy=Strategy.SPREAD, spread=Spread(by=SpreadBy.POOL, max_skew=1)),
]


def zones_of(decisions: object) -> Counter[str]:
    assert isinstance(decisions, list)
    return Counter(d.placement.offer.zone for d in decisions if isinstance(d, Placed))


@pytest.mark.parametrize("chosen", STRATEGIES, ids=lambda one: f"{one.strategy}-{one.spread.by}")
def test_a_pool_with_three_zones_gets_equal_shares_by_every_strategy(chosen: Policy) -> None:
    assert zones_of(decided(agents(9), chosen, THREE)) == {"a": 3, "b": 3, "c": 3}


@pytest.mark.parametrize("chosen", STRATEGIES, ids=lambda one: f"{one.strategy}-{one.spread.by}")
def test_a_zone_that_is_left_alone_gets_nothing_and_the_others_share(chosen: Policy) -> None:
    cooled = Cooled(until=EPOCH, why=Reason.INSUFFICIENT_CAPACITY, message="no free address")
    taken = usage(cooled={Offering(PoolName("fargate"), "b", "", "FARGATE"): cooled})
    chosen = policy("fargate") if chosen.strategy is Strategy.SPREAD else chosen
    assert zones_of(decided(agents(8), chosen, THREE, taken)) == {"a": 4, "c": 4}


def test_agents_of_other_policies_count_and_an_emptier_zone_comes_first() -> None:
    of_zone = Counter({(PolicyName("other"), PoolName("fargate"), "a"): 4, (POLICY, PoolName("fargate"), "b"): 1})
    decisions = decided(agents(4), policy("fargate"), THREE, usage(of_zone=of_zone))
    assert zones_of(decisions) == {"b": 2, "c": 2}


def test_where_places_differ_in_more_than_their_zone_the_order_of_the_backend_stands() -> None:
    by_price = {"it": [plain("it", zone="a", price=Micros(1)), plain("it", zone="b", price=Micros(2))]}
    assert zones_of(decided(agents(4), policy("it"), by_price)) == {"a": 4}
    shapes = {"it": [Offer(pool=PoolName("it"), zone=zone, shape=size(4, 8)) for zone in ("a", "b")]}
    assert zones_of(decided(agents(3), policy("it"), shapes)) == {"a": 3}


def test_equal_prices_are_shared_within_a_pool_and_not_with_the_next_one() -> None:
    pools = [make_pool(name=PoolName(name), cost=Price(cpu_hour=Micros(7))) for name in ("fargate", "next")]
    offers = {**THREE, "next": [plain("next", zone="d")]}
    found = decided(agents(6), policy("fargate", "next", strategy=Strategy.CHEAPEST), offers, pools=pools)
    assert counts_of(found) == {"fargate": 6}
    assert zones_of(found) == {"a": 2, "b": 2, "c": 2}
    assert make_definitions(pools=pools).pools
