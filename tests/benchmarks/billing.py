"""A day of builds over pools of different prices, minute by minute: our bill, and what nobody could pay less than."""

import random
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from broker.domain.ids import PoolName
from broker.domain.limits import Usage
from broker.domain.money import Micros
from broker.domain.offer import Offer
from broker.domain.placement import Placed
from broker.domain.policy import Strategy
from broker.placement.engine import decide
from broker.testing.clock import EPOCH
from broker.testing.factories import make_agent, make_definitions, make_policy, make_pool

MINUTES: Final = 24 * 60
PRICES: Final = {PoolName("spot-a"): 30, PoolName("spot-b"): 40, PoolName("sure"): 100}
"""An agent's price a minute; the last has no bound."""
_STOCK: Final = 30
_CHANGE: Final = 120


@dataclass(frozen=True)
class Outcome:
    """What a day cost, and the least that it could have."""

    bill: int
    bound: int
    builds: int
    reclaimed: int


def bill_and_bound(seed: int) -> Outcome:
    """Plays a day. A spot pool's stock changes every two hours, now and then to nothing; what is too much is reclaimed.

    A reclaimed build runs again from its start, and both of its runs are paid.
    """
    by_chance = random.Random(seed)
    stocks = {pool: _stock(by_chance) for pool in PRICES if pool != "sure"}
    builds = sorted((by_chance.randrange(MINUTES - 60), by_chance.randint(3, 30)) for _ in range(2000))
    bound = sum(_cheapest(minute, builds_at, stocks) for minute, builds_at in enumerate(_demand(builds)))
    definitions = make_definitions(
        policies=[make_policy(*PRICES, strategy=Strategy.CHEAPEST)], pools=[make_pool(name=p) for p in PRICES]
    )
    running: list[tuple[int, int, PoolName]] = []
    bill = reclaimed = 0
    waiting = list(builds)
    for minute in range(2 * MINUTES):
        running = [run for run in running if run[0] > minute]
        for pool, stock in stocks.items():
            here = [run for run in running if run[2] == pool]
            lost = here[: max(0, len(here) - stock[min(minute, MINUTES - 1)])]
            running = [run for run in running if run not in lost]
            waiting += [(minute, length) for _, length, _ in lost]
            reclaimed += len(lost)
        due = [build for build in waiting if build[0] <= minute]
        waiting = [build for build in waiting if build[0] > minute]
        offers = {
            pool: [Offer(pool=pool, price=Micros(price), room=_left(pool, minute, stocks, running))]
            for pool, price in PRICES.items()
        }
        asked = [make_agent(n) for n in range(len(due))]
        decisions = decide(asked, offers, Usage(now=EPOCH + timedelta(minutes=minute)), definitions)
        for (_, length), decision in zip(due, decisions, strict=True):
            assert isinstance(decision, Placed)
            running.append((minute + length, length, decision.placement.offer.pool))
        bill += sum(PRICES[run[2]] for run in running)
    return Outcome(bill=bill, bound=bound, builds=len(builds), reclaimed=reclaimed)


def _stock(by_chance: random.Random) -> list[int]:
    changes = [by_chance.choice((0, _STOCK // 2, *[_STOCK] * 6)) for _ in range(MINUTES // _CHANGE)]
    return [stock for stock in changes for _ in range(_CHANGE)]


def _left(
    pool: PoolName, minute: int, stocks: dict[PoolName, list[int]], running: list[tuple[int, int, PoolName]]
) -> int | None:
    stock = stocks.get(pool)
    if stock is None:
        return None
    return max(0, stock[min(minute, MINUTES - 1)] - sum(1 for run in running if run[2] == pool))


def _demand(builds: list[tuple[int, int]]) -> list[int]:
    """How many builds run in each minute if all begin when they come."""
    at = [0] * MINUTES
    for start, length in builds:
        for minute in range(start, min(start + length, MINUTES)):
            at[minute] += 1
    return at


def _cheapest(minute: int, number: int, stocks: dict[PoolName, list[int]]) -> int:
    cost = 0
    for pool, price in sorted(PRICES.items(), key=lambda item: item[1]):
        here = min(number, stocks[pool][minute]) if pool in stocks else number
        cost += here * price
        number -= here
    return cost
