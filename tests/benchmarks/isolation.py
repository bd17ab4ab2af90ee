"""What a dead pool costs a healthy one: how long its agents wait for their launch, alone and beside dead pools."""

import asyncio
import os
import statistics
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tests.benchmarks.figures import Figure, percentile
from tests.benchmarks.recorded import Recorded, recorded

AGENTS: Final = 100
BURSTS: Final = 4
"""Of a round, alone and beside the dead pools."""
ROUNDS: Final = 4
ENDING: Final = 300
"""More than the reconciler has workers."""
ASKED: Final = 100
_SETTLED_S: Final = 3.0
"""Then the requests of so many agents at one moment have been taken in, and the silent pool is not doubted yet."""
_LONGEST_S: Final = 40.0
"""Longer than a call may take; a burst that is not launched by then has taken so long."""


async def _burst_ms(broker: Recorded, name: str) -> list[float]:
    names = [f"linux-{name}-{n:03d}" for n in range(AGENTS)]
    sent = await broker.request(names)
    try:
        launched = await broker.launches(AGENTS, within_s=_LONGEST_S)
    except TimeoutError:
        return [1000 * _LONGEST_S]
    await broker.release(names)
    return [(launched[name] - sent) / 1e6 for name in names]


async def _bursts(broker: Recorded, word: str) -> list[list[float]]:
    return [await _burst_ms(broker, f"{word}-{n}") for n in range(BURSTS)]


async def _beside_the_dead(broker: Recorded, number: int) -> list[list[float]]:
    """One pool stops answering as its agents are to end, another one refuses; both are asked for more."""
    ending, silent, refused = (
        [f"{word}-{number}-{n:03d}" for n in range(count)]
        for word, count in (("ending", ENDING), ("silent", ASKED), ("refused", ASKED))
    )
    await broker.request(ending, "hanging")
    await broker.mortals(ENDING)
    await broker.die()
    try:
        await broker.give_back(ending)
        await broker.request(silent, "hanging")
        await broker.request(refused, "refusing")
        await asyncio.sleep(_SETTLED_S)
        return await _bursts(broker, f"dead-{number}")
    finally:
        await broker.revive()
        await broker.give_back([*silent, *refused])
        await broker.mortals(0, within_s=_LONGEST_S)


async def healthy_pool_p99_ratio() -> Mapping[str, Figure]:
    """Bursts alone and beside dead pools in turn; each round in the other order than the one before."""
    alone: list[list[float]] = []
    beside: list[list[float]] = []
    with tempfile.TemporaryDirectory(prefix="agentbroker-bench-") as folder:
        async with recorded(Path(folder)) as broker:
            await _bursts(broker, "first")
            for number in range(ROUNDS):
                if number % 2:
                    beside += await _beside_the_dead(broker, number)
                alone += await _bursts(broker, f"alone-{number}")
                if not number % 2:
                    beside += await _beside_the_dead(broker, number)
    p99s = [(percentile(one, 99), percentile(other, 99)) for one, other in zip(alone, beside, strict=True)]
    ratios = [dead / healthy for healthy, dead in p99s]
    how = (
        f"{AGENTS} agents in one RequestAgents over gRPC, from the send to the call of launch(): p99 beside dead pools "
        f"by p99 alone, the median of {len(ratios)} pairs of bursts ({min(ratios):.2f} to {max(ratios):.2f}); alone "
        f"{_middle(alone)}, beside {_middle(beside)}; dead: a backend that has stopped answering anything, "
        f"{_SETTLED_S:g} s after {ENDING} of its agents were to end and {ASKED} were asked for, and one that refuses "
        f"another {ASKED}; "
        f"load average {os.getloadavg()[0]:.2f}"
    )
    value = round(statistics.median(ratios), 3)
    return {"healthy_pool_p99_ratio": Figure(value=value, unit="x", target="<= 1.05", how=how)}


def _middle(bursts: list[list[float]]) -> str:
    p99s = [percentile(times, 99) for times in bursts]
    return f"{statistics.median(p99s):.0f} ms, at most {max(p99s):.0f}"
