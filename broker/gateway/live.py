"""The sessions that a gateway relays now, and what it has counted since its start."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from broker.domain.reason import Reason
from broker.gateway.link import LinkedSession
from broker.gateway.relay import Relay
from broker.telemetry.readings import GatewayCounts


@dataclass(slots=True, kw_only=True)
class LiveSession:
    """One running relay and whose it is."""

    session: LinkedSession
    relay: Relay
    message: str = ""
    """Why the broker ended it; empty if it did not."""


class LiveSessions:
    """All running relays, by the id of their session."""

    def __init__(self, certificate_expires: Callable[[], datetime | None] = lambda: None) -> None:
        """Nobody is connected, nothing has been counted. Each count asks when the gateway's certificate expires."""
        self._certificate_expires = certificate_expires
        self._by_id: dict[str, LiveSession] = {}
        self._handshakes: Counter[tuple[str, str, str]] = Counter()
        self._disconnects: Counter[tuple[str, str]] = Counter()
        self._received: Counter[str] = Counter()
        self._sent: Counter[str] = Counter()

    def __iter__(self) -> Iterator[LiveSession]:
        """In no order that matters; may be changed meanwhile."""
        return iter(tuple(self._by_id.values()))

    def __len__(self) -> int:
        """How many there are."""
        return len(self._by_id)

    def get(self, session_id: str) -> LiveSession | None:
        """The running session of an id."""
        return self._by_id.get(session_id)

    def opened(self, live: LiveSession) -> None:
        """Counts a session in, and its handshake as succeeded."""
        self._by_id[live.session.id] = live
        self._handshakes[live.session.protocol, "succeeded", ""] += 1

    def closed(self, live: LiveSession) -> None:
        """Counts a session out."""
        protocol = live.session.protocol
        del self._by_id[live.session.id]
        self._disconnects[protocol, live.relay.why] += 1
        self._received[protocol] += live.relay.received_bytes
        self._sent[protocol] += live.relay.sent_bytes

    def refused(self, protocol: str, reason: Reason) -> None:
        """Counts a handshake that failed."""
        self._handshakes[protocol, "failed", reason.value] += 1

    def counts(self) -> GatewayCounts:
        """The counts up to now, running relays included."""
        connections: Counter[str] = Counter({"websocket": 0})
        received, sent = self._received.copy(), self._sent.copy()
        for live in self:
            connections[live.session.protocol] += 1
            received[live.session.protocol] += live.relay.received_bytes
            sent[live.session.protocol] += live.relay.sent_bytes
        return GatewayCounts(
            connections=connections,
            handshakes=self._handshakes.copy(),
            disconnects=self._disconnects.copy(),
            received_bytes=received,
            sent_bytes=sent,
            certificate_expires=self._certificate_expires(),
        )
