"""Strategy `cheapest` from the file to the launch: the lowest price for the template, then the next that has room."""

from pathlib import Path

from broker.config.load import parse
from broker.domain.money import Micros
from broker.domain.offer import Offer
from broker.domain.policy import Strategy
from broker.testing.backend import FakeBackend, Ledger
from broker.testing.clock import ManualClock
from broker.testing.factories import POOL, make_policy, make_pool
from tests.core import open_core
from tests.unit.money.world import NOON, money_definitions, spent

FILE = """
version: 1
currencies: { base: USD, CNY: 0.14 }
controllers: { main: { url: "http://127.0.0.1:8080/", token_sha256: "%s" } }
backends: { fake: { type: process } }
templates: { base: { cpu: 1, memory: 8Gi } }
pools:
  memory-dear: { backend: fake, cost: { cpu_hour: 0.01, memory_gib_hour: 0.5 } }
  unknown: { backend: fake }
  cpu-dear: { backend: fake, cost: { cpu_hour: 2, memory_gib_hour: 0.1 }, limits: { agents: 2 } }
  yuan: { backend: fake, cost: { cpu_hour: 15, currency: CNY }, limits: { agents: 1 } }
policies:
  linux: { labels: [linux], template: base, strategy: cheapest, pools: [memory-dear, unknown, cpu-dear, yuan] }
"""


async def test_agents_go_to_the_pool_that_is_cheapest_for_their_template_until_it_is_full(tmp_path: Path) -> None:
    definitions = parse(FILE % ("0" * 64), env={}).definitions
    async with open_core(tmp_path / "broker.db", definitions, clock=ManualClock(NOON)) as core:
        await core.sync()
        await core.ask(*(f"linux-{n}" for n in range(5)))
        await core.settle()
        placed = sorted((a.pool or "", a.rate) for a in await core.ctx.agents.live())
        assert placed == [
            ("cpu-dear", 2_800_000),
            ("cpu-dear", 2_800_000),
            ("memory-dear", 4_010_000),
            ("memory-dear", 4_010_000),
            ("yuan", 2_100_000),
        ]


async def test_the_price_that_a_cloud_says_with_its_offer_is_chosen_by_and_charged(tmp_path: Path) -> None:
    clock, ledger = ManualClock(NOON), Ledger()
    backend = FakeBackend(ledger, clock)
    backend.places.offers += [
        Offer(pool=POOL, capacity="dear", price=Micros(3_600_000), room=5),
        Offer(pool=POOL, capacity="spot", price=Micros(360_000), room=1),
    ]
    definitions = money_definitions(make_policy(strategy=Strategy.CHEAPEST))
    async with open_core(tmp_path / "broker.db", definitions, ledger, clock, backend) as core:
        await core.sync()
        await core.ask("linux-1", "linux-2")
        await core.settle()
        assert sorted((a.capacity, a.rate) for a in await core.ctx.agents.live()) == [
            ("dear", 3_600_000),
            ("spot", 360_000),
        ]
        await core.advance(10)
        assert sum((await spent(core)).values()) == 11_000
        assert {a.pool for a in await core.ctx.agents.live()} == {POOL}


async def test_what_costs_nothing_is_cheaper_than_what_nobody_has_a_price_for(tmp_path: Path) -> None:
    clock, ledger = ManualClock(NOON), Ledger()
    backend = FakeBackend(ledger, clock)
    backend.places.offers += [
        Offer(pool=POOL, capacity="unknown"),
        Offer(pool=POOL, capacity="free", price=Micros(0), room=1),
    ]
    definitions = money_definitions(make_policy(strategy=Strategy.CHEAPEST), pools=[make_pool()])
    async with open_core(tmp_path / "broker.db", definitions, ledger, clock, backend) as core:
        await core.sync()
        await core.ask("linux-1", "linux-2")
        await core.settle()
        assert {(a.capacity, a.rate) for a in await core.ctx.agents.live()} == {("free", 0), ("unknown", None)}
