"""Each strategy by examples that can be followed with a pencil."""

from collections import Counter
from datetime import timedelta

import pytest

from broker.domain.ids import PolicyName, PoolName
from broker.domain.limits import Lever, LeverKind, Usage
from broker.domain.money import Micros, Price
from broker.domain.policy import PackBy, PoolChoice, Spread, SpreadBy, Strategy
from broker.domain.pool import PoolLimits
from broker.domain.reason import Reason
from broker.testing.clock import EPOCH
from broker.testing.factories import POLICY, make_definitions, make_pool
from tests.unit.placement.world import (
    Given,
    agents,
    counts_of,
    decided,
    host,
    hosts_of,
    placed,
    plain,
    policy,
    pools_of,
    size,
    template,
    told,
    usage,
    waits,
)

BOTH: Given = {"spot": [plain("spot")], "sure": [plain("sure")]}
FOUR_TO_ONE = policy(
    strategy=Strategy.WEIGHTED,
    pools=(PoolChoice(pool=PoolName("spot"), weight=4), PoolChoice(pool=PoolName("sure"), weight=1, base=2)),
)


def live(**counts: int) -> Usage:
    return usage(of_pool=Counter({(POLICY, PoolName(pool)): n for pool, n in counts.items()}))


def test_weighted_gives_every_pool_its_base_first_and_then_shares_the_rest() -> None:
    decisions = decided(agents(8), FOUR_TO_ONE, BOTH)
    assert pools_of(decisions)[:2] == ["sure", "sure"]
    assert counts_of(decisions) == {"spot": 5, "sure": 3}
    assert [placed(d).placement.why for d in decisions[:4]] == [
        "base 1 of 2",
        "base 2 of 2",
        "share 0 % of 80 %",
        "share 100 % of 80 %",
    ]


def test_weighted_tells_the_pool_that_is_not_its_turn() -> None:
    [decision] = decided(agents(1), FOUR_TO_ONE, BOTH, live(sure=2))
    assert told(decision) == [("sure", Reason.SUPERSEDED, "next in turn")]


def test_weighted_counts_the_agents_that_live_already() -> None:
    assert pools_of(decided(agents(3), FOUR_TO_ONE, BOTH, live(spot=12, sure=2))) == ["sure"] * 3


def test_weighted_catches_up_when_a_pool_can_take_agents_again() -> None:
    taken = live(sure=2)
    decided(agents(10), FOUR_TO_ONE, {**BOTH, "spot": [plain("spot", room=0)]}, taken)
    assert taken.of_pool[POLICY, PoolName("sure")] == 12
    assert counts_of(decided(agents(40), FOUR_TO_ONE, BOTH, taken)) == {"spot": 40}


def test_a_pool_of_weight_0_takes_its_base_only() -> None:
    pools = (PoolChoice(pool=PoolName("spot"), weight=0, base=1), PoolChoice(pool=PoolName("sure"), weight=1))
    rules = policy(strategy=Strategy.WEIGHTED, pools=pools)
    decisions = decided(agents(3), rules, {**BOTH, "sure": [plain("sure", room=1)]})
    assert pools_of(decisions) == ["spot", "sure", None]
    assert told(decisions[1]) == [("spot", Reason.SUPERSEDED, "weight 0: it takes its base only")]
    assert waits(decisions[2]).reason is Reason.INSUFFICIENT_CAPACITY


ZONES: Given = {"it": [plain("it", zone=zone) for zone in ("a", "b", "c")]}


def spread_by(by: SpreadBy, max_skew: int = 1, *pools: str) -> object:
    return policy(*(pools or ("it",)), strategy=Strategy.SPREAD, spread=Spread(by=by, max_skew=max_skew))


def zones_of(decisions: list) -> list[str]:  # type: ignore[type-arg]
    return [placed(d).placement.offer.zone for d in decisions]


def test_spread_takes_the_zone_with_the_fewest_agents() -> None:
    taken = usage(of_zone=Counter({(POLICY, PoolName("it"), "a"): 2, (POLICY, PoolName("it"), "b"): 1}))
    decisions = decided(agents(4), spread_by(SpreadBy.ZONE), ZONES, taken)  # type: ignore[arg-type]
    assert zones_of(decisions) == ["c", "b", "c", "a"]
    assert placed(decisions[0]).placement.why == "zone c has 0 of the policy's agents"


def test_spread_waits_for_a_full_zone_rather_than_exceed_the_skew() -> None:
    offers = {"it": [plain("it", zone="a"), plain("it", zone="b", room=1)]}
    decisions = decided(agents(4), spread_by(SpreadBy.ZONE), offers)  # type: ignore[arg-type]
    assert zones_of(decisions[:3]) == ["a", "b", "a"]
    assert told(decisions[3]) == [
        ("it", Reason.MAX_SKEW, "a would have over 1 more of the policy's agents than another zone"),
        ("it", Reason.INSUFFICIENT_CAPACITY, "pool it has no room now"),
    ]
    assert waits(decisions[3]).reason is Reason.MAX_SKEW


BIG, SMALL = "ecs.c7.2xlarge", "ecs.c7.xlarge"


def types_of(decisions: list) -> list[str]:  # type: ignore[type-arg]
    return [placed(d).placement.offer.type for d in decisions]


def test_spread_by_type_takes_the_type_with_the_fewest_agents_in_whatever_zone() -> None:
    offers = {"it": [plain("it", zone=zone, type=kind) for zone in ("a", "b") for kind in (BIG, SMALL)]}
    taken = usage(of_type=Counter({(POLICY, PoolName("it"), BIG): 2}))
    decisions = decided(agents(5), spread_by(SpreadBy.TYPE), offers, taken)  # type: ignore[arg-type]
    assert types_of(decisions) == [SMALL, SMALL, BIG, SMALL, BIG]
    assert placed(decisions[0]).placement.why == f"type {SMALL} has 0 of the policy's agents"


def test_spread_by_type_goes_over_hosts_that_are_there_whichever_pool_they_are_in() -> None:
    offers = {
        "a": [host("a", "i-1", 8, 8, type="m5.xlarge"), host("a", "i-2", 8, 8, type="m5.xlarge")],
        "b": [host("b", "i-3", 8, 8, type="m5.xlarge"), host("b", "i-4", 8, 8, type="c5.xlarge")],
    }
    decisions = decided(agents(4), spread_by(SpreadBy.TYPE, 1, "a", "b"), offers)  # type: ignore[arg-type]
    assert hosts_of(decisions) == ["i-1", "i-4", "i-1", "i-4"]


@pytest.mark.parametrize("skew", [1, 2])
def test_spread_by_type_waits_for_a_type_that_is_full_rather_than_exceed_the_skew(skew: int) -> None:
    offers = {"it": [plain("it", type=SMALL, shape=size(2, 4), room=1), plain("it", type=BIG, shape=size(2, 4))]}
    decisions = decided(agents(5), spread_by(SpreadBy.TYPE, skew), offers, templates=[template("base", 2, 4)])  # type: ignore[arg-type]
    assert Counter(types_of(decisions[: 2 + skew])) == {SMALL: 1, BIG: 1 + skew}
    assert told(decisions[-1])[0] == (
        "it",
        Reason.MAX_SKEW,
        f"{BIG} would have over {skew} more of the policy's agents than another type",
    )
    assert {waits(d).reason for d in decisions[2 + skew :]} == {Reason.MAX_SKEW}


def test_a_type_that_is_too_small_for_the_agent_keeps_no_other_back() -> None:
    offers = {"it": [plain("it", type=SMALL, shape=size(2, 4)), plain("it", type=BIG, shape=size(8, 16))]}
    decisions = decided(agents(4), spread_by(SpreadBy.TYPE), offers, templates=[template("base", 4, 8)])  # type: ignore[arg-type]
    assert types_of(decisions) == [BIG] * 4


def test_a_pool_that_names_no_types_is_one_of_its_own() -> None:
    offers = {"a": [plain("a", type=SMALL), plain("a", type=BIG)], "b": [plain("b")]}
    decisions = decided(agents(6), spread_by(SpreadBy.TYPE, 1, "a", "b"), offers)  # type: ignore[arg-type]
    assert Counter(types_of(decisions)) == {SMALL: 2, BIG: 2, "": 2}


def test_spread_does_not_wait_for_a_pool_that_an_operator_has_paused() -> None:
    paused = Lever(pool=PoolName("b"), kind=LeverKind.PAUSE, actor="ana", reason="ssh", since=EPOCH, until=None)
    offers = {"a": [plain("a")], "b": [plain("b")]}
    rules = spread_by(SpreadBy.POOL, 1, "a", "b")
    decisions = decided(agents(3), rules, offers, usage(levers={PoolName("b"): paused}))  # type: ignore[arg-type]
    assert pools_of(decisions) == ["a", "a", "a"]


def test_hosts_of_one_name_in_two_pools_are_two_hosts() -> None:
    offers = {"a": [host("a", "h1", 8, 8)], "b": [host("b", "h1", 8, 8)]}
    rules = policy("a", "b", strategy=Strategy.SPREAD, spread=Spread(by=SpreadBy.HOST, max_skew=1))
    assert pools_of(decided(agents(4), rules, offers)) == ["a", "b", "a", "b"]


def test_spread_by_host_makes_a_new_one_when_the_others_have_as_many_as_they_may() -> None:
    offers = {"it": [host("it", "h1", 8, 8), host("it", "h2", 8, 8), plain("it", shape=size(8, 8), room=1)]}
    decisions = decided(agents(4), spread_by(SpreadBy.HOST), offers)  # type: ignore[arg-type]
    assert hosts_of(decisions[:3]) == ["h1", "h2", "new-1"]
    assert hosts_of(decisions[3:]) == ["h1"], "now that no more can be made, the emptiest has one"


def test_a_class_that_waits_for_the_skew_goes_on_when_another_evens_it() -> None:
    rules = [
        policy(strategy=Strategy.SPREAD, spread=Spread(max_skew=1), template="large"),
    ]
    sizes = [template("large", 4, 4), template("base", 1, 1)]
    offers = {"it": [host("it", "a1", 9, 9, zone="a"), host("it", "b1", 4, 4, zone="b")]}
    decisions = decided(agents(3), rules, offers, templates=sizes)
    assert zones_of(decisions) == ["a", "b", "a"]


def test_binpack_takes_the_fullest_host_of_all_pools_that_fits() -> None:
    offers = {"a": [host("a", "a1", 8, 4)], "b": [host("b", "b1", 8, 2), host("b", "b2", 8, 1), plain("b")]}
    rules = policy("a", "b", strategy=Strategy.BINPACK, template="two")
    decisions = decided(agents(4), rules, offers, templates=[template("two", 1, 2)])
    assert sorted(hosts_of(decisions)) == ["", "a1", "a1", "b1"]


@pytest.mark.parametrize(
    ("by", "first"),
    [(PackBy.MEMORY, "low-memory"), (PackBy.CPU, "low-cpu"), (PackBy.AGENTS, "few-agents")],
)
def test_binpack_fills_by_what_the_policy_names(by: PackBy, first: str) -> None:
    offers = {
        "it": [
            host("it", "low-cpu", 2, 9, slots=9),
            host("it", "low-memory", 9, 2, slots=9),
            host("it", "few-agents", 9, 9, slots=2),
        ]
    }
    assert hosts_of(decided(agents(1), policy(strategy=Strategy.BINPACK, pack_by=by), offers)) == [first]


def test_binpack_fills_one_pool_without_hosts_before_the_next() -> None:
    limits = {"a": PoolLimits(agents=5), "b": PoolLimits(agents=3)}
    rules = policy("a", "b", strategy=Strategy.BINPACK, pack_by=PackBy.AGENTS)
    offers = {"a": [plain("a")], "b": [plain("b")]}
    assert pools_of(decided(agents(5), rules, offers, limits=limits)) == ["b", "b", "b", "a", "a"]


def test_a_host_that_a_batch_makes_takes_more_of_it() -> None:
    offers = {"it": [plain("it", shape=size(4, 4), slots=2, room=2)]}
    decisions = decided(agents(5), policy(strategy=Strategy.BINPACK), offers)
    assert hosts_of(decisions) == ["new-1", "new-1", "new-2", "new-2"]
    assert waits(decisions[4]).message == "no host of pool it has room for 1 vCPU and 512 MiB"


def test_binpack_packs_a_batch_anew_when_that_makes_room_for_who_waited() -> None:
    rules = [
        policy(name="small", strategy=Strategy.BINPACK, template="small"),
        policy(name="large", strategy=Strategy.BINPACK, template="large"),
    ]
    sizes = [template("small", 2, 2), template("large", 3, 3)]
    offers = {"it": [host("it", "h1", 5, 5), host("it", "h2", 5, 5)]}
    small = agents(2, policy=PolicyName("small"))
    large = [a for a in agents(4, policy=PolicyName("large")) if a.id not in {s.id for s in small}]
    decisions = decided([*small, *large], rules, offers, templates=sizes)
    assert len(hosts_of(decisions)) == 4, "two of 2 and two of 3 fit on two hosts of 5"


def priced(*cents: int | None) -> Given:
    return {f"p{n}": [plain(f"p{n}", price=None if c is None else Micros(c * 10_000))] for n, c in enumerate(cents)}


def test_cheapest_takes_the_lowest_price_and_an_unknown_one_last() -> None:
    rules = policy("p0", "p1", "p2", strategy=Strategy.CHEAPEST)
    [decision] = decided(agents(1), rules, priced(None, 13, 4))
    assert placed(decision).placement.offer.pool == "p2"
    assert placed(decision).placement.why == "0.04 an hour"
    assert told(decision)[0] == ("p0", Reason.SUPERSEDED, "another is cheaper")


def test_cheapest_reckons_with_the_size_of_the_template() -> None:
    pools = [
        make_pool(name="cpu", cost=Price(cpu_hour=Micros(10), memory_gib_hour=Micros(100))),
        make_pool(name="memory", cost=Price(cpu_hour=Micros(100), memory_gib_hour=Micros(10))),
    ]
    rules = policy("cpu", "memory", strategy=Strategy.CHEAPEST, template="t")
    offers = {"cpu": [plain("cpu")], "memory": [plain("memory")]}
    for known, expected in ((template("t", 8, 1), "cpu"), (template("t", 1, 8), "memory")):
        assert pools_of(decided(agents(1), rules, offers, pools=pools, templates=[known])) == [expected]


def test_cheapest_takes_the_cheaper_zone_of_a_pool_while_there_is_room() -> None:
    offers = {"it": [plain("it", zone="a", price=Micros(9)), plain("it", zone="b", price=Micros(5), room=1)]}
    assert zones_of(decided(agents(2), policy(strategy=Strategy.CHEAPEST), offers)) == ["b", "a"]


def test_fastest_takes_the_pool_that_comes_online_soonest() -> None:
    rules = policy("spot", "sure", strategy=Strategy.FASTEST)
    medians = {PoolName("spot"): timedelta(seconds=50), PoolName("sure"): timedelta(seconds=38)}
    decisions = decided(agents(2), rules, BOTH, usage(medians=medians))
    assert pools_of(decisions) == ["sure", "sure"]
    assert placed(decisions[0]).placement.why == "usually online in 38s"


def test_fastest_tries_a_pool_that_is_not_measured_with_one_agent() -> None:
    rules = policy("spot", "sure", strategy=Strategy.FASTEST)
    taken = usage(medians={PoolName("sure"): timedelta(seconds=38)})
    assert pools_of(decided(agents(3), rules, BOTH, taken)) == ["spot", "sure", "sure"]


def test_every_strategy_takes_the_only_pool_that_can() -> None:
    for strategy in Strategy:
        rules = policy("spot", "sure", strategy=strategy)
        offers = {**BOTH, "spot": [plain("spot", room=0)]}
        expected = [None] if strategy is Strategy.SPREAD and rules.spread.by is SpreadBy.POOL else ["sure"]
        assert pools_of(decided(agents(1), rules, offers)) == expected, strategy
    assert make_definitions().pools
