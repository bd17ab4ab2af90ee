"""One placement: limits, pools, breakers, order; a reason for everything that was not chosen."""

import ast
from datetime import timedelta
from pathlib import Path

import pytest

import broker.placement
from broker.domain.agent import Agent
from broker.domain.definitions import Definitions
from broker.domain.ids import PoolName
from broker.domain.limits import Rest, Scope, Usage
from broker.domain.offer import Offer
from broker.domain.placement import Decision, Placed, Waits
from broker.domain.policy import AgentLimits
from broker.domain.pool import PoolLimits
from broker.domain.reason import Reason
from broker.errors import BackendError, BackendRejected, Throttled
from broker.placement.engine import decide
from broker.testing.clock import EPOCH
from broker.testing.factories import (
    CONTROLLER,
    POLICY,
    POOL,
    agent_id,
    make_agent,
    make_controller,
    make_definitions,
    make_policy,
    make_pool,
)

SECOND_POOL = PoolName("second")
TWO_POOLS = [make_pool(), make_pool(name=SECOND_POOL)]
MINUTE = timedelta(minutes=1)
Offers = dict[PoolName, list[Offer] | BackendError]


def usage(used: dict[tuple[Scope, str], int] | None = None, rests: dict[PoolName, Rest] | None = None) -> Usage:
    return Usage(now=EPOCH, used=used or {}, rests=rests or {})


def room_everywhere(definitions: Definitions) -> Offers:
    return {name: [Offer(pool=name)] for name in definitions.pools}


def decide_all(
    agents: list[Agent], definitions: Definitions, taken: Usage | None = None, **offers: object
) -> list[Decision]:
    given: Offers = {**room_everywhere(definitions), **offers}  # type: ignore[dict-item] # offers by the pool's name
    return decide(agents, given, taken or usage(), definitions)


def decide_one(definitions: Definitions, taken: Usage | None = None, **offers: object) -> Decision:
    return decide_all([make_agent()], definitions, taken, **offers)[0]


def placed(decision: Decision) -> Placed:
    assert isinstance(decision, Placed), decision
    return decision


def waits(decision: Decision) -> Waits:
    assert isinstance(decision, Waits), decision
    return decision


def test_the_first_pool_that_can_is_chosen_and_the_next_is_told_why_not() -> None:
    placement = placed(decide_one(make_definitions(pools=TWO_POOLS))).placement
    assert placement.offer == Offer(pool=POOL)
    [rejection] = placement.rejections
    assert (rejection.pool, rejection.reason) == (SECOND_POOL, Reason.SUPERSEDED)
    assert rejection.message == "a pool before it could take the agent"


def test_a_pool_without_room_is_passed_over_with_its_reason() -> None:
    decision = decide_one(make_definitions(pools=TWO_POOLS), it=[Offer(pool=POOL, room=0)])
    placement = placed(decision).placement
    assert placement.offer.pool == SECOND_POOL
    assert [(r.pool, r.reason, r.message) for r in placement.rejections] == [
        (POOL, Reason.INSUFFICIENT_CAPACITY, "pool it has no room now"),
    ]


def test_a_pool_whose_backend_fails_is_passed_over_with_the_clouds_words() -> None:
    decision = decide_one(make_definitions(pools=TWO_POOLS), it=Throttled("Rate", "slow down"))
    [rejection] = placed(decision).placement.rejections
    assert (rejection.reason, rejection.message) == (Reason.THROTTLED, "Rate: slow down")


def test_an_agent_waits_with_the_reason_of_every_pool_when_none_can() -> None:
    definitions = make_definitions(pools=[make_pool(limits=PoolLimits(agents=0)), TWO_POOLS[1]])
    denied = BackendRejected("403", "denied", Reason.ACCESS_DENIED)
    decision = waits(decide_one(definitions, second=denied))
    assert decision.reason == Reason.POOL_AT_LIMIT
    assert decision.message == "pool it is at its limit (0 of 0 agents); 403: denied"
    assert [(r.pool, r.reason) for r in decision.rejections] == [
        (POOL, Reason.POOL_AT_LIMIT),
        (SECOND_POOL, Reason.ACCESS_DENIED),
    ]


FULL = [
    (
        make_definitions(limits=AgentLimits(agents=2)),
        {(Scope.BROKER_AGENTS, ""): 2},
        Reason.BROKER_AT_LIMIT,
        "the broker is at its limit (2 of 2 agents)",
    ),
    (
        make_definitions(controllers=[make_controller(limits=AgentLimits(pending=1))]),
        {(Scope.CONTROLLER_PENDING, CONTROLLER): 1},
        Reason.CONTROLLER_AT_LIMIT,
        "controller main is at its limit (1 of 1 starting agents)",
    ),
    (
        make_definitions(policies=[make_policy(limits=AgentLimits(agents=3))]),
        {(Scope.POLICY_AGENTS, POLICY): 3},
        Reason.POLICY_AT_LIMIT,
        "policy linux is at its limit (3 of 3 agents)",
    ),
    (
        make_definitions(pools=[make_pool(limits=PoolLimits(pending=4))]),
        {(Scope.POOL_PENDING, POOL): 4},
        Reason.POOL_AT_LIMIT,
        "pool it is at its limit (4 of 4 starting agents)",
    ),
    (
        make_definitions(pools=[make_pool(limits=PoolLimits(cpu_milli=4500))]),
        {(Scope.POOL_CPU_MILLI, POOL): 4000},
        Reason.POOL_AT_LIMIT,
        "pool it is at its limit (4.5 vCPU; this agent takes 1)",
    ),
    (
        make_definitions(pools=[make_pool(limits=PoolLimits(memory_mib=1000))]),
        {(Scope.POOL_MEMORY_MIB, POOL): 512},
        Reason.POOL_AT_LIMIT,
        "pool it is at its limit (1000 MiB of memory; this agent takes 512)",
    ),
]


@pytest.mark.parametrize(("definitions", "used", "reason", "message"), FULL)
def test_a_full_limit_says_which_and_how_full(
    definitions: Definitions, used: dict[tuple[Scope, str], int], reason: Reason, message: str
) -> None:
    decision = waits(decide_one(definitions, usage(used)))
    assert (decision.reason, decision.message) == (reason, message)


@pytest.mark.parametrize(("definitions", "used", "reason", "message"), FULL)
def test_one_less_and_there_is_room(
    definitions: Definitions, used: dict[tuple[Scope, str], int], reason: Reason, message: str
) -> None:
    less = {
        (scope, key): n - (500 if "MILLI" in scope.name or "MIB" in scope.name else 1)
        for (scope, key), n in used.items()
    }
    assert isinstance(decide_one(definitions, usage(less)), Placed), (reason, message)


def test_an_agent_takes_of_every_limit_that_it_counts_for() -> None:
    claims = placed(decide_one(make_definitions())).claims
    assert {(c.scope, c.key): c.amount for c in claims} == {
        (Scope.BROKER_AGENTS, ""): 1,
        (Scope.BROKER_PENDING, ""): 1,
        (Scope.CONTROLLER_AGENTS, CONTROLLER): 1,
        (Scope.CONTROLLER_PENDING, CONTROLLER): 1,
        (Scope.POLICY_AGENTS, POLICY): 1,
        (Scope.POLICY_PENDING, POLICY): 1,
        (Scope.POOL_AGENTS, POOL): 1,
        (Scope.POOL_PENDING, POOL): 1,
        (Scope.POOL_CPU_MILLI, POOL): 1000,
        (Scope.POOL_MEMORY_MIB, POOL): 512,
    }


def resting(until: timedelta, *, opened: int = 1, probe: int | None = None) -> Usage:
    rest = Rest(
        opened=opened,
        until=EPOCH + until,
        probe=agent_id(probe) if probe else None,
        why=Reason.ACCESS_DENIED,
        message="no",
    )
    return usage(rests={POOL: rest})


def test_a_closed_breaker_refuses_nobody() -> None:
    assert isinstance(decide_one(make_definitions(), resting(MINUTE, opened=0)), Placed)


def test_an_open_breaker_says_until_when_and_why() -> None:
    decision = waits(decide_one(make_definitions(), resting(MINUTE)))
    assert (decision.reason, decision.message) == (
        Reason.POOL_COOLING_DOWN,
        "pool it rests until 00:01:00 UTC, its launches failed: AccessDenied: no",
    )


def test_a_rested_pool_is_tried_with_one_agent_of_a_batch() -> None:
    decisions = decide_all([make_agent(n) for n in (1, 2, 3)], make_definitions(), resting(timedelta()))
    assert placed(decisions[0]).agent.id == agent_id(1)
    for decision in decisions[1:]:
        assert waits(decision).reason == Reason.POOL_COOLING_DOWN
        assert "is being tried with one agent" in waits(decision).message


def test_a_pool_that_is_being_tried_waits_for_that_agent() -> None:
    assert "is being tried" in waits(decide_one(make_definitions(), resting(-MINUTE, probe=9))).message


def test_a_resting_pool_falls_back_to_the_next() -> None:
    assert placed(decide_one(make_definitions(pools=TWO_POOLS), resting(MINUTE))).placement.offer.pool == SECOND_POOL


def test_the_policy_of_the_highest_priority_comes_first_then_the_oldest_request() -> None:
    policies = [make_policy(), make_policy(name="urgent", priority=5)]
    agents = [
        make_agent(1),
        make_agent(2, requested_at=EPOCH - MINUTE),
        make_agent(3, policy="urgent", requested_at=EPOCH + MINUTE),
        make_agent(4, policy="removed", requested_at=EPOCH - 2 * MINUTE),
    ]
    decisions = decide_all(agents, make_definitions(policies=policies))
    assert [d.agent.id for d in decisions] == [agent_id(n) for n in (3, 2, 1, 4)]
    assert waits(decisions[3]).reason == Reason.NO_MATCHING_POLICY
    assert waits(decisions[3]).message == "policy removed is no longer configured"


def test_the_room_of_an_offer_is_given_once() -> None:
    offers = [Offer(pool=POOL, zone="a", room=1), Offer(pool=POOL, zone="b", room=1)]
    decisions = decide_all([make_agent(n) for n in (1, 2, 3)], make_definitions(), it=offers)
    assert [placed(d).placement.offer.zone for d in decisions[:2]] == ["a", "b"]
    assert waits(decisions[2]).reason == Reason.INSUFFICIENT_CAPACITY
    assert [offer.room for offer in offers] == [1, 1], "what was given in is left as it is"


def test_two_policies_share_the_room_and_the_limits_of_a_pool() -> None:
    policies = [make_policy(), make_policy(name="big", priority=1)]
    definitions = make_definitions(policies=policies, pools=[make_pool(limits=PoolLimits(agents=1))])
    decisions = decide_all([make_agent(1), make_agent(2, policy="big")], definitions)
    assert placed(decisions[0]).agent.policy == "big"
    assert waits(decisions[1]).reason == Reason.POOL_AT_LIMIT


def test_a_batch_of_many_stops_exactly_at_the_cap() -> None:
    definitions = make_definitions(policies=[make_policy(limits=AgentLimits(agents=7))])
    decisions = decide_all([make_agent(n) for n in range(1, 21)], definitions)
    assert [isinstance(d, Placed) for d in decisions] == [True] * 7 + [False] * 13


def test_deciding_neither_waits_nor_looks_at_a_clock() -> None:
    for file in Path(broker.placement.__file__ or "").parent.glob("*.py"):
        tree = ast.parse(file.read_text())
        names = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        assert not names & {"today", "utcnow", "monotonic", "time", "random"}, file
        assert not [n for n in ast.walk(tree) if isinstance(n, ast.Await | ast.AsyncFunctionDef)], file
