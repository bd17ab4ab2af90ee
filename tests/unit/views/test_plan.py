"""Where agents would go: as placement would decide, pool by pool, and nothing is changed by asking."""

from datetime import timedelta

import pytest

from broker.domain.definitions import Definitions
from broker.domain.ids import PoolName
from broker.domain.limits import Lever, LeverKind, Scope, Usage
from broker.domain.offer import Offer
from broker.domain.policy import AgentLimits
from broker.domain.pool import PoolLimits
from broker.domain.reason import Reason
from broker.placement.engine import decide
from broker.testing.clock import EPOCH
from broker.testing.factories import (
    CONTROLLER,
    POLICY,
    make_agent,
    make_definitions,
    make_policy,
    make_pool,
)
from broker.views.plan import PlanAsk, Planned, agents_of, plan
from broker.views.words import Words

ALL = Words(raw=True)
SPOT, FARGATE, HANGZHOU = PoolName("fargate-spot"), PoolName("fargate"), PoolName("hangzhou")
ORDERED = make_definitions(
    pools=[make_pool(name=SPOT, limits=PoolLimits(agents=3)), make_pool(name=FARGATE, limits=PoolLimits(agents=2))],
    policies=[make_policy(SPOT, FARGATE)],
)


def planned(definitions: Definitions, count: int, usage: Usage | None = None, **more: timedelta) -> Planned:
    offers = {name: [Offer(pool=name)] for name in definitions.pools}
    ask = PlanAsk(policy=POLICY, controller=CONTROLLER, count=count)
    at = EPOCH + more.get("later", timedelta())
    return plan(ask, [], offers, usage or Usage(now=EPOCH), definitions, at)


def test_the_pools_are_filled_in_order_and_who_finds_no_place_waits_with_the_reason() -> None:
    found = planned(ORDERED, 6)
    assert agents_of(found) == {SPOT: 3, FARGATE: 2}
    assert (found.placed, found.reason) == (5, Reason.POOL_AT_LIMIT)
    assert found.summary(ALL).startswith(
        "policy linux (ordered) -> fargate-spot ×3, fargate ×2; 1 waits: PoolAtLimit: "
    )


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
