"""What the file says of money is what happens: prices, currencies, and the budgets of policies."""

from pathlib import Path

import pytest

from broker.config.load import parse
from broker.domain.definitions import Definitions
from broker.domain.reason import Reason
from broker.testing.clock import ManualClock
from broker.testing.factories import POLICY, POOL
from tests.core import open_core
from tests.unit.money.world import NOON, TODAY, metric, spent, taken

FILE = """
version: 1
currencies: { base: USD, CNY: 0.14 }
controllers: { main: { url: "http://127.0.0.1:8080/", token_sha256: "%s" } }
backends: { fake: { type: process } }
templates: { base: { cpu: 2, memory: 4Gi } }
pools:
  it: { backend: fake, cost: { cpu_hour: 1.8, memory_gib_hour: 0.9, currency: USD } }
  other: { backend: fake, cost: { cpu_hour: 10, currency: CNY } }
policies:
  linux: { labels: [linux], template: base, pools: [%s], budget: { amount: %s, currency: %s, per: day } }
"""


def of(amount: float = 100, pool: str = "it", currency: str = "USD") -> Definitions:
    return parse(FILE % ("0" * 64, pool, amount, currency), env={}, starting=True).definitions


async def test_price_and_size_make_the_cost_of_an_agent(tmp_path: Path) -> None:
    async with open_core(tmp_path / "broker.db", of(), clock=ManualClock(NOON)) as core:
        agent = await core.start()
        assert agent.rate == 2 * 1_800_000 + 4 * 900_000
        await core.advance(60)
        assert await spent(core) == {TODAY: 7_200_000 // 60}
        assert metric(core, "estimated_cost_total", policy=POLICY, pool=POOL, currency="USD") == pytest.approx(0.12)


async def test_another_currency_counts_in_the_base_one(tmp_path: Path) -> None:
    async with open_core(tmp_path / "broker.db", of(pool="other"), clock=ManualClock(NOON)) as core:
        agent = await core.start()
        assert agent.rate == 2 * 1_400_000
        await core.advance(60)
        assert metric(core, "estimated_cost_total", policy=POLICY, pool="other", currency="USD") == pytest.approx(
            2.8 / 60, abs=1e-6
        )


async def test_a_budget_is_kept_and_named_as_it_is_written(tmp_path: Path) -> None:
    async with open_core(tmp_path / "broker.db", of(10, currency="CNY"), clock=ManualClock(NOON)) as core:
        await core.sync()
        await core.ask("linux-1", "linux-2")
        await core.settle()
        assert await taken(core) == 1_200_000
        [refused] = [a for a in await core.ctx.agents.live() if a.why is Reason.BUDGET_EXCEEDED]
        assert "the day's 10 CNY are spent or set aside; resumes at 00:00 UTC" in refused.message
