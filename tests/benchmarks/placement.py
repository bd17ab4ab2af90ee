"""The engine by itself: how fast it decides, how well it packs, how fairly it shares, and what its choices cost."""

import gc
import os
import time
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import timedelta
from statistics import mean
from typing import Final

from broker.domain.ids import PolicyName, PoolName
from broker.domain.limits import Usage
from broker.domain.offer import Offer
from broker.domain.placement import Placed
from broker.domain.policy import Strategy
from broker.domain.pool import PoolLimits
from broker.placement.engine import Counted, decide
from broker.testing.clock import EPOCH
from broker.testing.factories import make_agent, make_definitions, make_policy, make_pool
from tests.benchmarks import durable, isolation, on_hosts, packing
from tests.benchmarks.billing import bill_and_bound
from tests.benchmarks.durable import HOST, HOSTS, QUEUED, SMALL
from tests.benchmarks.figures import Benchmark, Figure, profiled

_NOW: Final = EPOCH + timedelta(minutes=1)
_ROUNDS: Final = 7
_SEEDS: Final = range(10)
_LABELS: Final = 20
_FLOOD: Final = 10_000
_OTHERS: Final = 400
_CAP: Final = 200


def _best_s(number: int, strategy: Strategy) -> tuple[float, float]:
    """CPU seconds to decide a queue at 1 000 hosts, the best of some rounds; and comparisons for each decision."""
    known, asked = packing.definitions(SMALL, strategy), packing.queue(number, SMALL)
    offers = {packing.POOL: durable.offers_of_hosts()}
    best, compared = float("inf"), 0
    for _ in range(_ROUNDS):
        gc.collect()
        before, start = Counted.comparisons, time.process_time()
        decisions = decide(asked, offers, Usage(now=_NOW), known)
        best = min(best, time.process_time() - start)
        compared = Counted.comparisons - before
        assert all(isinstance(d, Placed) for d in decisions)
    return best, compared / number


def _naive_s() -> float:
    sizes = packing.items(QUEUED, 1, SMALL)
    start = time.process_time()
    packing.first_fit_decreasing(sizes, HOST, HOSTS)
    return time.process_time() - start


def _speed() -> dict[str, Figure]:
    taken = {strategy: _best_s(QUEUED, strategy) for strategy in (Strategy.BINPACK, Strategy.ORDERED)}
    seconds, compared = taken[Strategy.BINPACK]
    naive = QUEUED / _naive_s()
    few, many = _best_s(100, Strategy.BINPACK)[0] / 100, _best_s(10_000, Strategy.BINPACK)[0] / 10_000
    where = (
        f"{QUEUED} agents of {len(SMALL)} sizes and policies, {HOSTS} hosts, one batch, CPU time, best of {_ROUNDS}; "
        f"{_load()}"
    )
    return {
        "decisions_per_s_pure": Figure(
            value=QUEUED / seconds,
            unit="/s",
            target=">= 50000",
            how=f"strategy binpack, with every reason; ordered: {QUEUED / taken[Strategy.ORDERED][0]:.0f}/s; {where}",
        ),
        "naive_ffd_per_s": Figure(
            value=naive,
            unit="/s",
            target="beside it",
            how="first-fit-decreasing in plain Python over the same hosts: no limits, no reasons, no order",
        ),
        "slowdown_100_to_10000": Figure(
            value=many / few,
            unit="x",
            target="<= 2",
            how=f"{1e6 * few:.1f} us a decision with 100 queued, {1e6 * many:.1f} with 10000; {_load()}",
        ),
        "comparisons_per_decision": Figure(
            value=compared, unit="", target="a count", how=f"sizes compared with groups of equal hosts; {where}"
        ),
    }


def _ratios(number: int, pack: Callable[[list[packing.Size]], int]) -> tuple[float, float]:
    """Hosts by the lower bound: of all mixes together, and of the worst."""
    pairs = [(pack(sizes), packing.lower_bound(sizes)) for sizes in (packing.items(number, seed) for seed in _SEEDS)]
    return sum(hosts for hosts, _ in pairs) / sum(bound for _, bound in pairs), max(h / bound for h, bound in pairs)


def _hosts() -> dict[str, Figure]:
    figures = {}
    ways: tuple[tuple[str, int, Callable[[list[packing.Size]], int], str], ...] = (
        ("1000", 1000, packing.packed_at_once, "<= 1.03"),
        ("100", 100, packing.packed_at_once, "<= 1.10"),
        ("online", 1000, packing.packed_one_by_one, "<= 1.25"),
    )
    for key, number, pack, target in ways:
        (ours, worst), (naive, _) = _ratios(number, pack), _ratios(number, packing.first_fit_decreasing)
        figures[f"hosts_vs_lower_bound_{key}"] = Figure(
            value=ours,
            unit="x",
            target=target,
            how=f"{len(_SEEDS)} mixes of {number} agents, the worst {worst:.3f}; first-fit-decreasing {naive:.3f}; "
            f"{len(packing.MIX)} sizes, hosts of 16 vCPU and 64 GiB",
        )
    small = [packing.items(9, seed) for seed in range(200)]
    more = sum(packing.packed_at_once(sizes) - packing.optimum(sizes) for sizes in small)
    figures["hosts_over_optimum_small"] = Figure(
        value=more / len(small),
        unit="",
        target="beside it",
        how="hosts over the exact optimum, 200 batches of 9 agents",
    )
    return figures


def _jain() -> dict[str, Figure]:
    """One label floods; every build lasts one round of the cap, a twentieth of them ends at each step."""
    pool, names = PoolName("it"), [PolicyName(f"label{n}") for n in range(_LABELS)]
    known = make_definitions(
        policies=[make_policy(pool, name=name) for name in names],
        pools=[make_pool(name=pool, limits=PoolLimits(agents=_CAP))],
    )
    waiting = [make_agent(n, policy=names[0]) for n in range(_FLOOD)]
    waiting += [make_agent(_FLOOD + n, policy=names[1 + n % (_LABELS - 1)]) for n in range(_OTHERS * (_LABELS - 1))]
    running: list[list[Placed]] = [[] for _ in range(20)]
    served: Counter[PolicyName] = Counter()
    held: list[Counter[PolicyName]] = []
    for step in range(20 * 20):
        running[step % 20] = []
        usage = _usage_of([d for some in running for d in some])
        placed = [d for d in decide(waiting, {pool: [Offer(pool=pool)]}, usage, known) if isinstance(d, Placed)]
        running[step % 20] = placed
        gone = {d.agent.id for d in placed}
        waiting = [agent for agent in waiting if agent.id not in gone]
        served.update(d.agent.policy for d in placed)
        held.append(Counter(d.agent.policy for some in running for d in some))
    by_held = mean(_index([count[name] for name in names]) for count in held[20:])
    how = (
        f"{_LABELS} labels under a cap of {_CAP}, one floods {_FLOOD} builds, {_OTHERS} each of the others, builds of "
        f"equal length, {sum(served.values())} served; by agents held, mean of the steps: {by_held:.4f}; "
        f"the least served has {min(served.values())}, the most {max(served.values())}"
    )
    value = _index([served[name] for name in names])
    return {"jain_index": Figure(value=value, unit="", target=">= 0.98", how=how)}


def _usage_of(running: list[Placed]) -> Usage:
    usage = Usage(now=_NOW)
    for placed in running:
        usage.take(placed.claims)
        usage.held[placed.agent.controller, placed.agent.policy] += 1
    return usage


def _index(shares: list[int]) -> float:
    """Jain's index of fairness: 1 where all have as much."""
    return sum(shares) ** 2 / (len(shares) * sum(share * share for share in shares))


def _cost() -> dict[str, Figure]:
    outcomes = [bill_and_bound(seed) for seed in _SEEDS]
    worst = max(outcome.bill / outcome.bound for outcome in outcomes)
    lost, builds = sum(outcome.reclaimed for outcome in outcomes), sum(outcome.builds for outcome in outcomes)
    value = sum(outcome.bill for outcome in outcomes) / sum(outcome.bound for outcome in outcomes)
    how = (
        f"{len(outcomes)} days of {outcomes[0].builds} builds, the worst {worst:.3f}; strategy cheapest over "
        "two spot pools whose stock changes every two hours and one pool without bound; bound: with hindsight each "
        f"minute's builds in the cheapest stock, moved at will, and none of the {100 * lost / builds:.1f} % that were "
        "reclaimed run twice"
    )
    return {"cost_vs_bound": Figure(value=value, unit="x", target="<= 1.10", how=how)}


def _load() -> str:
    return f"load average {os.getloadavg()[0]:.2f}"


async def run() -> Mapping[str, Figure]:
    """All of them, one after the other."""
    return {
        **_speed(),
        **await durable.figures(),
        **await on_hosts.figures(),
        **_hosts(),
        **_cost(),
        **_jain(),
        **await isolation.healthy_pool_p99_ratio(),
    }


async def _profile_speed() -> None:
    with profiled():
        _best_s(QUEUED, Strategy.BINPACK)


PLACEMENT: Final = Benchmark(
    name="placement",
    summary="decisions a second, hosts packed, money spent and turns shared, beside what is possible",
    run=run,
    profiles={
        "decisions_per_s_pure": _profile_speed,
        "decisions_per_s_durable": durable.profile,
        "decisions_per_s_on_hosts": on_hosts.profile,
    },
)
