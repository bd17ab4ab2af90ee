"""`inherit_from`: maps merge, scalars and lists replace, null removes."""

from dataclasses import dataclass

from broker.config.diagnostics import Diagnostics, Note
from broker.config.nodes import Node
from broker.config.suggest import unknown

_NOT_INHERITED = ("abstract", "inherit_from")


@dataclass(frozen=True, slots=True)
class Resolved:
    """Each thing with what it inherits; `incomplete` names those that inherit from what is not there or in a circle."""

    things: dict[str, Node]
    incomplete: frozenset[str]


def resolve(things: Node, noun: str, diagnostics: Diagnostics) -> Resolved:
    """Resolves the map of all things of a noun, `template` or `pool`."""
    return _Resolver(things, noun, diagnostics).resolve()


class _Resolver:
    def __init__(self, things: Node, noun: str, diagnostics: Diagnostics) -> None:
        self._things = things
        self._noun = noun
        self._diagnostics = diagnostics
        self._done: dict[str, Node] = {}
        self._incomplete: set[str] = set()

    def resolve(self) -> Resolved:
        for name in self._things.map:
            self._one(name, ())
        return Resolved({name: self._done[name] for name in self._things.map}, frozenset(self._incomplete))

    def _parent(self, name: str) -> str | None:
        """What a thing inherits from, if that is defined."""
        parent = self._things.at(name).map.get("inherit_from")
        if parent is None or not isinstance(parent.data, str):
            return None
        if parent.data in self._things.map:
            return parent.data
        self._incomplete.add(name)
        message = f"{self._noun} '{name}' inherits from '{parent.data}', which is not defined"
        code = f"unknown-{self._noun}"
        self._diagnostics.error(code, parent.span, message, *unknown(parent.data, self._things.keys, f"{self._noun}s"))
        return None

    def _one(self, name: str, below: tuple[str, ...]) -> Node:
        if name in self._done:
            return self._done[name]
        node = self._things.map[name]
        parent = self._parent(name)
        if parent is None:
            self._done[name] = node
        elif parent in (*below, name):
            chain = (*below, name)
            self._cycle(chain[chain.index(parent) :])
            self._done[name] = node
        else:
            inherited = self._one(parent, (*below, name))
            if parent in self._incomplete:
                self._incomplete.add(name)
            for key in _NOT_INHERITED:
                inherited = inherited.without(key)
            self._done[name] = merge(inherited, node)
        return self._done[name]

    def _cycle(self, members: tuple[str, ...]) -> None:
        """Reports a circle at the member that stands first in the file."""
        self._incomplete.update(members)
        if len(members) == 1:
            message = f"{self._noun} '{members[0]}' inherits from itself"
            span = self._things.at(members[0], "inherit_from").span
            self._diagnostics.error("inherit-cycle", span, message, Note("help", "remove 'inherit_from'"))
            return
        first = min(range(len(members)), key=lambda n: self._things.at(members[n], "inherit_from").span)
        chain = (*members[first:], *members[:first])
        last = self._things.at(chain[-1], "inherit_from").span
        message = f"{self._noun}s inherit from each other: {' -> '.join((*chain, chain[0]))}"
        help_ = f"remove one 'inherit_from'; '{chain[-1]}' inherits from '{chain[0]}' at {last}"
        self._diagnostics.error(
            "inherit-cycle", self._things.at(chain[0], "inherit_from").span, message, Note("help", help_)
        )


def merge(parent: Node, child: Node) -> Node:
    """`child` over `parent`. A null that removes nothing stays, so that a mistyped key is still seen."""
    data, keys = dict(parent.map), dict(parent.keys)
    for key, node in child.map.items():
        inherited = data.pop(key, None)
        keys[key] = child.keys[key]
        if node.data is None and inherited is not None:
            continue
        both_maps = inherited is not None and isinstance(inherited.data, dict) and isinstance(node.data, dict)
        data[key] = merge(inherited, node) if both_maps and inherited is not None else node
    return Node(child.span, data, keys) if isinstance(child.data, dict) else child
