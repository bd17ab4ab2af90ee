"""Connections that are dropped before they can become anything: counted all, told of seldom."""

import time
from collections import Counter
from typing import Final

from broker.telemetry.events import CONNECTION_NOT_ALLOWED, CONNECTIONS_FULL, HANDSHAKE_DRIVEN_OUT

NOT_ALLOWED: Final = "not_allowed"
DRIVEN_OUT: Final = "driven_out"
FULL: Final = "full"
_EVERY_S: Final = 60.0
_EVENTS: Final = {NOT_ALLOWED: CONNECTION_NOT_ALLOWED, DRIVEN_OUT: HANDSHAKE_DRIVEN_OUT, FULL: CONNECTIONS_FULL}


class Drops:
    """Since the start of the process. Whoever can cause many must not fill the log: of each kind, one line a minute."""

    def __init__(self) -> None:
        """None yet."""
        self.counts: Counter[str] = Counter(dict.fromkeys(_EVENTS, 0))
        self._told: dict[str, tuple[float, int]] = {}

    def note(self, why: str, peer: str) -> None:
        """One of a kind; `peer` is its other end, for people."""
        self.counts[why] += 1
        now, (told_at, told) = time.monotonic(), self._told.get(why, (-_EVERY_S, 0))
        if now - told_at >= _EVERY_S:
            self._told[why] = now, self.counts[why]
            _EVENTS[why].emit(peer=peer, connections=self.counts[why] - told)
