"""What is read anew at each scrape: plain values that others count and `broker.telemetry.metrics` shows."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from broker.domain.agent import Agent
from broker.domain.host import Host
from broker.domain.ids import ControllerName, HostId, PolicyName, PoolName
from broker.domain.lifecycle import Goal, Phase
from broker.domain.resources import Resources


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentCount:
    """How many agents of a controller, policy and pool are in one phase now. `pool` is None before placement.

    `waiting_since` is when the oldest of them was asked for that has never been online and still should be; None if
    there is none.
    """

    controller: ControllerName
    policy: PolicyName
    pool: PoolName | None
    phase: Phase
    agents: int
    busy: int = 0
    waiting_since: datetime | None = None


def count_agents(agents: Iterable[Agent]) -> tuple[AgentCount, ...]:
    """The counts of all agents that are not gone."""
    groups: dict[tuple[ControllerName, PolicyName, PoolName | None, Phase], list[Agent]] = {}
    for agent in agents:
        if agent.phase is not Phase.GONE:
            groups.setdefault((agent.controller, agent.policy, agent.pool, agent.phase), []).append(agent)
    return tuple(_count(members) for members in groups.values())


def _count(members: list[Agent]) -> AgentCount:
    like = members[0]
    waiting = [a.requested_at for a in members if not a.was_online and a.goal is Goal.ONLINE]
    return AgentCount(
        controller=like.controller,
        policy=like.policy,
        pool=like.pool,
        phase=like.phase,
        agents=len(members),
        busy=sum(a.busy for a in members),
        waiting_since=min(waiting, default=None),
    )


class PoolState(StrEnum):
    """Whether placement may use a pool now."""

    READY = "ready"
    PAUSED = "paused"
    COOLDOWN = "cooldown"
    DRAINING = "draining"


HANDSHAKE_BUCKETS: Final = ("0.01", "0.05", "0.1", "0.25", "0.5", "1.0", "2.5", "5.0", "10.0")
"""Seconds; what takes longer is in `+Inf`."""
MILLISECONDS: Final = "ms"


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayCounts:
    """What gateways have counted. `connections` is what is open now; all else only grows while a gateway lives.

    Keys: protocol is `websocket` or `jnlp4`; a handshake's outcome is `succeeded` or `failed`, its reason a value of
    `broker.domain.reason.Reason`, empty for a success; a disconnect's reason is who or what ended the connection:
    `agent`, `controller`, `ping_timeout`, `shutdown` or `error`. Bytes are of the agents' side: received from agents,
    sent to agents.
    """

    connections: Mapping[str, int] = field(default_factory=dict)
    """protocol → number"""
    handshakes: Mapping[tuple[str, str, str], int] = field(default_factory=dict)
    """(protocol, outcome, reason) → number"""
    disconnects: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """(protocol, reason) → number"""
    received_bytes: Mapping[str, int] = field(default_factory=dict)
    """protocol → bytes"""
    sent_bytes: Mapping[str, int] = field(default_factory=dict)
    """protocol → bytes"""
    durations: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """(protocol, bucket) → handshakes that succeeded within it and no lower one; (protocol, `MILLISECONDS`) → their
    time together. From accept on, with the time in which the control plane held them."""
    dropped: Mapping[str, int] = field(default_factory=dict)
    """why → connections that were dropped before anything was said to them: `not_allowed`, `driven_out`, `full`."""
    certificate_expires: datetime | None = None
    """When the certificate that agents see expires; of several gateways, the first. None where no TLS is spoken."""

    def ended(self) -> "GatewayCounts":
        """What stays of the counts of a gateway that is no more: what only grows."""
        return replace(self, connections={}, certificate_expires=None)


def bucket_of(seconds: float) -> str:
    """The lowest bucket of the histogram of handshakes that holds a time."""
    return next((bucket for bucket in HANDSHAKE_BUCKETS if seconds <= float(bucket)), "+Inf")


def cumulated(durations: Mapping[tuple[str, str], int], protocol: str) -> Iterator[tuple[str, int]]:
    """The buckets of a protocol as Prometheus has them: each with what is in those below it."""
    so_far = 0
    for bucket in (*HANDSHAKE_BUCKETS, "+Inf"):
        so_far += durations.get((protocol, bucket), 0)
        yield bucket, so_far


def total(counts: Iterable[GatewayCounts]) -> GatewayCounts:
    """The sum over several gateways; of none, no counts at all."""
    counts = tuple(counts)
    connections: Counter[str] = Counter()
    handshakes: Counter[tuple[str, str, str]] = Counter()
    disconnects: Counter[tuple[str, str]] = Counter()
    received: Counter[str] = Counter()
    sent: Counter[str] = Counter()
    durations: Counter[tuple[str, str]] = Counter()
    dropped: Counter[str] = Counter()
    for one in counts:
        connections.update(one.connections)
        handshakes.update(one.handshakes)
        disconnects.update(one.disconnects)
        received.update(one.received_bytes)
        sent.update(one.sent_bytes)
        durations.update(one.durations)
        dropped.update(one.dropped)
    expiries = [one.certificate_expires for one in counts if one.certificate_expires is not None]
    return GatewayCounts(
        connections=connections,
        handshakes=handshakes,
        disconnects=disconnects,
        received_bytes=received,
        sent_bytes=sent,
        durations=durations,
        dropped=dropped,
        certificate_expires=min(expiries, default=None),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Readings:
    """All that a scrape reads of the running broker. A pool that is not named is ready; no gateway, no counts."""

    agents: tuple[AgentCount, ...] = ()
    pools: Mapping[PoolName, PoolState] = field(default_factory=dict)
    warm: Mapping[PolicyName, tuple[int, int]] = field(default_factory=dict)
    """Policy → idle agents that are kept ready, and how many are to be."""
    taken: Mapping[PoolName, Resources] = field(default_factory=dict)
    """What the agents of a pool take of its limits; one whose template names no size takes nothing."""
    host_pools: tuple[PoolName, ...] = ()
    """The pools whose agents are on hosts of ours."""
    hosts: tuple[Host, ...] = ()
    """Those that are not gone."""
    agents_on: Mapping[HostId, int] = field(default_factory=dict)
    gateway: GatewayCounts | None = None
    certificates: Mapping[str, datetime] = field(default_factory=dict)
    """When the certificate of a listener expires, by its key in the config, such as `server.grpc.tls`."""
