"""Which calls of a backend are counted."""

from collections.abc import Sequence

import pytest

from broker.backends.metered import MeteredBackend
from broker.domain.ids import InstanceRef
from broker.telemetry.metrics import Metrics
from broker.testing import factories
from broker.testing.backend import FakeBackend
from broker.testing.clock import ManualClock

REFS: Sequence[InstanceRef] = ()


def calls(metrics: Metrics, operation: str) -> float | None:
    where = {"backend": factories.BACKEND, "operation": operation, "code": "ok"}
    return metrics.registry.get_sample_value("agentbroker_backend_requests_total", where)


@pytest.fixture
def metrics() -> Metrics:
    metrics = Metrics(ManualClock())
    metrics.define(factories.make_definitions())
    return metrics


async def test_a_call_of_a_backend_is_counted_with_its_end(metrics: Metrics) -> None:
    await MeteredBackend(factories.BACKEND, FakeBackend(), metrics).describe(REFS)
    assert calls(metrics, "describe") == 1


async def test_a_backend_that_tells_the_calls_of_its_cloud_is_counted_by_those_alone(metrics: Metrics) -> None:
    await MeteredBackend(factories.BACKEND, FakeBackend(), metrics, tells=True).describe(REFS)
    metrics.backend_called(factories.BACKEND, "ecs:DescribeTasks", "ok", 0.1)
    assert (calls(metrics, "describe"), calls(metrics, "ecs:DescribeTasks")) == (None, 1)
