"""When a fallback is turned to, for what, and what is said of one that is not."""

from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from broker.domain.ids import PoolName
from broker.domain.limits import Cooled, Lever, LeverKind, Rest
from broker.domain.offer import Offering
from broker.domain.policy import AgentLimits, Fallback
from broker.domain.pool import PoolLimits
from broker.domain.reason import Reason
from broker.domain.schedule import Hours
from broker.errors import Throttled
from broker.testing.clock import EPOCH
from broker.testing.factories import make_agent
from tests.unit.placement.world import Given, agents, decided, placed, plain, policy, pools_of, told, usage, waits

OPEN: Given = {"it": [plain("it")], "second": [plain("second")], "third": [plain("third")]}
FULL: Given = {**OPEN, "it": [plain("it", room=0)]}
LATE = Fallback(pool=PoolName("second"), after=timedelta(seconds=45), when=(Reason.INSUFFICIENT_CAPACITY,))
NOW = EPOCH + timedelta(seconds=45)


def test_a_fallback_stands_by_while_a_pool_before_it_can() -> None:
    [decision] = decided(agents(1), policy(fallback=(LATE,)), OPEN)
    assert placed(decision).placement.offer.pool == "it"
    assert told(decision) == [("second", Reason.SUPERSEDED, "fallback after 45s on InsufficientCapacity")]


def test_a_fallback_is_turned_to_when_its_time_has_come_and_says_what_for() -> None:
    [decision] = decided(agents(1), policy(fallback=(LATE,)), FULL, usage(now=NOW))
    assert placed(decision).placement.offer.pool == "second"
    assert placed(decision).placement.fallback_for is Reason.INSUFFICIENT_CAPACITY


def test_a_fallback_before_its_time_says_when_to_look_again() -> None:
    [decision] = decided(agents(1), policy(fallback=(LATE,)), FULL, usage(now=NOW - timedelta(seconds=1)))
    assert waits(decision).reason is Reason.INSUFFICIENT_CAPACITY
    assert waits(decision).look_at == NOW
    assert waits(decision).message == "pool it has no room now; second: fallback after 45s on InsufficientCapacity"


def test_of_two_requests_only_the_older_may_turn_to_the_fallback() -> None:
    asked = [make_agent(1, requested_at=EPOCH), make_agent(2, requested_at=EPOCH + timedelta(seconds=1))]
    assert pools_of(decided(asked, policy(fallback=(LATE,)), FULL, usage(now=NOW))) == ["second", None]


def test_a_fallback_is_not_turned_to_for_another_reason_than_its_own() -> None:
    full = {"it": PoolLimits(agents=0)}
    [decision] = decided(agents(1), policy(fallback=(LATE,)), OPEN, usage(now=NOW), limits=full)
    assert told(decision) == [
        ("it", Reason.POOL_AT_LIMIT, "pool it is at its limit (0 of 0 agents)"),
        ("second", Reason.SUPERSEDED, "fallback after 45s on InsufficientCapacity"),
    ]


def test_what_lies_behind_a_rest_is_the_reason_that_counts() -> None:
    rest = Rest(opened=1, until=NOW + timedelta(minutes=1), probe=None, why=Reason.INSUFFICIENT_CAPACITY, message="")
    taken = usage(now=NOW, rests={PoolName("it"): rest})
    assert pools_of(decided(agents(1), policy(fallback=(LATE,)), OPEN, taken)) == ["second"]


def test_an_offering_that_is_out_of_stock_is_left_alone_and_is_a_reason_to_fall_back() -> None:
    cooled = Cooled(until=NOW + timedelta(minutes=3), why=Reason.INSUFFICIENT_CAPACITY, message="none left")
    taken = usage(now=NOW, cooled={Offering(PoolName("it"), zone="a"): cooled})
    offers: Given = {**OPEN, "it": [plain("it", zone="a"), plain("it", zone="b", room=1)]}
    decisions = decided(agents(2), policy(fallback=(LATE,)), offers, taken)
    assert placed(decisions[0]).placement.offer.zone == "b"
    [rejection] = [r for r in placed(decisions[0]).placement.rejections if r.zone == "a"]
    assert (rejection.cause, rejection.until) == (Reason.INSUFFICIENT_CAPACITY, cooled.until)
    assert rejection.message == "pool it (a) is left alone until 00:03:45 UTC: InsufficientCapacity: none left"
    assert placed(decisions[1]).placement.offer.pool == "second"


def test_a_fallback_for_any_reason_serves_a_paused_pool_too() -> None:
    paused = Lever(pool=PoolName("it"), kind=LeverKind.PAUSE, actor="ana", reason="ssh broken", since=EPOCH, until=NOW)
    taken = usage(levers={PoolName("it"): paused})
    [decision] = decided(agents(1), policy(fallback=(Fallback(pool=PoolName("second")),)), OPEN, taken)
    assert placed(decision).placement.fallback_for is Reason.POOL_PAUSED
    message = f"pool it is paused until {NOW:%Y-%m-%d %H:%M} UTC by ana: ssh broken"
    assert told(decision) == [("it", Reason.POOL_PAUSED, message)]


def test_a_lever_whose_time_is_over_holds_nothing() -> None:
    over = Lever(pool=PoolName("it"), kind=LeverKind.DRAIN, actor="ana", reason="", since=EPOCH, until=NOW)
    assert pools_of(decided(agents(1), policy(), {"it": [plain("it")]}, usage(now=NOW, levers={PoolName("it"): over})))


@pytest.mark.parametrize(("hour", "expected"), [(12, None), (21, "second")])
def test_a_fallback_serves_at_its_hours_only(hour: int, expected: str | None) -> None:
    hours = Hours(start=20 * 60, end=8 * 60, zone=ZoneInfo("Asia/Shanghai"))
    now = (EPOCH + timedelta(days=1)).replace(hour=(hour - 8) % 24)
    step = Fallback(pool=PoolName("second"), only=hours)
    [decision] = decided(agents(1), policy(fallback=(step,)), FULL, usage(now=now))
    assert pools_of([decision]) == [expected]
    if expected is None:
        assert told(decision)[1] == ("second", Reason.OUTSIDE_HOURS, "fallback from 20:00 to 08:00 Asia/Shanghai only")
        assert waits(decision).look_at == now.replace(hour=12)


def test_the_chain_is_walked_to_its_end() -> None:
    steps = (Fallback(pool=PoolName("second")), Fallback(pool=PoolName("third"), when=(Reason.THROTTLED,)))
    offers: Given = {**FULL, "second": Throttled("Rate", "slow down")}
    [decision] = decided(agents(1), policy(fallback=steps), offers)
    assert placed(decision).placement.offer.pool == "third"
    assert placed(decision).placement.fallback_for is Reason.THROTTLED
    assert [r.reason for r in placed(decision).placement.rejections] == [Reason.INSUFFICIENT_CAPACITY, Reason.THROTTLED]


def test_nobody_falls_back_from_a_limit_that_counts_everywhere() -> None:
    rules = policy(fallback=(Fallback(pool=PoolName("second")),), limits=AgentLimits(agents=1))
    decisions = decided(agents(2), rules, OPEN)
    assert pools_of(decisions) == ["it", None]
    assert waits(decisions[1]).reason is Reason.POLICY_AT_LIMIT
    assert waits(decisions[1]).stalled


def test_a_pool_that_does_badly_takes_what_its_window_says_and_the_others_go_elsewhere() -> None:
    rest = Rest(opened=0, until=None, probe=None, why=Reason.ACCESS_DENIED, message="no")
    taken = usage(window={PoolName("it"): 1}, rests={PoolName("it"): rest})
    decisions = decided(agents(2), policy("it", "second"), OPEN, taken)
    assert pools_of(decisions) == ["it", "second"]
    [rejection] = placed(decisions[1]).placement.rejections
    assert (rejection.reason, rejection.cause) == (Reason.POOL_COOLING_DOWN, Reason.ACCESS_DENIED)
