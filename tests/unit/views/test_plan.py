"""Where agents would go: as placement would decide, pool by pool, and nothing is changed by asking."""

from datetime import timedelta

import pytest

from broker.domain.definitions import Definitions
from broker.domain.ids import PoolName
from broker.domain.limits import Lever, LeverKind, Scope, Usage
from broker.domain.money import Micros, Price
from broker.domain.offer import Offer
from broker.domain.policy import AgentLimits, Fallback, PoolChoice, Spread, SpreadBy, Strategy
from broker.domain.pool import PoolLimits
from broker.domain.reason import Reason
from broker.domain.resources import Resources
from broker.placement.engine import decide
from broker.testing.clock import EPOCH
from broker.testing.factories import (
    CONTROLLER,
    POLICY,
    make_agent,
    make_definitions,
    make_policy,
    make_pool,
    make_template,
)
from broker.views.plan import PlanAsk, Planned, agents_of, plan
from broker.views.words import Words

ALL = Words(raw=True)
SPOT, FARGATE, HANGZHOU = PoolName("fargate-spot"), PoolName("fargate"), PoolName("hangzhou")
PAGE = make_definitions(
    currency="USD",
    templates=[make_template(resources=Resources(cpu_milli=2000, memory_mib=8192))],
    pools=[
        make_pool(
            name=SPOT,
            limits=PoolLimits(agents=300, pending=40),
            cost=Price(cpu_hour=Micros(13_370), memory_gib_hour=Micros(1_460), currency="USD"),
        ),
        make_pool(
            name=FARGATE,
            limits=PoolLimits(agents=100, pending=20),
            cost=Price(cpu_hour=Micros(44_560), memory_gib_hour=Micros(4_865), currency="USD"),
        ),
        make_pool(name=HANGZHOU),
    ],
    policies=[
        make_policy(
            strategy=Strategy.WEIGHTED,
            pools=(PoolChoice(pool=SPOT, weight=4), PoolChoice(pool=FARGATE, weight=1, base=2)),
            fallback=(
                Fallback(
                    pool=HANGZHOU,
                    after=timedelta(seconds=45),
                    when=(Reason.INSUFFICIENT_CAPACITY, Reason.SPOT_UNAVAILABLE, Reason.POOL_AT_LIMIT),
                ),
            ),
        )
    ],
)
ORDERED = make_definitions(
    pools=[make_pool(name=SPOT, limits=PoolLimits(agents=3)), make_pool(name=FARGATE, limits=PoolLimits(agents=2))],
    policies=[make_policy(SPOT, FARGATE)],
)


def planned(definitions: Definitions, count: int, usage: Usage | None = None, **more: timedelta) -> Planned:
    offers = {name: [Offer(pool=name)] for name in definitions.pools}
    ask = PlanAsk(policy=POLICY, controller=CONTROLLER, count=count)
    at = EPOCH + more.get("later", timedelta())
    return plan(ask, [], offers, usage or Usage(now=EPOCH), definitions, at)


def test_the_example_of_eight_agents_over_two_weighted_pools() -> None:
    found = planned(PAGE, 8)
    assert found.summary(ALL) == "policy linux (weighted) -> fargate-spot ×5, fargate ×3 (base 2, then 4:1)"
    assert [(p.pool, p.state, p.text) for p in found.pools] == [
        (SPOT, "chosen", "40 of 40 pending free; 0.0384 USD/h each"),
        (FARGATE, "chosen", "base 2, then weight 1; 0.128 USD/h each"),
        (HANGZHOU, "standby", "fallback after 45s on InsufficientCapacity, SpotUnavailable, PoolAtLimit"),
    ]


def test_the_pools_are_filled_in_order_and_who_finds_no_place_waits_with_the_reason() -> None:
    found = planned(ORDERED, 6)
    assert agents_of(found) == {SPOT: 3, FARGATE: 2}
    assert (found.placed, found.reason) == (5, Reason.POOL_AT_LIMIT)
    told = found.summary(ALL)
    assert told.startswith("policy linux (ordered) -> fargate-spot ×3, fargate ×2; 1 waits: PoolAtLimit: ")


def test_a_pool_whose_pause_is_over_by_then_gets_its_share_then() -> None:
    definitions = make_definitions(
        pools=[make_pool(name=SPOT), make_pool(name=FARGATE)],
        policies=[make_policy(SPOT, FARGATE, strategy=Strategy.SPREAD, spread=Spread(by=SpreadBy.POOL))],
    )
    until = EPOCH + timedelta(hours=1)
    lever = Lever(pool=SPOT, kind=LeverKind.PAUSE, actor="ana", reason="move", since=EPOCH, until=until)
    found = [
        planned(definitions, 4, Usage(now=EPOCH, levers={SPOT: lever}), later=timedelta(hours=hours))
        for hours in (0, 2)
    ]
    assert [agents_of(one) for one in found] == [{FARGATE: 4}, {SPOT: 2, FARGATE: 2}]


def test_a_paused_pool_gets_none_and_says_who_paused_it() -> None:
    lever = Lever(pool=SPOT, kind=LeverKind.PAUSE, actor="ana", reason="move", since=EPOCH, until=None)
    found = planned(ORDERED, 1, Usage(now=EPOCH, levers={SPOT: lever}))
    assert agents_of(found) == {FARGATE: 1}
    assert (found.pools[0].state, found.pools[0].reason) == ("PoolPaused", Reason.POOL_PAUSED)
    assert "ana" in found.pools[0].text


def test_at_a_later_time_a_pause_is_over_and_a_fallback_open() -> None:
    until = EPOCH + timedelta(minutes=5)
    lever = Lever(pool=SPOT, kind=LeverKind.PAUSE, actor="ana", reason="move", since=EPOCH, until=until)
    usage = Usage(now=EPOCH, levers={SPOT: lever})
    assert agents_of(planned(ORDERED, 1, usage, later=timedelta(minutes=6))) == {SPOT: 1}


def test_a_plan_for_the_moment_before_what_is_known_was_read_turns_to_fallbacks_too() -> None:
    lever = Lever(pool=SPOT, kind=LeverKind.PAUSE, actor="ana", reason="move", since=EPOCH, until=None)
    usage = Usage(now=EPOCH, levers={SPOT: lever})
    backed = make_definitions(
        pools=[make_pool(name=SPOT), make_pool(name=FARGATE)],
        policies=[make_policy(SPOT, fallback=(Fallback(pool=FARGATE, when=(Reason.POOL_PAUSED,)),))],
    )
    assert agents_of(planned(backed, 1, usage, later=timedelta(milliseconds=-1))) == {FARGATE: 1}


def test_agents_that_wait_already_come_first() -> None:
    waiting = [make_agent(n) for n in range(4)]
    offers = {name: [Offer(pool=name)] for name in ORDERED.pools}
    ask = PlanAsk(policy=POLICY, controller=CONTROLLER, count=2)
    found = plan(ask, waiting, offers, Usage(now=EPOCH + timedelta(seconds=1)), ORDERED, EPOCH + timedelta(seconds=1))
    assert agents_of(found) == {FARGATE: 1}


def test_a_limit_of_the_policy_is_said_once_for_all_pools() -> None:
    definitions = make_definitions(policies=[make_policy(limits=AgentLimits(agents=2))])
    found = planned(definitions, 3, Usage(now=EPOCH, used={(Scope.POLICY_AGENTS, POLICY): 2}))
    assert found.summary(ALL) == (
        "policy linux (ordered) -> nowhere now; 3 wait: PolicyAtLimit: policy linux is at its limit (2 of 2 agents)"
    )


@pytest.mark.parametrize("count", [1, 2, 7])
def test_a_plan_is_what_placement_would_decide(count: int) -> None:
    offers = {name: [Offer(pool=name, room=3)] for name in ORDERED.pools}
    ask = PlanAsk(policy=POLICY, controller=CONTROLLER, count=count)
    found = plan(ask, [], offers, Usage(now=EPOCH), ORDERED, EPOCH)
    decided = decide([make_agent(n) for n in range(count)], offers, Usage(now=EPOCH), ORDERED)
    pools = [d.placement.offer.pool for d in decided if hasattr(d, "placement")]
    assert agents_of(found) == {pool: pools.count(pool) for pool in dict.fromkeys(pools)}
