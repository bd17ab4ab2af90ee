"""Hosts of ours as placement sees them: the room on those that live, and how many more there may be."""

from collections import Counter
from copy import deepcopy
from dataclasses import replace
from datetime import timedelta
from typing import Any

from broker.domain.host import Host, HostInUse, HostPhase, HostRules
from broker.domain.ids import HostId, PoolName
from broker.domain.limits import Cooled, Usage
from broker.domain.offer import Offering, is_new_host
from broker.domain.placement import Placed, Waits
from broker.domain.policy import Spread, SpreadBy, Strategy
from broker.domain.reason import Reason
from broker.domain.resources import Resources
from broker.errors import InsufficientCapacity, OutcomeUnknown
from broker.placement.engine import decide
from broker.placement.ground import Offers, all_offers
from broker.testing.clock import EPOCH
from broker.testing.factories import POLICY, make_agent, make_definitions, make_policy, make_pool, make_template
from tests.unit.placement.world import hosts_of, plain, size

IT = PoolName("it")
OPENING = plain("it", shape=size(4, 8))


def row(number: int, **other: Any) -> Host:
    whole = Host(
        id=HostId(f"h-{number}"),
        pool=IT,
        phase=HostPhase.READY,
        version=1,
        requested_at=EPOCH,
        phase_since=EPOCH,
        size=size(4, 8),
    )
    return replace(whole, **other)


def living(*rows: Host | HostInUse) -> Usage:
    uses = [one if isinstance(one, HostInUse) else HostInUse(one, Counter()) for one in rows]
    return Usage(now=EPOCH + timedelta(minutes=1), hosts={IT: uses}, living_hosts=Counter({IT: len(uses)}))


def using(host: Host, *taken: Resources) -> HostInUse:
    return HostInUse(host, Counter(taken))


def placed(
    number: int,
    usage: Usage,
    told: Any = (OPENING,),
    rules: HostRules = HostRules(),  # noqa: B008 - frozen
    of: Resources = size(2, 4),  # noqa: B008 - frozen
    **policy: Any,
) -> list[Placed | Waits]:
    known = make_definitions(
        pools=[make_pool(name=IT, hosts=rules)],
        templates=[make_template(resources=of)],
        policies=[make_policy("it", **{"strategy": Strategy.BINPACK, **policy})],
    )
    offers: Offers = {IT: told}
    again = replace(deepcopy(usage), hosts={})
    decisions = decide([make_agent(n) for n in range(number)], offers, usage, known)
    if not isinstance(told, Exception):  # what is told of it elsewhere is decided the same
        other = decide([make_agent(n) for n in range(number)], all_offers(offers, usage, known), again, known)
        assert [type(d) for d in other] == [type(d) for d in decisions]
    return decisions


def test_a_host_takes_what_its_agents_leave() -> None:
    usage = living(using(row(1), size(2, 2)), using(row(2), size(3, 1)))
    assert hosts_of(placed(2, usage)) == ["h-1", "new-1"]


def test_hosts_on_their_way_take_agents_before_another_is_opened() -> None:
    usage = living(row(1, phase=HostPhase.REQUESTED), row(2, phase=HostPhase.PREPARING))
    assert Counter(hosts_of(placed(5, usage))) == {"h-1": 2, "h-2": 2, "new-1": 1}


def test_a_host_that_is_ready_goes_before_an_equal_one_on_its_way() -> None:
    usage = living(row(1, phase=HostPhase.CREATING), row(2))
    assert hosts_of(placed(1, usage)) == ["h-2"]


def test_hosts_that_end_take_nobody_and_still_count() -> None:
    usage = living(row(1, phase=HostPhase.DRAINING), row(2, phase=HostPhase.DELETING))
    assert hosts_of(placed(1, usage, rules=HostRules(most=3))) == ["new-1"]
    [waits] = placed(1, living(*[row(n, phase=HostPhase.DELETING) for n in range(3)]), rules=HostRules(most=3))
    assert isinstance(waits, Waits)
    assert waits.reason is Reason.POOL_AT_LIMIT
    assert waits.message == (
        "no host of pool it has room for 2 vCPU and 4096 MiB, and it may have no more than 3 (limits.hosts: 3)"
    )


def test_no_more_hosts_are_opened_than_the_limit_leaves() -> None:
    for strategy in (Strategy.BINPACK, Strategy.ORDERED, Strategy.CHEAPEST, Strategy.WEIGHTED):
        decisions = placed(9, living(row(1)), rules=HostRules(most=3), strategy=strategy)
        assert Counter(hosts_of(decisions)) == {"h-1": 2, "new-1": 2, "new-2": 2}
        waiting = [d for d in decisions if isinstance(d, Waits)]
        assert {d.reason for d in waiting} == {Reason.POOL_AT_LIMIT}


def test_the_limit_holds_over_all_openings_together() -> None:
    openings = [plain("it", shape=size(4, 8), zone=zone) for zone in "abc"]
    decisions = placed(9, living(), openings, HostRules(most=2))
    assert len(set(hosts_of(decisions))) == 2
    spread = Spread(by=SpreadBy.ZONE, max_skew=1)
    decisions = placed(9, living(), openings, HostRules(most=2), strategy=Strategy.SPREAD, spread=spread)
    assert len(set(hosts_of(decisions))) == 2


def test_the_room_of_an_offering_counts_the_hosts_that_are_there() -> None:
    told = [plain("it", zone="a", shape=size(4, 8), room=2), plain("it", zone="b", shape=size(4, 8))]
    full = [using(row(n, zone="a"), size(4, 8)) for n in (1, 2)]
    [decision] = placed(1, living(*full), told)
    assert isinstance(decision, Placed)
    assert decision.placement.offer.zone == "b"


def test_spread_by_host_opens_hosts_up_to_the_limit() -> None:
    spread = Spread(by=SpreadBy.HOST, max_skew=1)
    decisions = placed(5, living(), rules=HostRules(most=3), strategy=Strategy.SPREAD, spread=spread)
    assert Counter(hosts_of(decisions)) == {"new-1": 2, "new-2": 2, "new-3": 1}
    assert all("new-" not in d.placement.why for d in decisions if isinstance(d, Placed))


def test_spread_by_type_fills_hosts_and_opens_others_as_the_types_need_it() -> None:
    small, big = plain("it", type="small", shape=size(4, 8)), plain("it", type="big", shape=size(4, 8))
    rows, spread = living(row(1, type="small"), row(2, type="small")), Spread(by=SpreadBy.TYPE, max_skew=1)
    rows.of_type[POLICY, IT, "small"] = 1
    decisions = placed(5, rows, [small, big], HostRules(most=3), strategy=Strategy.SPREAD, spread=spread)
    assert hosts_of(decisions) == ["new-1", "h-1", "new-1", "h-1"], "a third host is the last one"
    [left] = [one for one in decisions if isinstance(one, Waits)]
    assert left.reason is Reason.MAX_SKEW


def test_a_host_that_is_too_old_or_used_up_takes_nobody() -> None:
    old = row(1, requested_at=EPOCH - timedelta(hours=1))
    assert hosts_of(placed(1, living(old), rules=HostRules(max_age=timedelta(hours=1)))) == ["new-1"]
    assert hosts_of(placed(1, living(old), rules=HostRules(max_age=timedelta(hours=2)))) == ["h-1"]
    assert hosts_of(placed(2, living(row(1, uses=3)), rules=HostRules(max_uses=4))) == ["h-1", "new-1"]
    assert hosts_of(placed(1, living(row(1, uses=4)), rules=HostRules(max_uses=4))) == ["new-1"]


def test_a_host_for_one_agent_has_one_in_its_life() -> None:
    rules = HostRules(agents_per_host=1, max_uses=1)
    usage = living(row(1, uses=1), using(row(2, uses=1), size(1, 1)), row(3))
    assert hosts_of(placed(3, usage, rules=rules, of=size(1, 1))) == ["h-3", "new-1", "new-2"]


def test_slots_bound_agents_that_say_no_size() -> None:
    usage = living(using(row(1, size=None, slots=3), Resources()))
    told = [plain("it", slots=3)]
    assert Counter(hosts_of(placed(6, usage, told, of=Resources()))) == {"h-1": 2, "new-1": 3, "new-2": 1}


def test_agents_without_a_size_take_their_part_of_the_host() -> None:
    usage = living(using(row(1, slots=4), size(2, 2), Resources()))
    assert hosts_of(placed(1, usage, of=size(2, 4))) == ["new-1"]
    assert hosts_of(placed(1, usage, of=size(1, 4))) == ["h-1"]


def test_where_the_offering_rests_only_hosts_that_are_there_take_agents() -> None:
    usage = living(row(1, phase=HostPhase.REQUESTED), row(2))
    usage.cooled[Offering(IT)] = Cooled(
        until=EPOCH + timedelta(minutes=3), why=Reason.INSUFFICIENT_CAPACITY, message=""
    )
    assert hosts_of(placed(3, usage)) == ["h-2", "h-2"]


def test_hosts_that_are_there_take_agents_while_the_cloud_gives_no_answer() -> None:
    silent = OutcomeUnknown("", "backend has not told what pool it could hold")
    decisions = placed(3, living(row(1)), silent)
    assert hosts_of(decisions) == ["h-1", "h-1"]
    [waits] = [d for d in decisions if isinstance(d, Waits)]
    assert "has not told" in waits.message
    [waits] = [d for d in placed(1, living(), InsufficientCapacity("", "sold out")) if isinstance(d, Waits)]
    assert waits.message == "sold out"


def test_of_equal_prices_the_host_that_is_there_is_taken() -> None:
    told = [plain("it", type="a", shape=size(4, 8), price=9), plain("it", type="b", shape=size(4, 8), price=9)]
    assert hosts_of(placed(1, living(row(1, type="b")), told, strategy=Strategy.CHEAPEST)) == ["h-1"]
    told = [plain("it", type="a", shape=size(4, 8), price=8), plain("it", type="b", shape=size(4, 8), price=9)]
    assert hosts_of(placed(1, living(row(1, type="b")), told, strategy=Strategy.CHEAPEST)) == ["new-1"]


def test_packing_anew_saves_hosts_and_keeps_to_the_limit() -> None:
    usage = living(row(1))
    decisions = placed(7, usage, rules=HostRules(most=4))
    assert len(set(hosts_of(decisions))) == 4
    assert all(is_new_host(host) or host == "h-1" for host in hosts_of(decisions))
