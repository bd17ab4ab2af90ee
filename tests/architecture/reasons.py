"""Who says which reason, read from the source; and `docs/reference/reasons.md`, made from it and from the table.

python -m tests.architecture.reasons > docs/reference/reasons.md
"""

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Final

from broker.domain.reason import REASONS, Fixer, Reason

ROOT: Final = Path(__file__).parents[2]

_SAYS_NOTHING: Final = ("broker/domain/reason.py", "broker/telemetry/labels.py", "broker/testing/", "broker/demo/")
"""The list itself, the list of label values, and doubles: they name reasons and give none."""
_WHO: Final[Mapping[Fixer, str]] = {Fixer.DEV: "who wrote the build", Fixer.ADMIN: "an admin", Fixer.WAIT: "time: wait"}


def said_in(source: str) -> set[Reason]:
    """The reasons that a module's code gives; one that it only compares with, looks up or has in a set is none."""
    said: set[Reason] = set()
    _collect(ast.parse(source), said)
    return said


def _collect(node: ast.AST, said: set[Reason]) -> None:
    if isinstance(node, ast.Compare | ast.Set | ast.MatchValue | ast.Subscript):
        return
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "Reason":
        if node.attr in Reason.__members__:
            said.add(Reason[node.attr])
        return
    children: Iterator[ast.AST] = ast.iter_child_nodes(node)
    if isinstance(node, ast.Dict):  # what stands before the colon is looked up
        children = iter(node.values)
    for child in children:
        _collect(child, said)


@cache
def producers() -> dict[Reason, set[str]]:
    """Reason → the parts of the broker that say it: a folder, or a module at the top."""
    found: dict[Reason, set[str]] = {reason: set() for reason in Reason}
    for path in sorted((ROOT / "broker").rglob("*.py")):
        name = path.relative_to(ROOT).as_posix()
        if not name.startswith(_SAYS_NOTHING):
            part = name if name.count("/") == 1 else path.parent.relative_to(ROOT).as_posix()
            for reason in said_in(path.read_text()):
                found[reason].add(part)
    return found


def page() -> str:
    """The page, in the order of the list."""
    said = producers()
    lines = [
        "# Reasons",
        "",
        "<!-- Made from broker/domain/reason.py by `make docs`. -->",
        "",
        "Why an agent waits, failed or ended is told by one of these codes, and by words beside it: the cloud's own,",
        "where it had any. The same code is in the build's log, in the API, in the logs, and is the label `reason` of",
        "metrics, where a value that is not on this list would be `other`.",
        "",
        "| reason | what it means | who can fix it | what to do next | said by |",
        "| --- | --- | --- | --- | --- |",
    ]
    lines += [_row(reason, said[reason]) for reason in Reason]
    return "\n".join(lines) + "\n"


def _row(reason: Reason, parts: set[str]) -> str:
    about = REASONS[reason]
    who = ", ".join(_WHO[one] for one in about.fix_by) or "–"
    by = ", ".join(f"`{part}`" for part in sorted(parts)) or "nothing"
    return f'| <a id="{reason}"></a>`{reason}` | {about.meaning} | {who} | {about.hint} | {by} |'


if __name__ == "__main__":
    print(page(), end="")
