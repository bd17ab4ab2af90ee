"""Prices, budgets and what builds ask for themselves, from the text of the file to the launch."""

from datetime import timedelta
from pathlib import Path

import pytest

from broker.domain.ids import AgentName
from broker.domain.reason import Reason
from tests.unit.policies.written import written

# an agent costs 1 unit of the base an hour; nobody knows yet how long they live, so ten minutes of it are set aside
PRICED = """
currencies: { base: USD, CNY: 0.125 }
templates: { default: { cpu: 2, memory: 4Gi } }
pools:
  a: { backend: process, cost: { cpu_hour: 0.3, memory_gib_hour: 0.1 } }
policies:
  linux:
    labels: [linux]
    pools: [a]
"""


@pytest.mark.parametrize("budget", ["amount: 0.5", "amount: 4, currency: CNY", "amount: 0.5, per: week"])
async def test_a_budget_lets_as_many_begin_as_it_pays_for(budget: str, tmp_path: Path) -> None:
    async with written(tmp_path, f"{PRICED}    budget: {{ {budget} }}\n") as broker:
        assert await broker.pools(4) == ["a", "a", "a", "BudgetExceeded"]


async def test_a_price_may_be_in_another_currency(tmp_path: Path) -> None:
    text = (
        PRICED.replace("memory_gib_hour: 0.1", "memory_gib_hour: 0.1, currency: CNY") + "    budget: { amount: 0.1 }\n"
    )
    async with written(tmp_path, text) as broker:
        assert (await broker.pools(5)).count("a") == 4  # an eighth of 1 an hour


async def test_a_budget_that_warns_stops_nobody(tmp_path: Path) -> None:
    async with written(tmp_path, f"{PRICED}    budget: {{ amount: 0.1, on_exceeded: warn }}\n") as broker:
        assert await broker.pools(3) == ["a", "a", "a"]


async def test_what_is_spent_stays_spent_until_the_next_day(tmp_path: Path) -> None:
    text = f"{PRICED}    timeouts: {{ connect: 2h }}\n    budget: {{ amount: 0.2, per: day }}\n"
    async with written(tmp_path, text) as broker:
        assert await broker.pools(2) == ["a", "BudgetExceeded"]
        await broker.wait(900, step_s=30)  # a quarter of an hour for 0.25
        await broker.end("linux-1")
        await broker.wait(30, step_s=10)
        assert (await broker.now("linux-2")).why is Reason.BUDGET_EXCEEDED
        broker.core.clock.jump(timedelta(days=1))
        await broker.wait(60, step_s=10)
        assert (await broker.now("linux-2")).pool == "a"


RULES = """    overrides:
      allow: [image, cpu, memory]
      images: ["registry.example.com/acme/*"]
      max_cpu: 4
      max_memory: 8Gi
"""


async def test_a_build_gets_what_it_asks_for_where_its_policy_allows_it(tmp_path: Path) -> None:
    async with written(tmp_path, PRICED + RULES) as broker:
        label = "linux && cpu=4 && memory=6Gi && image=registry.example.com/acme/jdk:21"
        await broker.ask(label=label)
        made = broker.core.backend.ledger.spec_of(AgentName("linux-1")).template
        assert (made.resources.cpu_milli, made.resources.memory_mib) == (4000, 6 * 1024)
        assert made.image == "registry.example.com/acme/jdk:21"


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ("cpu=5", "overrides.cpu: 5 is over max_cpu 4"),
        ("memory=9Gi", "overrides.memory: 9Gi is over max_memory 8Gi"),
        ("image=docker.io/evil:1", "overrides.image: docker.io/evil:1 is none of the images"),
        ("image=registry.example.com/acme/../evil:1", "overrides.image"),
    ],
)
async def test_what_is_not_allowed_is_refused_with_the_name_of_its_field(
    asked: str, field: str, tmp_path: Path
) -> None:
    async with written(tmp_path, PRICED + RULES) as broker:
        [answer] = await broker.answers(["linux-1"], label=f"linux && {asked}")
        assert answer.reason is Reason.OVERRIDE_FORBIDDEN
        assert field in answer.message


async def test_what_a_policy_does_not_name_no_build_may_choose(tmp_path: Path) -> None:
    async with written(tmp_path, PRICED + "    overrides: { allow: [cpu] }\n") as broker:
        [answer] = await broker.answers(["linux-1"], label="linux && memory=1Gi")
        assert answer.reason is Reason.OVERRIDE_FORBIDDEN
        assert "overrides.memory" in answer.message
        [agent] = await broker.ask(label="linux && cpu=8")
        assert agent.pool == "a"
