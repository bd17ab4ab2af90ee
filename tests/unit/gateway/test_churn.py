"""Short sessions in a row: let pass, refused for a growing time, given up."""

import pytest

from broker.domain.ids import AgentId
from broker.gateway.churn import SHORT_S, Churn

A1, A2 = AgentId("a1"), AgentId("a2")


def pauses(churn: Churn, count: int, now: float = 100.0) -> list[float]:
    """How long the agent is refused after each of so many short sessions."""
    found = []
    for _ in range(count):
        churn.ended(A1, 1.0, "agent", now)
        until = churn.refused_until(A1, now)
        found.append(until - now if until else 0.0)
    return found


def test_the_third_short_session_running_begins_a_time_that_grows_to_five_minutes() -> None:
    assert pauses(Churn(), 10) == [0, 0, 10, 20, 40, 80, 160, 300, 300, 300]


def test_after_its_time_an_agent_is_let_in() -> None:
    churn = Churn()
    pauses(churn, 3, now=100.0)
    assert churn.refused_until(A1, 109.9) == 110.0
    assert churn.refused_until(A1, 110.0) is None
    assert churn.refused_until(A2, 100.0) is None


def test_the_fifth_is_the_last() -> None:
    churn = Churn()
    pauses(churn, 4)
    assert not churn.given_up(A1)
    pauses(churn, 1)
    assert churn.given_up(A1)
    assert churn.words(A1) == "its last 5 connections ended within 10 s each, the last one by the agent"


def test_one_session_that_lasts_makes_up_for_all() -> None:
    churn = Churn()
    pauses(churn, 5)
    churn.ended(A1, SHORT_S, "agent", 200.0)
    assert not churn.given_up(A1)
    assert churn.words(A1) == ""
    assert pauses(churn, 3) == [0, 0, 10]


@pytest.mark.parametrize("why", ["shutdown", "timeout", ""])
def test_a_session_that_the_broker_ended_says_nothing_of_the_agent(why: str) -> None:
    churn = Churn()
    pauses(churn, 2)
    churn.ended(A1, 1.0, why, 100.0)
    assert churn.refused_until(A1, 100.0) is None
    assert pauses(churn, 1) == [10]


def test_so_many_agents_are_remembered_and_no_more() -> None:
    churn = Churn()
    pauses(churn, 5)
    for number in range(10_000):
        churn.ended(AgentId(f"other-{number}"), 1.0, "controller", 0.0)
    assert not churn.given_up(A1)


def test_an_agent_whose_session_the_controller_has_ended_is_held_for_a_second_and_no_other_is() -> None:
    churn = Churn()
    churn.ended(A1, 3600.0, "controller", 100.0)
    churn.ended(A2, 3600.0, "agent", 100.0)
    assert churn.held_until(A1, 100.5) == 101.0
    assert churn.held_until(A2, 100.5) is None
    assert churn.held_until(A1, 101.0) is None
