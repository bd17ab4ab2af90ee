"""Hosts that are paid by the hour: what an agent on one costs, from the text of the file to where it goes."""

from pathlib import Path

import pytest

from broker.domain.ids import PoolName
from broker.domain.offer import Offer
from broker.domain.resources import Resources
from broker.testing.places import FakeHost
from tests.unit.policies.written import Written, written

# a host costs 2 USD an hour and has room for four agents: one costs 0.5 of it, or 0.9 in the other pool
TEXT = """
currencies: { base: USD, CNY: 0.125 }
backends: { aws: { type: aws-ecs, region: eu-west-1 } }
templates: { default: { image: agent, cpu: 2, memory: 4Gi } }
pools:
  alone: { backend: process, cost: { cpu_hour: 0.45 } }
  hosts: { backend: aws, launch_type: EC2, cost: { host_hour: 16, currency: CNY } }
policies:
  linux:
    labels: [linux]
    strategy: cheapest
    pools: [alone, hosts]
"""
SIZE = Resources(cpu_milli=8000, memory_mib=64 * 1024)
HOSTS = PoolName("hosts")


def host(slots: int | None = None) -> FakeHost:
    return FakeHost(id="one", pool=HOSTS, size=SIZE, slots=slots)


async def rates(broker: Written, number: int) -> list[int | None]:
    return [agent.rate for agent in await broker.ask(number)]


async def test_an_agent_on_a_host_bears_its_part_of_the_price_and_goes_where_that_is_least(tmp_path: Path) -> None:
    async with written(tmp_path, TEXT, [host()]) as broker:
        assert await broker.pools(5) == [*["hosts"] * 4, "alone"]
        assert [(await broker.now(f"linux-{n}")).rate for n in range(1, 6)] == [*[500_000] * 4, 900_000]


async def test_an_agent_that_joins_others_on_a_host_bears_no_more_than_they_do(tmp_path: Path) -> None:
    async with written(tmp_path, TEXT, [host(slots=4)]) as broker:
        for _ in range(4):
            assert await rates(broker, 1) == [500_000]
            await broker.wait(2)  # the backend tells what is left


@pytest.mark.parametrize(("slots", "rate"), [(None, 500_000), (3, 666_667)])
async def test_a_host_that_is_made_is_paid_for_by_those_on_it(slots: int | None, rate: int, tmp_path: Path) -> None:
    async with written(tmp_path, TEXT) as broker:
        broker.core.backend.places.offers = [Offer(pool=HOSTS, shape=SIZE, slots=slots, room=1)]
        assert await rates(broker, 3) == [rate] * 3


async def test_a_host_that_costs_more_than_the_agent_alone_is_left(tmp_path: Path) -> None:
    async with written(tmp_path, TEXT.replace("host_hour: 16", "host_hour: 30"), [host()]) as broker:
        assert await broker.pools(2) == ["alone", "alone"]


async def test_a_budget_pays_for_parts_of_hosts(tmp_path: Path) -> None:
    budget = "    budget: { amount: 0.26 }\n"  # ten minutes of each are set aside: 0.0834
    async with written(tmp_path, TEXT + budget, [host()]) as broker:
        assert await broker.pools(4) == ["hosts", "hosts", "hosts", "BudgetExceeded"]


async def test_what_agents_on_hosts_have_cost_is_counted(tmp_path: Path) -> None:
    async with written(tmp_path, TEXT + "    timeouts: { connect: 2h }\n", [host()]) as broker:
        await broker.ask(2)
        await broker.wait(1800, step_s=60)
        told = broker.core.ctx.metrics.exposition()[0].decode()
        line = next(line for line in told.splitlines() if "estimated_cost_total{" in line and 'pool="hosts"' in line)
        assert float(line.rsplit(" ", 1)[1]) == pytest.approx(0.5, rel=0.02), "two agents, each half an hour for 0.25"
