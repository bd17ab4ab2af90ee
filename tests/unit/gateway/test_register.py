"""Who is connected and who holds a name."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from broker.domain.ids import AgentId
from broker.domain.reason import Reason
from broker.gateway.link import Hello, LinkedSession
from broker.gateway.register import CLAIM_LASTS_S, Claim, Occupied, Register
from broker.telemetry.readings import GatewayCounts

A1 = AgentId("id-a1")


def claim(claim_id: str, *, cookie: str = "", attempt: int = 1, now: float = 0.0, gateway: str = "g1") -> Claim:
    return Claim(id=claim_id, gateway=gateway, attempt=attempt, cookie=cookie, until=now + CLAIM_LASTS_S)


def session(
    session_id: str, *, agent: AgentId = A1, cookie: str = "aa", attempt: int = 1, at: int = 0
) -> LinkedSession:
    return LinkedSession(
        id=session_id,
        agent_id=agent,
        controller="main",
        name="a1",
        attempt=attempt,
        peer="",
        since=datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=at),
        cookie=cookie,
        controller_cookie="bb",
    )


def hello(gateway: str, sessions: Sequence[LinkedSession] = ()) -> Hello:
    return Hello(gateway=gateway, pid=1, started=1, version="", listen="", sessions=tuple(sessions))


def test_an_admitted_agent_holds_its_name_for_a_while() -> None:
    register = Register()
    assert register.claim(A1, claim("q1"), 0.0) is None
    with pytest.raises(Occupied):
        register.claim(A1, claim("q2"), CLAIM_LASTS_S - 1)
    assert register.claim(A1, claim("q3"), CLAIM_LASTS_S) is None


def test_a_failed_handshake_lets_go_of_the_name() -> None:
    register = Register()
    register.claim(A1, claim("q1"), 0.0)
    register.release(A1, "another")
    with pytest.raises(Occupied):
        register.claim(A1, claim("q2"), 1.0)
    register.release(A1, "q1")
    assert register.claim(A1, claim("q2"), 1.0) is None


def test_why_a_handshake_failed_is_known_until_the_attempt_has_its_session() -> None:
    register = Register()
    register.claim(A1, claim("q1"), 0.0)
    register.failed(A1, "another", Reason.CONTROLLER_UNREACHABLE, "of a claim that is over")
    assert register.turned_away(A1, 1) is None
    register.failed(A1, "q1", Reason.HANDSHAKE_REJECTED, "too old")
    assert register.turned_away(A1, 1) == (Reason.HANDSHAKE_REJECTED, "too old")
    assert register.turned_away(A1, 2) is None
    register.claim(A1, claim("q2"), 1.0)
    assert register.opened("g1", "q2", session("s1"))
    assert register.turned_away(A1, 1) is None


def test_a_session_is_taken_over_with_its_cookie_or_by_a_later_attempt_only() -> None:
    register = Register()
    assert register.opened("g1", "q1", session("s1", cookie="aa"))
    for cookie in ("", "ab"):
        with pytest.raises(Occupied):
            register.claim(A1, claim("q2", cookie=cookie), 0.0)
    with pytest.raises(Occupied):
        register.claim(A1, claim("q2", cookie="aa", attempt=0), 0.0)
    former = register.claim(A1, claim("q2", cookie="aa"), 0.0)
    assert former is not None
    assert former.session.id == "s1"
    register.release(A1, "q2")
    assert register.claim(A1, claim("q3", attempt=2), 0.0) == former


def test_a_session_that_opens_without_holding_the_name_has_to_end() -> None:
    register = Register()
    register.claim(A1, claim("q1"), 0.0)
    assert not register.opened("g2", "q0", session("s0"))
    assert register.opened("g1", "q1", session("s1"))
    assert not register.opened("g2", "q2", session("s2"))
    held = register.held(A1)
    assert held is not None
    assert held.session.id == "s1"


def test_the_end_of_another_session_changes_nothing() -> None:
    register = Register()
    register.opened("g1", "q1", session("s1"))
    assert not register.closed(A1, "s0")
    assert register.closed(A1, "s1")
    assert register.held(A1) is None
    assert register.controller_cookie(A1) == "bb"


def test_a_hello_is_the_whole_truth_of_its_gateway() -> None:
    register = Register()
    a2, a3 = AgentId("id-a2"), AgentId("id-a3")
    register.opened("g1", "q1", session("s1"))
    register.opened("g1", "q2", session("s2", agent=a2))
    register.opened("g2", "q3", session("s3", agent=a3))
    changed, surplus = register.hello(hello("g1", [session("s1"), session("s4", agent=AgentId("id-a4"))]))
    assert (changed, surplus) == ({a2, AgentId("id-a4")}, [])
    assert register.held(a2) is None
    assert register.held(a3) is not None


def test_a_gateway_that_lost_its_link_keeps_its_sessions_but_not_its_claims() -> None:
    register = Register()
    register.opened("g1", "q1", session("s1"))
    register.claim(AgentId("id-a2"), claim("q2"), 0.0)
    register.unlinked("g1")
    assert register.held(A1) is not None
    assert register.claim(AgentId("id-a2"), claim("q3", gateway="g2"), 0.0) is None


def test_the_sum_of_counts_never_goes_back_when_a_gateway_goes() -> None:
    register = Register()
    for gateway in ("g1", "g2"):
        register.hello(hello(gateway))
        register.count(gateway, GatewayCounts(connections={"websocket": 2}, disconnects={("websocket", "agent"): 3}))
    register.forget("g1")
    assert register.counts().disconnects == {("websocket", "agent"): 6}
    assert register.counts().connections == {"websocket": 2}
