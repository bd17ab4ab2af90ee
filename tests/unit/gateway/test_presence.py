"""How soon a vanished peer is noticed."""

import socket

import pytest

from broker.gateway.presence import Presence


def test_what_is_not_said_finds_a_dead_end_well_within_a_minute() -> None:
    assert Presence() == Presence.of(interval_s=20, timeout_s=60)
    assert Presence().lost_after_s == 50


@pytest.mark.parametrize(("interval", "timeout"), [(20, 60), (5, 15), (60, 60), (1, 3), (300, 600), (30, 90), (10, 10)])
def test_a_dead_end_is_found_before_the_time_of_the_config(interval: float, timeout: float) -> None:
    presence = Presence.of(interval_s=interval, timeout_s=timeout)
    assert presence.idle_s <= interval
    assert presence.lost_after_s < timeout or timeout <= 4


def test_the_kernel_is_told() -> None:
    with socket.socket() as sock:
        Presence(idle_s=7, interval_s=3, probes=2).watch(sock)
        options = [socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT, socket.TCP_USER_TIMEOUT]
        assert [sock.getsockopt(socket.IPPROTO_TCP, option) for option in options] == [7, 3, 2, 11_500]
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
