"""What a gateway that is a unit of its own answers to whoever watches over it."""

from collections.abc import Callable
from dataclasses import dataclass

from broker.gateway.settings import Limits
from broker.inbound.descriptor import Descriptor
from broker.inbound.exchange import reply
from broker.inbound.http import RequestHead, text_reply
from broker.telemetry.readings import MILLISECONDS, GatewayCounts, cumulated

_NONE_ACCEPTS = "no agent is let in any more: sessions go on until they end\n"
_AWAY = "the control plane is away: sessions go on, nobody new gets in\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """How a gateway stands, over all its processes."""

    up: bool
    """Whether somebody new can be let in, wherever the connection lands."""
    counts: GatewayCounts
    accepting: int = 1
    """Processes that accept agents."""
    draining: int = 0
    """Sessions in processes that only keep what they have."""


class HealthPages:
    """/healthz, /readyz and /metrics."""

    def __init__(self, limits: Limits, health: Callable[[], Health]) -> None:
        """Asks at each request."""
        self._limits = limits
        self._health = health

    async def serve(self, connection: Descriptor, request: RequestHead) -> bool:
        """Answers one request."""
        await reply(connection, self._page(request.target.split("?")[0]), self._limits.reply_s)
        return False

    def _page(self, path: str) -> bytes:
        match path:
            case "/healthz":
                return text_reply(200, "ok\n")
            case "/readyz":
                return self._ready(self._health())
            case "/metrics":
                text = _metrics(self._health())
                return text_reply(200, text, media_type="text/plain; version=0.0.4; charset=utf-8")
            case _:
                return text_reply(404, "there are /healthz, /readyz and /metrics here\n")

    def _ready(self, health: Health) -> bytes:
        if health.up and health.accepting:
            return text_reply(200, "ok\n")
        return text_reply(503, _AWAY if health.accepting else _NONE_ACCEPTS)


def _metrics(health: Health) -> str:
    counts = health.counts
    rows = [f'gateway_connections{{protocol="{p}"}} {n}' for p, n in counts.connections.items()]
    for (protocol, outcome, reason), n in counts.handshakes.items():
        labels = f'protocol="{protocol}",outcome="{outcome}",reason="{reason}"'
        rows.append(f"gateway_handshakes_total{{{labels}}} {n}")
    for protocol in sorted({protocol for protocol, _ in counts.durations}):
        buckets, name = tuple(cumulated(counts.durations, protocol)), "gateway_handshake_duration_seconds"
        rows += [f'{name}_bucket{{protocol="{protocol}",le="{le}"}} {n}' for le, n in buckets]
        rows.append(f'{name}_sum{{protocol="{protocol}"}} {counts.durations[protocol, MILLISECONDS] / 1000}')
        rows.append(f'{name}_count{{protocol="{protocol}"}} {buckets[-1][1]}')
    rows += [f'gateway_connections_dropped_total{{reason="{reason}"}} {n}' for reason, n in counts.dropped.items()]
    for (protocol, reason), n in counts.disconnects.items():
        rows.append(f'gateway_disconnects_total{{protocol="{protocol}",reason="{reason}"}} {n}')
    rows += [f'gateway_received_bytes_total{{protocol="{p}"}} {n}' for p, n in counts.received_bytes.items()]
    rows += [f'gateway_sent_bytes_total{{protocol="{p}"}} {n}' for p, n in counts.sent_bytes.items()]
    rows.append(f"gateway_control_link_up {int(health.up)}")
    rows.append(f"gateway_accepting_processes {health.accepting}")
    rows.append(f"gateway_draining_connections {health.draining}")
    if counts.certificate_expires is not None:
        rows.append(f"gateway_certificate_expiry_timestamp_seconds {counts.certificate_expires.timestamp():.0f}")
    return "".join(f"agentbroker_{row}\n" for row in rows)
