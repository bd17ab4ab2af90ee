"""Builds that come and are cancelled, by a seed: the same for whoever serves them."""

import random
from dataclasses import dataclass
from typing import Final

from broker.demo.shortage import Labels, parse_expression

LINUX: Final = parse_expression("linux && docker && jdk17 && jdk21 && maven && node && go && small")
GPU: Final = parse_expression("linux && docker && gpu")
WINDOWS: Final = parse_expression("windows && msbuild")
_TOOLS: Final = [f"linux && {tool}" for tool in ("jdk17", "jdk21", "maven", "node", "go", "small", "maven && jdk21")]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Arrival:
    """One build: when it is queued, what it wants, how long it runs."""

    at_ms: int
    wants: Labels
    runs_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """What happens. At each of `cancels_ms` one build that then waits is cancelled, drawn by the seed."""

    says: str
    arrivals: tuple[Arrival, ...]
    cancels_ms: tuple[int, ...] = ()
    most_at_once: int | None = None
    """The limit on agents."""
    kinds: tuple[Labels, ...] = (LINUX, GPU)
    """The labels of each policy's agents; a build is served by the first that carries all it wants."""
    starts_ms: tuple[int, int] = (20_000, 40_000)
    """How long an agent takes from its launch until it takes builds: evenly between these."""
    seed: int = 1


def step(builds: int = 100) -> Trace:
    """All at one moment, of one label."""
    return Trace(says=f"{builds} builds of one label at one moment", arrivals=_burst(builds, ("linux",), 30_000))


def matrix(cells: int = 500) -> Trace:
    """All at one moment, of ten labels that two policies serve, each label by one of them."""
    return _cells(
        cells, [*_TOOLS, "linux", "linux && docker", "windows"], (LINUX, WINDOWS), "each served by one of two policies"
    )


def shared_matrix(cells: int = 500) -> Trace:
    """The same, where agents of a second policy could run the builds of three labels that the first one serves."""
    wanted = [*_TOOLS[:5], "linux", "linux && docker", "docker", "gpu", "linux && gpu"]
    return _cells(cells, wanted, (LINUX, GPU), "three of which agents of two policies carry")


def _cells(count: int, wanted: list[str], kinds: tuple[Labels, ...], says: str) -> Trace:
    told = f"{count} builds at one moment, of {len(wanted)} labels, {says}"
    return Trace(says=told, arrivals=_burst(count, tuple(wanted), 60_000), kinds=kinds)


def poisson(seconds: int = 1800, seed: int = 1) -> Trace:
    """One a second in the mean, of five labels, each for a minute in the mean."""
    chance = random.Random(seed)
    wanted = [parse_expression(text) for text in ("linux", "linux && docker", "gpu", "linux && maven", "docker")]
    arrivals: list[Arrival] = []
    at = chance.expovariate(1)
    while at < seconds:
        runs_ms = round(chance.expovariate(1 / 60) * 1000) + 1000
        arrivals.append(Arrival(at_ms=round(at * 1000), wants=chance.choice(wanted), runs_ms=runs_ms))
        at += chance.expovariate(1)
    says = f"one build a second in the mean for {seconds} s (Poisson), of five labels, a minute long in the mean"
    return Trace(says=says, arrivals=tuple(arrivals), seed=seed)


def cancel_storm(builds: int = 400, seed: int = 1) -> Trace:
    """Far more than the limit within ten seconds; in the minute from then on half of all are cancelled as they wait."""
    chance = random.Random(seed)
    moments = sorted(chance.randrange(10_000) for _ in range(builds))
    arrivals = tuple(
        Arrival(at_ms=at, wants=frozenset({"linux"}), runs_ms=chance.randrange(20_000, 60_000)) for at in moments
    )
    cancels = tuple(sorted(chance.randrange(10_000, 70_000) for _ in range(builds // 2)))
    says = (
        f"{builds} builds within 10 s at a limit of {builds // 10} agents; in the minute after that {len(cancels)} "
        "of them, drawn from those that wait, are cancelled"
    )
    return Trace(says=says, arrivals=arrivals, cancels_ms=cancels, most_at_once=builds // 10, seed=seed)


def superseded(builds: int = 200, late_ms: int = 0, seed: int = 1) -> Trace:
    """All at one moment without a limit; each is cancelled as its agent starts, and queued anew `late_ms` later."""
    chance = random.Random(seed)
    moments = sorted(chance.randrange(1000, 15_000) for _ in range(builds))
    later = tuple(Arrival(at_ms=at + late_ms, wants=frozenset({"linux"}), runs_ms=30_000) for at in moments)
    says = f"{builds} builds at one moment, each cancelled within 15 s, while agents start, and queued anew"
    says += f" {late_ms / 1000:g} s later" if late_ms else " at the same moment"
    return Trace(
        says=says, arrivals=(*_burst(builds, ("linux",), 30_000), *later), cancels_ms=tuple(moments), seed=seed
    )


def _burst(count: int, wanted: tuple[str, ...], runs_ms: int) -> tuple[Arrival, ...]:
    each = [parse_expression(text) for text in wanted]
    return tuple(Arrival(at_ms=0, wants=each[n % len(each)], runs_ms=runs_ms) for n in range(count))
