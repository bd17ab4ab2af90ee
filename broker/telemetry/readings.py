"""What is read anew at each scrape: plain values that others count and `broker.telemetry.metrics` shows."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from broker.domain.agent import Agent
from broker.domain.ids import ControllerName, PolicyName, PoolName
from broker.domain.lifecycle import Goal, Phase


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
    certificate_expires: datetime | None = None
    """When the certificate that agents see expires; of several gateways, the first. None where no TLS is spoken."""


def total(counts: Iterable[GatewayCounts]) -> GatewayCounts:
    """The sum over several gateways; of none, no counts at all."""
    counts = tuple(counts)
    connections: Counter[str] = Counter()
    handshakes: Counter[tuple[str, str, str]] = Counter()
    disconnects: Counter[tuple[str, str]] = Counter()
    received: Counter[str] = Counter()
    sent: Counter[str] = Counter()
    for one in counts:
        connections.update(one.connections)
        handshakes.update(one.handshakes)
        disconnects.update(one.disconnects)
        received.update(one.received_bytes)
        sent.update(one.sent_bytes)
    expiries = [one.certificate_expires for one in counts if one.certificate_expires is not None]
    return GatewayCounts(
        connections=connections,
        handshakes=handshakes,
        disconnects=disconnects,
        received_bytes=received,
        sent_bytes=sent,
        certificate_expires=min(expiries, default=None),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Readings:
    """All that a scrape reads of the running broker. A pool that is not named is ready; no gateway, no counts."""

    agents: tuple[AgentCount, ...] = ()
    pools: Mapping[PoolName, PoolState] = field(default_factory=dict)
    warm: Mapping[PolicyName, tuple[int, int]] = field(default_factory=dict)
    """Policy → idle agents that are kept ready, and how many are to be."""
    gateway: GatewayCounts | None = None
    certificates: Mapping[str, datetime] = field(default_factory=dict)
    """When the certificate of a listener expires, by its key in the config, such as `server.grpc.tls`."""
