"""What a benchmark gives: figures by their keys."""

import cProfile
import pstats
import sys
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

_PROFILED: Final = 30
"""Functions that are told of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One number; `target` says what is good, `how` how it was measured, with its spread."""

    value: float
    unit: str
    target: str
    how: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """Something that can be measured. A figure that cannot be had here is left out, and `run` says why on stderr."""

    name: str
    summary: str
    run: Callable[[], Coroutine[None, None, Mapping[str, Figure]]]
    profiles: Mapping[str, Callable[[], Coroutine[None, None, None]]] = field(default_factory=dict)
    """What tells on stderr where the time of a figure goes, by its key."""


@contextmanager
def profiled() -> Iterator[None]:
    """Tells on stderr where the time of the block goes."""
    profile = cProfile.Profile()
    profile.enable()
    yield
    profile.disable()
    pstats.Stats(profile, stream=sys.stderr).sort_stats("tottime").print_stats(_PROFILED)


def percentile(values: list[float], percent: int) -> float:
    """The nearest-rank percentile: a value that was measured."""
    ranked = sorted(values)
    return ranked[max(0, -(-percent * len(ranked) // 100) - 1)]
