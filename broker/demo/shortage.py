"""How many agents are missing: waiting builds matched one to one with agents that can still take one (design D2)."""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

Labels: TypeAlias = frozenset[str]


def parse_expression(text: str) -> Labels:
    """The simple names of a label expression, joined by `&&`; raises ValueError for any other operator."""
    names = [part.strip() for part in text.split("&&")] if text.strip() else []
    for name in names:
        if not name or any(character in name for character in "|!()<>&\"' "):
            raise ValueError(f"not understood: {text!r}; the simulated controller knows simple names joined by &&")
    return frozenset(names)


def unmatched(wanted: Sequence[Labels], capacity: Mapping[str, Labels]) -> list[int]:
    """Which of the `wanted` find no agent of their own, by position: a largest matching, earlier ones first.

    `capacity` holds the labels of each agent that can still take a build, by its name.
    """
    taken: dict[str, int] = {}

    def place(item: int, seen: set[str]) -> bool:
        for name, labels in capacity.items():
            if name in seen or not wanted[item] <= labels:
                continue
            seen.add(name)
            if name not in taken or place(taken[name], seen):
                taken[name] = item
                return True
        return False

    return [item for item in range(len(wanted)) if not place(item, set())]
