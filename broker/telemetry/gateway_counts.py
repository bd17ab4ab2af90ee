"""What the gateways counted, as metrics: names and help here, numbers from the control link."""

from collections import Counter as Counts
from collections.abc import Iterator, Mapping
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from broker.telemetry import labels
from broker.telemetry.labels import one_of
from broker.telemetry.readings import MILLISECONDS, GatewayCounts, cumulated


class GatewayCollector(Collector):
    """Shows what the gateways counted; nothing until they were heard, the last known while they are not."""

    def __init__(self) -> None:
        self.counts: GatewayCounts | None = None

    def collect(self) -> Iterator[Metric]:
        if (now := self.counts) is None:
            return
        end, why = (labels.HANDSHAKE_OUTCOMES, labels.REASONS), labels.DISCONNECT_REASONS
        text = "Agent connections now open: websocket or jnlp4."
        yield _shown(GaugeMetricFamily("agentbroker_gateway_connections", text, labels=["protocol"]), now.connections)
        text, names = "Handshakes with agents.", ["protocol", "outcome", "reason"]
        yield _shown(CounterMetricFamily("agentbroker_gateway_handshakes", text, labels=names), now.handshakes, *end)
        yield _durations(now.durations)
        dropped = CounterMetricFamily(
            "agentbroker_gateway_connections_dropped", "Connections dropped without a word.", labels=["reason"]
        )
        for reason in sorted(labels.DROP_REASONS):
            dropped.add_metric([reason], now.dropped.get(reason, 0))
        yield dropped
        text, names = "Connections that ended, by who or what ended them.", ["protocol", "reason"]
        yield _shown(CounterMetricFamily("agentbroker_gateway_disconnects", text, labels=names), now.disconnects, why)
        name, text = "agentbroker_gateway_received_bytes", "Bytes from agents."
        yield _shown(CounterMetricFamily(name, text, labels=["protocol"]), now.received_bytes)
        name, text = "agentbroker_gateway_sent_bytes", "Bytes to agents."
        yield _shown(CounterMetricFamily(name, text, labels=["protocol"]), now.sent_bytes)
        if now.certificate_expires is not None:
            name, text = (
                "agentbroker_gateway_certificate_expiry_timestamp_seconds",
                "When the certificate in use expires.",
            )
            yield GaugeMetricFamily(name, text, value=now.certificate_expires.timestamp())


def _durations(durations: Mapping[tuple[str, str], int]) -> Metric:
    family = HistogramMetricFamily(
        "agentbroker_gateway_handshake_duration_seconds",
        "Time of a handshake that succeeded, from accept on.",
        labels=["protocol"],
    )
    for protocol in sorted(labels.PROTOCOLS):
        if (protocol, MILLISECONDS) in durations:
            family.add_metric(
                [protocol], list(cumulated(durations, protocol)), durations[protocol, MILLISECONDS] / 1000
            )
    return family


def _shown(
    family: GaugeMetricFamily | CounterMetricFamily, numbers: Mapping[Any, int], *closed: frozenset[str]
) -> Metric:
    """The numbers as samples. A key is a protocol, or begins with one; `closed` bounds what follows it."""
    sums: Counts[tuple[str, ...]] = Counts()
    for key, number in numbers.items():
        values = (key,) if isinstance(key, str) else key
        sums[tuple(map(one_of, (labels.PROTOCOLS, *closed), values))] += number
    for bounded, number in sums.items():
        family.add_metric(bounded, number)
    return family
