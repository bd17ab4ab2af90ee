"""Countings of what is missing, which `broker/demo/shortage.py` and `groovy/src/Demand.groovy` are both held to."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from broker.demo.shortage import Labels

TABLE: Final = Path(__file__).parents[1] / "groovy/src/test/groovy/demand-cases.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Waiting builds by what they want, places by the labels of the agents, and what is left over."""

    says: str
    waiting: Mapping[Labels, int]
    places: Mapping[Labels, int]
    left: Mapping[Labels, int]


def read() -> list[Case]:
    """The cases of the table."""
    return [
        Case(
            says=told["says"],
            waiting=_by_labels(told["waiting"]),
            places=_by_labels(told["places"]),
            left=_by_labels(told["left"].items()),
        )
        for told in json.loads(TABLE.read_text())
    ]


def write(cases: Iterable[Case], file: Path) -> None:
    """As the table is written."""
    told: list[dict[str, Any]] = [
        {
            "says": case.says,
            "waiting": [[_text(labels), count] for labels, count in case.waiting.items()],
            "places": [[_text(labels), count] for labels, count in case.places.items()],
            "left": {_text(labels): count for labels, count in case.left.items()},
        }
        for case in cases
    ]
    file.write_text(json.dumps(told))


def _by_labels(counts: Iterable[tuple[str, int]]) -> dict[Labels, int]:
    return {frozenset(text.split()): count for text, count in counts}


def _text(labels: Labels) -> str:
    return " ".join(sorted(labels))
