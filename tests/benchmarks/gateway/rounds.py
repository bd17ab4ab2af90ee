"""Rounds: each side does the same work in each of them, in a new order; what counts is the ratio within a round."""

import random
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from statistics import median
from typing import Final

from tests.benchmarks.figures import Figure
from tests.benchmarks.gateway.load import Load
from tests.benchmarks.gateway.pinned import load_average
from tests.benchmarks.gateway.sides import Side

ROUNDS: Final = 7
_GB: Final = 1e9
_SETTLES_S: Final = 0.05
"""How long the end of a load may take a side after its agents have seen it."""

Taken = dict[str, float]
"""What one side was measured at in one round, by name."""


class Rounds:
    """What was measured so far, by side."""

    def __init__(self) -> None:
        """Nothing yet."""
        self.taken: dict[str, list[Taken]] = {}
        self.loads: list[str] = []

    def run(self, sides: Iterable[Side], work: Callable[[Side], Taken], rounds: int = ROUNDS) -> None:
        """Measures all sides, once to warm up and then as often as told."""
        order, shuffled = list(sides), random.Random(6)
        for side in order:
            work(side)
        for number in range(rounds):
            shuffled.shuffle(order)
            self.loads.append(load_average())
            for side in order:
                self.taken.setdefault(side.name, []).append(work(side))
            print(f"round {number + 1} of {rounds}, load average {self.loads[-1]}", file=sys.stderr)

    def ratios(self, name: str, of: str, to: str) -> list[float]:
        """Of two sides, round by round; empty where one was not there."""
        pairs = zip(self.taken.get(of, []), self.taken.get(to, []), strict=False)
        return [one[name] / other[name] for one, other in pairs if name in one and name in other]

    def figure(self, name: str, of: str, to: str, *, target: str, unit: str, others: Iterable[str] = ()) -> Figure:
        """The median of the ratios; `how` tells their spread and what each side was measured at."""
        ratios = self.ratios(name, of, to)
        told = [f"median of {len(ratios)} rounds, {min(ratios):.2f} to {max(ratios):.2f}"]
        for side in (of, to, *others):
            values = [taken[name] for taken in self.taken.get(side, [])]
            if values:
                beside = "" if side in (of, to) else f" (ratio {median(self.ratios(name, of, side)):.2f})"
                told.append(f"{side} {median(values):.4g} {unit}{beside}")
        told.append(f"load average {min(self.loads)} to {max(self.loads)}")
        return Figure(value=round(median(ratios), 3), unit="x", target=target, how="; ".join(told))


def bulk(load: Load, side: Side, streams: int, mib: int, write: int) -> Mapping[str, float]:
    """Throughput and processor time of a stream from agents to controllers, once it flows."""
    load.ask(f"open {streams} 16")
    before = side.cpu_s()
    done = load.ask(f"bulk {streams} {mib} {write} raw")
    took = side.cpu_s() - before
    load.ask("drop")
    if done["failed"]:
        raise RuntimeError(f"{done['failed']:.0f} streams through {side.name} were cut")
    return {"mb_per_s": done["bytes"] / 1e6 / done["seconds"], "cpu_s_per_gb": took / done["bytes"] * _GB}


def named(prefix: str, taken: Mapping[str, float]) -> Taken:
    """With a prefix before each name."""
    return {f"{prefix}_{name}": value for name, value in taken.items()}


def set_ups(load: Load, side: Side, count: int) -> Taken:
    """Processor time of a connection from its first byte to its end, 16 at a time; one message goes there and back."""
    before = side.cpu_s()
    done = load.ask(f"again {count} 16")
    time.sleep(_SETTLES_S)
    took = side.cpu_s() - before
    return {"setup_cpu_ms": took / count * 1e3, "setups_per_s": count / done["seconds"]}


def pings(load: Load, side: Side, count: int) -> Taken:
    """64 bytes there and back."""
    load.ask("open 1 1")
    done = load.ask(f"ping {count}")
    load.ask("drop")
    return {"p50_us": done["p50_us"], "p99_us": done["p99_us"]}


def tls_work(load: Load, side: Side) -> Taken:
    """All that is compared of TLS on both sides."""
    load.ask(side.target)
    taken: Taken = {}
    if "without" not in side.name:
        taken |= named("1", bulk(load, side, 1, 256, 65536))
        taken |= named("16", bulk(load, side, 16, 16, 65536))
        taken |= named("16x8k", bulk(load, side, 16, 16, 8192))
        taken |= pings(load, side, 3000)
    return taken | set_ups(load, side, 160)


def websocket_work(load: Load, side: Side) -> Taken:
    """Messages of 8 KiB in plain HTTP, one stream."""
    load.ask(side.target)
    return named("ws", bulk(load, side, 1, 256, 65536))
