"""How `agentbroker discover` prints what it has found."""

from collections.abc import Sequence
from typing import Any

from broker.cli.output import emit_json, emit_line, emit_table, joined


def show(title: str, shown: Sequence[str], found: list[dict[str, Any]], output: str) -> None:
    """Items for programs, or a table of the columns `shown`, as far as items have them; nothing for none."""
    if output == "json":
        emit_json({"api": "v1", "kind": title, "items": found})
    elif output == "jsonl":
        for item in found:
            emit_line(item)
    elif found:
        columns = [column for column in shown if column in found[0]]
        heads = [column.replace("_", " ").upper() for column in columns]
        emit_table(heads, [[_cell(item[column]) for column in columns] for item in found])


def _cell(value: object) -> str:
    if isinstance(value, list):
        return joined(str(one) for one in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    return f"{value:,}" if isinstance(value, int) else str(value) or "-"
