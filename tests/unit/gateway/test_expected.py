"""Which gateways are waited for, and by what a dead one is known."""

import os

from broker.gateway.expected import LOST_GATEWAY_S, Expected, ExpectedGateways
from broker.gateway.keeping import Nothing
from broker.gateway.link import Hello
from broker.gateway.sockets import process_started, this_host
from broker.testing.clock import ManualClock

STARTED = process_started(os.getpid()) or 0


def hello(name: str = "g1", *, pid: int = 0, started: int = STARTED, host: str | None = None) -> Hello:
    host = this_host() if host is None else host
    return Hello(gateway=name, pid=pid or os.getpid(), started=started, version="", listen="", host=host)


def test_the_end_of_a_process_is_seen_only_where_its_pid_means_something() -> None:
    assert Expected.of(hello()).watched
    assert Expected.of(hello(host="")).watched, "a version that does not tell is on this machine if it is seen here"
    assert not Expected.of(hello(host="another machine")).watched
    assert not Expected.of(hello(pid=4_000_000)).watched, "/proc does not show it, though it speaks"


def test_a_process_that_was_never_seen_has_not_died() -> None:
    unseen = Expected.of(hello(pid=4_000_000))
    assert not unseen.has_died()
    assert Expected(id="g", pid=os.getpid(), started=1, host=this_host(), watched=True).has_died()
    moved = Expected(id="g", pid=os.getpid(), started=1, host="the boot before", watched=True)
    assert not moved.has_died()


async def test_one_that_says_hello_is_waited_for_until_it_has_told_its_sessions() -> None:
    expected = ExpectedGateways(Nothing(), ManualClock())
    assert not expected.missing()
    expected.expect(hello())
    assert expected.missing()
    expected.linked("g1")
    assert not expected.missing()


async def test_one_without_a_link_is_waited_for_until_it_is_lost() -> None:
    clock = ManualClock()
    expected = ExpectedGateways(Nothing(), clock)
    expected.expect(hello())
    expected.linked("g1")
    expected.unlinked("g1")
    await clock.advance(LOST_GATEWAY_S - 1)
    assert expected.missing()
    await clock.advance(1)
    assert not expected.missing()
    assert expected.given_up("g1")
