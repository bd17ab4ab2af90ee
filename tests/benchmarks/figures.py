"""What a benchmark gives: figures by their keys."""

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field


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


def percentile(values: list[float], percent: int) -> float:
    """The nearest-rank percentile: a value that was measured."""
    ranked = sorted(values)
    return ranked[max(0, -(-percent * len(ranked) // 100) - 1)]
