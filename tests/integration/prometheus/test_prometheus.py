"""A real Prometheus reads the metrics, and every panel of the board answers with data."""

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from broker.clock import SystemClock
from broker.domain.lifecycle import Outcome, Phase
from broker.domain.offer import Offer
from broker.domain.placement import Placement, Rejection
from broker.domain.reason import Reason
from broker.telemetry.metrics import Metrics
from broker.telemetry.readings import AgentCount, GatewayCounts, Readings
from broker.testing import factories
from broker.web.app import Check, create_app, serving
from tests.integration.prometheus.server import COMMITTED, config_for, prometheus_version, running

pytestmark = pytest.mark.component("prometheus")

BOARD: Final[dict[str, Any]] = json.loads((COMMITTED.parents[1] / "grafana" / "agentbroker-overview.json").read_text())
VARIABLES: Final = {"$__rate_interval": "10s", "$job": ".+", "$instance": ".+", "$controller": ".+", "$policy": ".+"}


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


@asynccontextmanager
async def busy_exporter(metrics: Metrics) -> AsyncIterator[int]:
    """The broker's web pages while agents come and go; gives the port."""
    since = SystemClock().now()

    async def ready() -> Sequence[Check]:
        return [Check(name="store", ok=True)]

    async def read() -> Readings:
        waiting = AgentCount(
            controller=factories.CONTROLLER,
            policy=factories.POLICY,
            pool=None,
            phase=Phase.REQUESTED,
            agents=2,
            waiting_since=since,
        )
        return Readings(agents=(waiting,), gateway=GatewayCounts(connections={"websocket": 3}))

    async def work() -> None:
        n = 0
        while True:
            n += 1
            one_agent_starts_and_one_fails(metrics, n)
            await asyncio.sleep(0.2)

    async with serving(create_app(metrics, ready, read)) as port, asyncio.TaskGroup() as group:
        working = group.create_task(work(), name="fleet")
        try:
            yield port
        finally:
            working.cancel()


def queries() -> list[str]:
    expressions = [target["expr"] for panel in BOARD["panels"] for target in panel["targets"]]
    for name, value in VARIABLES.items():
        expressions = [expression.replace(name, value) for expression in expressions]
    return expressions


async def test_every_query_of_the_board_answers_with_data(metrics: Metrics, tmp_path: Path) -> None:
    async with busy_exporter(metrics) as port, running(config_for(f"127.0.0.1:{port}"), tmp_path) as prometheus:
        answers = {expression: await prometheus.answers(expression) for expression in queries()}
        up = await prometheus.query('up{job="agentbroker"}')
    assert len(answers) == 7
    assert all(answers.values())
    assert list(up.values()) == [1.0]


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
