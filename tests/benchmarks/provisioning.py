"""How long the broker takes from Jenkins' request to the call of a backend, and how many agents a build costs."""

import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Final

from tests.benchmarks.breaker import launches_before_breaker
from tests.benchmarks.figures import Benchmark, Figure, percentile
from tests.benchmarks.over_provision import (
    TRACES,
    over_provision_cancel_storm_groovy,
    over_provision_step,
    over_provision_traces,
)
from tests.benchmarks.over_provision import profile as profile_trace
from tests.benchmarks.recorded import Recorded, recorded

AGENTS: Final = 100
ROUNDS: Final = 7
WAITING: Final = 9_980
AT_ONCE: Final = 20
"""With those that wait, as many as a controller may have."""
ENDS: Final = 100
_ENDS_FOR_S: Final = 180.0
"""So long at most: fewer ends are measured where one takes long."""
_FILLED_S: Final = 60.0
_PATIENT: Final[Mapping[str, object]] = {
    "limits": {"agents": AT_ONCE},
    "timeouts": {"queue": "2h", "launch": "2h", "connect": "2h"},
}


async def _one_round(broker: Recorded, number: int) -> list[float]:
    """Milliseconds from the call's send to the launch, of each agent."""
    names = [f"linux-{number}-{n:03d}" for n in range(AGENTS)]
    sent = await broker.request(names)
    launched = await broker.launches(AGENTS)
    await broker.release(names)
    return [(launched[name] - sent) / 1e6 for name in names]


async def _bursts() -> Mapping[str, Figure]:
    """Several rounds against one broker, after one that is not counted."""
    with tempfile.TemporaryDirectory(prefix="agentbroker-bench-") as folder:
        async with recorded(Path(folder)) as broker:
            await _one_round(broker, 0)
            rounds = [await _one_round(broker, number) for number in range(1, ROUNDS + 1)]
    return {
        "request_to_call_p50_ms_100": _of_bursts(rounds, 50, "<= 60"),
        "request_to_call_p99_ms_100": _of_bursts(rounds, 99, "<= 150"),
    }


def _of_bursts(rounds: list[list[float]], percent: int, target: str) -> Figure:
    each = [percentile(times, percent) for times in rounds]
    how = (
        f"{AGENTS} agents in one RequestAgents over gRPC to a broker in its own process (SQLite, synchronous=FULL); "
        f"from the send to the call of the backend's launch(), each agent; the median of {ROUNDS} rounds "
        f"({min(each):.1f} to {max(each):.1f}), after one not counted; {_load()}"
    )
    return Figure(value=round(statistics.median(each), 3), unit="ms", target=target, how=how)


async def _long_queue() -> Mapping[str, Figure]:
    """One end after the other, each of which makes room for one of those that wait."""
    with tempfile.TemporaryDirectory(prefix="agentbroker-bench-") as folder:
        async with recorded(Path(folder), _PATIENT) as broker:
            running = await _fill(broker)
            from_end, from_release = await _ends(broker, running, ENDS)
    how = (
        f"{WAITING} agents wait at a limit of {AT_ONCE}; {len(from_end)} ends one after the other; from the backend's "
        f"answer that an agent's instance is gone to the call of launch() for the next; broker in its own process "
        f"(SQLite, synchronous=FULL); median {statistics.median(from_end):.1f}, longest {max(from_end):.1f}; from "
        f"Jenkins' release on, with looks at the backend every 0.5 s, median {statistics.median(from_release):.1f}; "
        f"{_load()}"
    )
    value = round(percentile(from_end, 99), 3)
    return {"request_to_call_p99_ms_10000": Figure(value=value, unit="ms", target="<= 500", how=how)}


async def _fill(broker: Recorded) -> list[str]:
    """Those that run, with the queue behind them full."""
    await broker.request([f"linux-{number:05d}" for number in range(WAITING + AT_ONCE)])
    running = await broker.launches(AT_ONCE, within_s=_FILLED_S)
    await asyncio.sleep(5)  # it has looked at all of them
    return list(running)


async def _ends(broker: Recorded, running: list[str], count: int) -> tuple[list[float], list[float]]:
    """Milliseconds from each end, and from its release, to the launch that it made room for."""
    from_end: list[float] = []
    from_release: list[float] = []
    started = time.monotonic()
    while len(from_end) < count and time.monotonic() - started < _ENDS_FOR_S:
        ended = running.pop(0)
        sent = await broker.give_back([ended])
        try:
            ((name, launched),) = (await broker.launches(1, within_s=_FILLED_S, every_s=0.1)).items()
        except TimeoutError:  # a figure that says so is better than none
            print(f"nothing was launched within {_FILLED_S:g} s of an end", file=sys.stderr)
            return [*from_end, _FILLED_S * 1000], [*from_release, _FILLED_S * 1000]
        running.append(name)
        from_end.append((launched - broker.gone[ended]) / 1e6)
        from_release.append((launched - sent) / 1e6)
    return from_end, from_release


async def _profile_long_queue() -> None:
    with tempfile.TemporaryDirectory(prefix="agentbroker-bench-") as folder:
        async with recorded(Path(folder), _PATIENT) as broker:
            running = await _fill(broker)
            await broker.profile()
            await _ends(broker, running, 20)
            await broker.profile()


async def _profile_bursts() -> None:
    with tempfile.TemporaryDirectory(prefix="agentbroker-bench-") as folder:
        async with recorded(Path(folder)) as broker:
            await _one_round(broker, 0)
            await broker.profile()
            for number in range(1, ROUNDS + 1):
                await _one_round(broker, number)
            await broker.profile()


async def _profile_trace(key: str) -> None:
    profile_trace(key)


def _load() -> str:
    return f"load average {os.getloadavg()[0]:.2f}"


async def run() -> Mapping[str, Figure]:
    """All of them, one after the other."""
    return {
        **await _bursts(),
        **await _long_queue(),
        **await launches_before_breaker(),
        **await over_provision_step(),
        **over_provision_traces(),
        **await over_provision_cancel_storm_groovy(),
    }


PROVISIONING: Final = Benchmark(
    name="provisioning",
    summary="from Jenkins' request to the call of a backend, and agents launched for each build",
    run=run,
    profiles={
        "request_to_call_p99_ms_100": _profile_bursts,
        "request_to_call_p99_ms_10000": _profile_long_queue,
        **{key: partial(_profile_trace, key) for key in TRACES},
    },
)
