"""An agent's history read as a life."""

from datetime import timedelta
from typing import Any

from broker.domain.ids import AgentId, AgentName, PolicyName, PoolName
from broker.domain.lifecycle import Phase
from broker.domain.placement import Rejection
from broker.domain.reason import Reason
from broker.store.details import Details, to_text
from broker.store.history import Event
from broker.testing.clock import EPOCH
from broker.testing.factories import CONTROLLER, make_agent
from broker.views import life


def event(number: int, name: str, after_s: float = 0.0, **changes: Any) -> Event:
    values: dict[str, Any] = {
        "controller": CONTROLLER,
        "agent_id": AgentId("a"),
        "agent": AgentName("linux-000001"),
        "policy": PolicyName("linux"),
        "phase": Phase.REQUESTED,
        "attempt": 0,
        "pool": None,
        "why": None,
        "message": "",
        "actor": "",
    }
    return Event(number=number, at=EPOCH + timedelta(seconds=after_s), event=name, **(values | changes))


LIFE = [
    event(1, "requested"),
    event(2, "placed", 1, phase=Phase.LAUNCHING, attempt=1, pool=PoolName("a")),
    event(
        3, "failed", 2, phase=Phase.TERMINATING, attempt=1, pool=PoolName("a"), why=Reason.BOOT_TIMEOUT, message="6m"
    ),
    event(4, "requested", 3, attempt=1, pool=PoolName("a")),
    event(5, "placed", 5, phase=Phase.LAUNCHING, attempt=2, pool=PoolName("b"), message="a: PoolAtLimit: it is full"),
    event(6, "online", 9, phase=Phase.ONLINE, attempt=2, pool=PoolName("b")),
]


def test_each_step_lasts_until_the_next_and_the_last_one_until_now() -> None:
    now = EPOCH + timedelta(seconds=20)
    assert [s.lasted for s in life.steps(LIFE, now)] == [timedelta(seconds=n) for n in (1, 1, 1, 2, 4, 11)]
    gone = event(7, "gone", 20, phase=Phase.GONE)
    assert life.steps([*LIFE, gone], now)[-1].lasted is None


def test_no_step_lasts_less_than_nothing_although_moments_are_not_in_the_order_of_numbers() -> None:
    events = [event(1, "requested", 5.0), event(2, "placed", 4.9)]
    assert [s.lasted for s in life.steps(events, EPOCH)] == [timedelta(), timedelta()]


def test_attempts_have_their_pools_ends_and_reasons() -> None:
    first, second = life.attempts(LIFE)
    assert (first.number, first.pool, first.reason, first.message) == (1, "a", Reason.BOOT_TIMEOUT, "6m")
    assert (first.ended_at, first.online_at) == (EPOCH + timedelta(seconds=2), None)
    assert (second.number, second.pool, second.reason, second.ended_at) == (2, "b", None, None)
    assert second.online_at == EPOCH + timedelta(seconds=9)


def test_without_events_there_is_no_life() -> None:
    assert (life.steps([], EPOCH), life.attempts([]), life.not_chosen(make_agent(), [])) == ([], [], [])


def test_the_pools_that_were_passed_by_are_those_of_the_last_placement() -> None:
    agent = make_agent(attempt=2)
    expected = [Rejection(pool=PoolName("a"), reason=Reason.POOL_AT_LIMIT, message="it is full")]
    assert life.not_chosen(agent, LIFE) == expected


def test_rejections_are_read_back_although_a_clouds_words_hold_semicolons_and_colons() -> None:
    text = "a: PoolCoolingDown: rests; its launches failed: Denied: x; y; b-2: PoolAtLimit: full (1 of 1 agents)"
    assert [(r.pool, r.reason, r.message) for r in life.rejections(text)] == [
        ("a", Reason.POOL_COOLING_DOWN, "rests; its launches failed: Denied: x; y"),
        ("b-2", Reason.POOL_AT_LIMIT, "full (1 of 1 agents)"),
    ]


def test_what_placement_kept_beside_the_words_is_what_is_shown() -> None:
    tricky = Rejection(pool=PoolName("a"), reason=Reason.THROTTLED, message="slow down; b: PoolAtLimit: really")
    kept = to_text(Details(why="share 71 % of 80 %", fallback_for=Reason.POOL_AT_LIMIT, rejections=(tricky,)))
    placed = event(1, "placed", phase=Phase.LAUNCHING, attempt=1, message="a: Throttled: other words", details=kept)
    found = life.placement(placed)
    assert (found.why, found.fallback_for, found.rejections) == (
        "share 71 % of 80 %",
        Reason.POOL_AT_LIMIT,
        (tricky,),
    )
    assert life.not_chosen(make_agent(attempt=1), [placed]) == [tricky]
    assert life.placement(event(2, "waiting", details=kept)).rejections == ()
