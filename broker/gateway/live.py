"""The sessions that a gateway relays now, and what it has counted since its start."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from broker.domain.reason import Reason
from broker.gateway.drops import Drops
from broker.gateway.link import LinkedSession
from broker.gateway.relay import Relay
from broker.telemetry.readings import MILLISECONDS, GatewayCounts, bucket_of


@dataclass(slots=True, kw_only=True, eq=False)
class LiveSession:
    """One running relay and whose it is. Small: it lives as long as the agent is connected."""

    id: str
    agent_id: str
    controller: str
    name: str
    attempt: int
    protocol: str
    peer: str
    cookie: str = field(repr=False)
    controller_cookie: str = field(repr=False)
    relay: Relay
    since: float
    """Seconds since the epoch."""
    message: str = ""
    """Why the broker ended it; empty if it did not."""

    def linked(self) -> LinkedSession:
        """The session as the control link carries it."""
        return LinkedSession(
            id=self.id,
            agent_id=self.agent_id,
            controller=self.controller,
            name=self.name,
            attempt=self.attempt,
            protocol=self.protocol,
            peer=self.peer,
            since=datetime.fromtimestamp(self.since, UTC),
            cookie=self.cookie,
            controller_cookie=self.controller_cookie,
        )


class LiveSessions:
    """All running relays, by the id of their session."""

    def __init__(self, certificate_expires: Callable[[], datetime | None] = lambda: None) -> None:
        """Nobody is connected, nothing has been counted. Each count asks when the gateway's certificate expires."""
        self._certificate_expires = certificate_expires
        self._by_id: dict[str, LiveSession] = {}
        self._by_relay: dict[Relay, LiveSession] = {}
        self._nobody = asyncio.Event()
        self._nobody.set()
        self.drops = Drops()
        self._durations: Counter[tuple[str, str]] = Counter()
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

    async def all_over(self) -> None:
        """Returns when none is left."""
        await self._nobody.wait()

    @property
    def ended(self) -> int:
        """How many are over."""
        return self._disconnects.total()

    def opened(self, live: LiveSession, seconds: float) -> None:
        """Counts a session in, and its handshake as succeeded, which has taken so long."""
        self._by_id[live.id] = self._by_relay[live.relay] = live
        self._nobody.clear()
        self._handshakes[live.protocol, "succeeded", ""] += 1
        self._durations[live.protocol, bucket_of(seconds)] += 1
        self._durations[live.protocol, MILLISECONDS] += round(seconds * 1000)

    def closed(self, relay: Relay) -> LiveSession:
        """Counts the session of a relay out."""
        live = self._by_relay.pop(relay)
        del self._by_id[live.id]
        if not self._by_id:
            self._nobody.set()
        self._disconnects[live.protocol, relay.why] += 1
        self._received[live.protocol] += relay.received_bytes
        self._sent[live.protocol] += relay.sent_bytes
        return live

    def refused(self, protocol: str, reason: Reason) -> None:
        """Counts a handshake that failed."""
        self._handshakes[protocol, "failed", reason.value] += 1

    def counts(self) -> GatewayCounts:
        """The counts up to now, running relays included."""
        connections: Counter[str] = Counter({"websocket": 0, "jnlp4": 0})
        received, sent = self._received.copy(), self._sent.copy()
        for live in self:
            connections[live.protocol] += 1
            received[live.protocol] += live.relay.received_bytes
            sent[live.protocol] += live.relay.sent_bytes
        return GatewayCounts(
            connections=connections,
            handshakes=self._handshakes.copy(),
            disconnects=self._disconnects.copy(),
            received_bytes=received,
            sent_bytes=sent,
            durations=self._durations.copy(),
            dropped=self.drops.counts.copy(),
            certificate_expires=self._certificate_expires(),
        )
