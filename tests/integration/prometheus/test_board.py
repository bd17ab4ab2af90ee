"""A real Prometheus scrapes the running broker while builds get their agents: every panel of the board has data."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from tests.e2e.world import QUICK, World
from tests.integration.prometheus.server import COMMITTED, config_for, prometheus_version, running

BOARD: Final[dict[str, Any]] = json.loads((COMMITTED.parents[1] / "grafana" / "agentbroker-overview.json").read_text())
VARIABLES: Final = {"$__rate_interval": "10s", "$job": ".+", "$instance": ".+", "$controller": ".+", "$policy": ".+"}


@asynccontextmanager
async def broker_at_work(root: Path) -> AsyncIterator[int]:
    """Broker, gateway, simulated controller and agents, with a new build every second; gives the port of /metrics."""
    world = World(root)

    async def queue_builds() -> None:
        while True:
            await asyncio.to_thread(world.controller.queue, 1, label=QUICK, seconds=0.2)
            await asyncio.sleep(1)

    try:
        await asyncio.to_thread(world.start)
        async with asyncio.TaskGroup() as group:
            queueing = group.create_task(queue_builds(), name="builds")
            try:
                yield world.stack.ports.http
            finally:
                queueing.cancel()
    finally:
        await asyncio.to_thread(world.stop)


def queries() -> list[str]:
    """What Grafana would send for the board."""
    expressions = [target["expr"] for panel in BOARD["panels"] for target in panel["targets"]]
    for name, value in VARIABLES.items():
        expressions = [expression.replace(name, value) for expression in expressions]
    return expressions


@pytest.mark.component("prometheus")
@pytest.mark.timeout(240)
async def test_every_query_of_the_board_answers_with_data(
    tmp_path: Path, record_component: Callable[[str, str], None]
) -> None:
    record_component("prometheus", prometheus_version())
    root = tmp_path / "broker"
    async with broker_at_work(root) as port, running(config_for(f"127.0.0.1:{port}"), tmp_path) as prometheus:
        answers = {expression: await prometheus.answers(expression) for expression in queries()}
        up = await prometheus.query('up{job="agentbroker"}')
    assert len(answers) == 7
    assert all(answers.values())
    assert list(up.values()) == [1.0]
