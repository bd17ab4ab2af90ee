"""A policy with a price and a budget over the fake backend."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from prometheus_client.parser import text_string_to_metric_families

from broker.domain.definitions import Definitions
from broker.domain.ids import PoolName
from broker.domain.limits import Scope
from broker.domain.money import Budget, Micros, Price
from broker.domain.policy import Policy
from broker.domain.template import Retention
from broker.store.spending import Spending
from broker.testing.factories import POLICY, POOL, make_definitions, make_policy, make_pool, make_template
from tests.core import Core
from tests.unit.store.world import used

NOON: Final = datetime(2026, 11, 23, 12, tzinfo=UTC)
HOUR: Final = timedelta(hours=1)
MONTH: Final = timedelta(days=30)
HOURLY: Final = 3_600_000
"""Of one agent, in millionths: 1000 a second."""
TEN_MINUTES: Final = HOURLY // 6
"""What is set aside for an agent while nothing is known of lives."""
TODAY: Final = "2026-11-23"
TOMORROW: Final = "2026-11-24"


def priced(name: str = POOL, hourly: int = HOURLY) -> Any:
    return make_pool(name=PoolName(name), cost=Price(cpu_hour=Micros(hourly)))


def with_budget(amount: int = 10 * TEN_MINUTES, **keys: Any) -> Policy:
    return make_policy(budget=Budget(amount=Micros(amount), as_written="6 USD", **keys))


def money_definitions(policy: Policy | None = None, **changes: Any) -> Definitions:
    """One vCPU an agent, which may be used and live without end."""
    lasting = make_template(retention=Retention(idle_timeout=MONTH, max_lifetime=MONTH))
    parts: dict[str, Any] = {"pools": [priced()], "policies": [policy or make_policy()], "templates": [lasting]}
    return make_definitions(**{**parts, "currency": "USD", **changes})


async def spent(core: Core) -> dict[str, int]:
    """Day → millionths, of all policies and pools."""
    days: dict[str, int] = {}
    for (_, _, day), micros in (await Spending(core.ctx.database).sums("")).items():
        days[day] = days.get(day, 0) + micros
    return days


async def taken(core: Core, day: str = TODAY) -> int:
    """What of a day's budget is spent or set aside."""
    return (await used(core.ctx.database)).get((Scope.POLICY_BUDGET, f"{POLICY}|{day}"), 0)


def metric(core: Core, name: str, **labels: str) -> float | None:
    """The value of one series; None if there is none."""
    text, _ = core.ctx.metrics.exposition()
    for family in text_string_to_metric_families(text.decode()):
        for sample in family.samples:
            if sample.name == f"agentbroker_{name}" and labels.items() <= sample.labels.items():
                return sample.value
    return None
