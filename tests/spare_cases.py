"""What is given back for cancelled builds, which `benchmarks/spare.py` and `groovy/src/Spare.groovy` are held to."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from broker.demo.shortage import Labels, shortage
from tests.benchmarks.ours import Choice
from tests.benchmarks.spare import Kept, Spare

TABLE: Final = Path(__file__).parents[1] / "groovy/src/test/groovy/spare-cases.json"


def read() -> list[dict[str, Any]]:
    """The cases of the table."""
    cases: list[dict[str, Any]] = json.loads(TABLE.read_text())
    return cases


def given_back(case: Mapping[str, Any]) -> list[int | None]:
    """By serial number, for each cancelled build in its turn."""
    waiting = {_labels(text): count for text, count in case["waiting"]}
    unused = [Kept(**{**told, "kind": _labels(told["kind"])}) for told in case["agents"]]
    spare = Spare(unused, lambda places: sum(shortage(waiting, places).values()))
    given: list[int | None] = []
    for build in case["cancelled"]:
        named = next((agent for agent in unused if agent.serial == build["named"]), None)
        late = build["launched_too"]
        found = spare.take(named, unused, _labels(build["kind"]), build["job"], launched_too=late)
        unused = [agent for agent in unused if agent is not found]
        given.append(found.serial if found else None)
    return given


def write(choices: Iterable[Choice], file: Path) -> None:
    """As the table is written."""
    file.write_text(json.dumps([_told(choice) for choice in choices]))


def _told(choice: Choice) -> dict[str, Any]:
    return {
        "says": "of a trace",
        "waiting": [[_text(labels), count] for labels, count in choice.waiting.items()],
        "agents": [
            {
                "serial": agent.serial,
                "line": agent.line,
                "kind": _text(agent.kind),
                "stalled": agent.stalled,
                "places": agent.places,
                "job": agent.job,
            }
            for agent in choice.agents
        ],
        "cancelled": [
            {
                "named": choice.named,
                "kind": _text(choice.kind),
                "job": "",
                "launched_too": choice.launched_too,
            }
        ],
        "given_back": [choice.given_back],
    }


def _labels(text: str) -> Labels:
    return frozenset(text.split())


def _text(labels: Labels) -> str:
    return " ".join(sorted(labels))
