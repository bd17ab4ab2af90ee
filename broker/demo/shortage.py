"""How many agents are missing: waiting builds matched one to one with agents that can still take one (design D2).

The same counting as `groovy/src/Demand.groovy`, held equal to it by the cases of `demand-cases.json`, which both run.
"""

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TypeAlias

from broker.domain.overrides import is_override

Labels: TypeAlias = frozenset[str]


def parse_expression(text: str) -> Labels:
    """The simple names of a label expression, joined by `&&`, in quotes or not; raises ValueError for any other."""
    names = [_unquoted(part.strip()) for part in text.split("&&")] if text.strip() else []
    for name in names:
        if not name or any(character in name for character in "|!()<>&\"' "):
            raise ValueError(f"not understood: {text!r}; the simulated controller knows simple names joined by &&")
    return frozenset(names)


def _unquoted(name: str) -> str:
    return name[1:-1] if len(name) > 1 and name[0] == name[-1] == '"' else name


@lru_cache(maxsize=4096)
def asked_for(labels: Labels) -> Labels:
    """Those that are no labels: what a build asks for itself, and what an agent was made with."""
    return frozenset(label for label in labels if is_override(label))


def takes(kind: Labels, wanted: Labels) -> bool:
    """Whether agents with these labels run builds that want those: one made as a build asked is for its like alone."""
    return wanted <= kind and asked_for(kind) <= wanted


def unmatched(wanted: Sequence[Labels], capacity: Mapping[str, Labels]) -> list[int]:
    """Which of the `wanted` find no agent of their own, by position: a largest matching, earlier ones first.

    `capacity` holds the labels of each agent that can still take a build, by its name.
    """
    matching = _Matching(Counter(capacity.values()))
    return [item for item, labels in enumerate(wanted) if not matching.place(labels)]


def shortage(waiting: Mapping[Labels, int], places: Mapping[Labels, int]) -> dict[Labels, int]:
    """Waiting builds for which there is no place, by what they want; only those that have some.

    The first of `waiting` is served first; `places` says how many builds agents with these labels can still take.
    """
    matching = _Matching(places)
    missing = {labels: sum(not matching.place(labels) for _ in range(count)) for labels, count in waiting.items()}
    return {labels: count for labels, count in missing.items() if count}


class _Matching:
    """Builds that have a place each, by what they want and by the kind of the agent."""

    def __init__(self, places: Mapping[Labels, int]) -> None:
        self._free = dict(places)
        self._placed: dict[Labels, Counter[Labels]] = {kind: Counter() for kind in places}
        self._refused: set[Labels] = set()

    def place(self, wanted: Labels) -> bool:
        """Gives one more build a place, moving others where that makes room; False where nothing does."""
        if wanted in self._refused:  # nor will it later: places only get fewer
            return False
        path = self._path_to_free_place(wanted)
        if path is None:
            self._refused.add(wanted)
            return False
        for labels, kind, to in zip(path[::2], path[1::2], [*path[2::2], None], strict=True):
            self._placed[kind][labels] += 1
            if to is not None:
                self._placed[kind][to] -= 1
        self._free[path[-1]] -= 1
        return True

    def _path_to_free_place(self, wanted: Labels) -> list[Labels] | None:
        """What is wanted, a kind, what is wanted, a kind …: each could move a build of the next; the last is free."""
        paths = deque([[wanted]])
        seen: set[Labels] = set()
        while paths:
            path = paths.popleft()
            for kind in [kind for kind in self._free if kind not in seen and takes(kind, path[-1])]:
                seen.add(kind)
                if self._free[kind] > 0:
                    return [*path, kind]
                paths.extend([*path, kind, labels] for labels, count in self._placed[kind].items() if count > 0)
        return None
