"""What promtool says of the metrics and of the scrape file."""

import subprocess
from collections.abc import Callable
from dataclasses import replace

import pytest

from broker.clock import SystemClock
from broker.domain.lifecycle import Outcome, Phase
from broker.domain.offer import Offer
from broker.domain.placement import Placement, Rejection
from broker.domain.reason import Reason
from broker.telemetry.metrics import Metrics
from broker.telemetry.readings import GatewayCounts, Readings
from broker.testing import factories
from tests.integration.prometheus.server import COMMITTED, prometheus_version

pytestmark = pytest.mark.component("prometheus")


@pytest.fixture(scope="module", autouse=True)
def _version(record_component: Callable[[str, str], None]) -> None:
    record_component("prometheus", prometheus_version())


@pytest.fixture
def metrics() -> Metrics:
    metrics = Metrics(SystemClock())
    metrics.define(factories.make_definitions())
    return metrics


def one_agent_starts_and_one_fails(metrics: Metrics, n: int) -> None:
    """What the broker tells of two agents from their request to their end."""
    now = SystemClock().now()
    requested = factories.make_agent(n, requested_at=now, phase_since=now, pool=factories.POOL)
    online = replace(requested, phase=Phase.ONLINE, online_at=now)
    no = Rejection(pool=factories.POOL, reason=Reason.POOL_AT_LIMIT, message="1 of 1")
    metrics.agent_requested(requested.controller, requested.policy)
    metrics.placement_decided(requested.policy, Placement(offer=Offer(pool=factories.POOL), rejections=(no,)))
    metrics.launch_finished(factories.POOL, "succeeded")
    metrics.backend_called(factories.BACKEND, "launch", "ok", 0.2)
    metrics.agent_changed_phase(replace(requested, phase=Phase.CONNECTING), online, now)
    gone = replace(online, phase=Phase.GONE, outcome=Outcome.SUCCEEDED, why=Reason.COMPLETED)
    metrics.agent_changed_phase(replace(online, phase=Phase.TERMINATING), gone, now)
    failed = replace(requested, phase=Phase.GONE, outcome=Outcome.FAILED, why=Reason.CONNECT_TIMEOUT)
    metrics.agent_changed_phase(requested, failed, now)
    metrics.rpc_finished("main", "SyncNodes", "OK", 0.003)
    metrics.rpc_finished("", "SyncNodes", "UNAUTHENTICATED", 0.001)
    metrics.state_written(0.002)
    metrics.event_loop_was_late(0.0005)


async def test_every_metric_is_as_prometheus_wants_it(metrics: Metrics) -> None:
    one_agent_starts_and_one_fails(metrics, 1)
    metrics.read(Readings(gateway=GatewayCounts(connections={"websocket": 1}, received_bytes={"websocket": 1})))
    body, _ = metrics.exposition()
    checked = subprocess.run(["promtool", "check", "metrics"], input=body, capture_output=True, check=False, timeout=30)
    assert (checked.returncode, checked.stderr, checked.stdout) == (0, b"", b"")


def test_the_scrape_file_is_a_prometheus_config() -> None:
    command = ["promtool", "check", "config", str(COMMITTED)]
    checked = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert checked.returncode == 0, checked.stdout + checked.stderr
