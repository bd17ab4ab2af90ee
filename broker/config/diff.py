"""What one config says and another does not: as lines for people, and what of a running broker it is about."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from broker.config.secrets import is_secret
from broker.config.show import MASKED

Content = Mapping[str, object]
"""All that a config says, defaults and inheritance included (`show.content`)."""

NAMED: Final = ("controllers", "backends", "templates", "pools", "policies")
_UNSET: Final = "(unset)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One place that differs; None stands for nothing."""

    path: tuple[str | int, ...]
    before: object
    after: object

    def __str__(self) -> str:
        """Such as `pools.x.limits.agents 100 -> 140`, with secrets masked."""
        place = ".".join(str(part) for part in self.path)
        if self.is_of_a_whole:
            return f"{place} {'removed' if self.after is None else 'added'}"
        if is_secret(self.path):
            return f"{place} {MASKED} -> {MASKED}"
        return f"{place} {_written(self.before)} -> {_written(self.after)}"

    @property
    def is_of_a_whole(self) -> bool:
        """Whether a thing with a name comes or goes."""
        return len(self.path) == 2 and self.path[0] in NAMED and (self.before is None or self.after is None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Touched:
    """What of a running broker a change is about. Agents of what is `removed` end after their builds."""

    controllers: frozenset[str]
    pools: frozenset[str]
    policies: frozenset[str]
    removed: frozenset[tuple[str, str]]

    def reaches(self, *, controller: str, policy: str, pool: str | None) -> bool:
        """Whether an agent is touched."""
        return controller in self.controllers or policy in self.policies or pool in self.pools

    def ends(self, *, controller: str, policy: str, pool: str | None) -> bool:
        """Whether an agent takes no further build."""
        names = {("controllers", controller), ("policies", policy), ("pools", pool)}
        return not names.isdisjoint(self.removed)


def changes(before: Content, after: Content) -> list[Change]:
    """Every place that differs, in the order of the file."""
    found = list(_between(before, after, ()))
    first, then = ([name for name, _ in _things(content, "policies")] for content in (before, after))
    if sorted(first) == sorted(then) and first != then:  # the first that fits gets the job
        found.append(Change(path=("policies",), before=first, after=then))
    return found


def _between(before: object, after: object, path: tuple[str | int, ...]) -> Iterator[Change]:
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in [*before, *(key for key in after if key not in before)]:
            yield from _between(before.get(key), after.get(key), (*path, key))
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after) and _holds_maps(before):
        for n, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from _between(one, other, (*path, n))
    elif before == after:
        return
    elif _opens(path, before, after):
        yield from _between(before or {}, after or {}, path)
    else:
        yield Change(path=path, before=before, after=after)


def _opens(path: tuple[str | int, ...], before: object, after: object) -> bool:
    """Whether a map that comes or goes is told key by key: not if it is a thing with a name."""
    one_is_nothing = before is None or after is None
    a_map = isinstance(before or {}, Mapping) and isinstance(after or {}, Mapping)
    return one_is_nothing and a_map and not (len(path) == 2 and path[0] in NAMED)


def _holds_maps(items: list[object]) -> bool:
    return any(isinstance(item, Mapping) for item in items)


def _written(value: object) -> str:
    if value is None:
        return _UNSET
    if isinstance(value, str):
        return value if value.isprintable() and value.strip() == value and value else json.dumps(value)
    if isinstance(value, list) and not _holds_maps(value):
        return f"[{', '.join(_written(item) for item in value)}]"
    return json.dumps(value, ensure_ascii=False)


def touched(found: Iterable[Change], before: Content, after: Content) -> Touched:
    """What the changes are about, through the names that the parts of a config use of one another."""
    names: dict[str, set[str]] = {noun: set() for noun in NAMED}
    removed: set[tuple[str, str]] = set()
    for change in found:
        noun = str(change.path[0])
        if noun in names and len(change.path) > 1:
            names[noun].add(str(change.path[1]))
            if change.is_of_a_whole and change.after is None:
                removed.add((noun, str(change.path[1])))
    for content in (before, after):
        for name, pool in _things(content, "pools"):
            if pool.get("backend") in names["backends"]:
                names["pools"].add(name)
        for name, policy in _things(content, "policies"):
            if policy.get("template", "default") in names["templates"]:
                names["policies"].add(name)
    return Touched(
        controllers=frozenset(names["controllers"]),
        pools=frozenset(names["pools"]),
        policies=frozenset(names["policies"]),
        removed=frozenset(removed),
    )


def _things(content: Content, noun: str) -> Iterator[tuple[str, Mapping[str, object]]]:
    things = content.get(noun)
    for name, thing in things.items() if isinstance(things, Mapping) else ():
        if isinstance(thing, Mapping):
            yield str(name), thing
