"""Whether the other end of a connection is still there: the kernel asks, and ends the connection without an answer.

An end that closes is seen at once; these are for a machine that vanishes, or a network that drops everything.
"""

import socket
import struct
from dataclasses import dataclass
from typing import Final, Self

_MARGIN: Final = 5 / 6
"""Of the time after which a session is lost: the kernel's own timers come a little late (tcp(7))."""
_PROBES: Final = 3
_TCP_INFO: Final = struct.Struct("=3xB20xI28xI")
"""Of `struct tcp_info` (linux/tcp.h): tcpi_probes, tcpi_unacked, tcpi_last_ack_recv in milliseconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Presence:
    """How soon the kernel asks, and for how long it waits for answers. Seconds."""

    idle_s: int = 20
    interval_s: int = 10
    probes: int = _PROBES

    @classmethod
    def of(cls, *, interval_s: float, timeout_s: float) -> Self:
        """Asks after `interval_s` of silence, and again, so that a dead end is found within `timeout_s`."""
        whole = timeout_s * _MARGIN
        idle = max(1, int(min(interval_s, whole / 2)))
        return cls(idle_s=idle, interval_s=max(1, int((whole - idle) / _PROBES)))

    @property
    def lost_after_s(self) -> int:
        """How long nothing comes from a dead end before its connection is ended."""
        return self.idle_s + self.probes * self.interval_s

    def watch(self, sock: socket.socket) -> None:
        """Has the kernel watch a TCP connection: an idle one by probes, one with unanswered data by its age.

        That age must end between the last two probes, for it ends an idle connection at the first probe after it.
        """
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, self.idle_s)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, self.interval_s)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, self.probes)
        unanswered_s = self.lost_after_s - self.interval_s / 2
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(unanswered_s * 1000))

    def be_patient(self, sock: socket.socket) -> None:
        """From now on, in a session, an end that answers is there, however long it has no room for what it was sent.

        The age of unanswered data would end it; who asks `lost` from time to time needs none.
        """
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 0)

    def lost(self, sock: socket.socket) -> bool:
        """Whether the other end owes an answer and has given none for so long; an idle one is the kernel's to find."""
        told = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO.size)
        probes, unanswered, silent_ms = map(int, _TCP_INFO.unpack(told))
        return (unanswered > 0 or probes > 1) and silent_ms >= self.lost_after_s * 1000
