"""What `AGENTBROKER_*` variables put over the file: `AGENTBROKER_POOLS__FARGATE__LIMITS__AGENTS=140`.

Two underscores part the steps of a path. Letters' case does not count, and a name's hyphens are written as
underscores. A value is taken as a text, which becomes a number or a boolean where one belongs; one that begins with
`[`, `{` or a quote is YAML. An empty value is the default.

Order: flag, variable, timed override, file, default. A timed override counts after inheritance, for its pool alone, and
never for a key that a variable has set.
"""

import re
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from broker.config.base import known_keys
from broker.config.diagnostics import Diagnostics, Note, Span, lines_of
from broker.config.fields import as_model, bare, below
from broker.config.model import BrokerFile
from broker.config.nodes import Node, Path, half_character, read
from broker.config.secrets import is_secret, may_be_secret
from broker.config.suggest import nearest
from broker.domain.timed_override import TimedOverride

PREFIX: Final = "AGENTBROKER_"
RESERVED: Final = frozenset({"AGENTBROKER_CONFIG", "AGENTBROKER_URL", "AGENTBROKER_TOKEN_FILE"})
"""What the command itself reads. No variable without two underscores is an override."""

_SECTION: Final = re.compile(rf"(?:{'|'.join(known_keys(BrokerFile))})(?:_.*)?", re.IGNORECASE | re.DOTALL)
_SERVICE_LINK: Final = re.compile(r".*_(?:SERVICE_(?:HOST|PORT)(?:_.*)?|PORT(?:_[0-9]+_(?:TCP|UDP)(?:_[A-Z]+)?)?)")
"""What an orchestrator sets for a service that is called as we are, such as AGENTBROKER_GATEWAY_SERVICE_HOST."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """A value for a place in the file, and the variable that it comes from."""

    path: Path
    node: Node
    variable: str


class UnknownPlace(Exception):
    """A path that leads nowhere; its text says where it ends."""

    def __init__(self, message: str, *notes: Note) -> None:
        """`notes` is the help for people."""
        super().__init__(message)
        self.notes = notes


def from_environment(env: Mapping[str, str], root: Node, diagnostics: Diagnostics) -> list[Override]:
    """The overrides in an environment, those of whole maps before those inside of them."""
    found: dict[Path, Override] = {}
    for variable in sorted(name for name in env if name.upper().startswith(PREFIX) and name not in RESERVED):
        value, place = env[variable], Span(1, 1, 1, max(2, len(lines_of(env[variable])[0]) + 1), f"${variable}")
        steps = variable[len(PREFIX) :].split("__")
        if len(steps) == 1 and (not _SECTION.fullmatch(steps[0]) or _SERVICE_LINK.fullmatch(steps[0])):
            continue
        diagnostics.add_source(place.file, value)
        try:
            path = _path(steps, root)
        except UnknownPlace as error:
            diagnostics.mask(place)
            message = f"environment variable {variable} names nothing: {error}"
            diagnostics.error("unknown-override", place, message, *error.notes)
            continue
        if may_be_secret(path) or is_secret(path):
            diagnostics.mask(place)
        if (other := found.get(path)) is not None:
            message = f"environment variables {other.variable} and {variable} are the same key"
            diagnostics.error("ambiguous-override", place, message, Note("help", "unset one of them"))
            continue
        node = _value(value, place, diagnostics)
        if node is not None:
            found[path] = Override(path=path, node=node, variable=variable)
    return sorted(found.values(), key=lambda override: len(override.path))


def from_operators(timed: Iterable[TimedOverride], root: Node, diagnostics: Diagnostics) -> list[Override]:
    """What operators have set for a time; a key that a variable has set cannot be."""
    found = []
    for one in timed:
        command = f"pool set {one.pool} {one.key}"
        place = Span(1, 1, 1, len(one.value) + 1, command)
        diagnostics.add_source(command, one.value)
        there = root.at(*one.path) if root.has(*one.path) else None
        if there is not None and there.span.file.startswith("$"):
            message = f"'{'.'.join(one.path)}' is set by the environment variable {there.span.file[1:]}"
            diagnostics.error(
                "set-by-variable", place, message, Note("help", "change the variable; it needs a restart")
            )
        elif (node := _value(one.value, place, diagnostics)) is not None:
            found.append(Override(path=one.path, node=node, variable=""))
    return found


def apply(root: Node, overrides: Iterable[Override]) -> Node:
    """The tree with the overrides in it; maps that are missing on the way are made."""
    for override in overrides:
        root = _with(root, override.path, override.node)
    return root


def _with(node: Node, path: Path, value: Node) -> Node:
    if not path:
        return value
    part, *rest = path
    if isinstance(node.data, list) and isinstance(part, int):
        items = list(node.data)
        items[part] = _with(items[part], tuple(rest), value)
        return Node(node.span, items)
    key = str(part)
    below_ = node.map.get(key) or Node(value.span, {})
    keys = {**node.keys, key: node.keys.get(key, value.span)}
    return Node(node.span, {**node.map, key: _with(below_, tuple(rest), value)}, keys)


def _value(text: str, place: Span, diagnostics: Diagnostics) -> Node | None:
    if not text:
        return Node(place, None)
    if text[0] in "[{\"'":
        return read(text, diagnostics, lambda found, _span, _path: (found, False), place.file)
    if (half := half_character(text)) is not None:
        diagnostics.error("yaml-syntax", place, f"the character U+{ord(half):04X} is not allowed")
        return None
    return Node(place, text, from_env=True)


def _path(steps: list[str], root: Node) -> Path:
    if len(steps) == 1:
        key = steps[0].split("_")[0].lower()
        help_ = Note("help", f"write two underscores between the parts: {PREFIX}{key.upper()}__NAME__KEY")
        raise UnknownPlace("it has no key in it", help_)
    path: list[str | int] = []
    node: Node | None = root
    kind: Any = BrokerFile
    for n, step in enumerate(steps):
        part = _step(step, node, kind, _Where(tuple(path), steps, n))
        path.append(part)
        node, kind = (node.child(part) if node else None), below(kind, part)
    return tuple(path)


@dataclass(frozen=True, slots=True)
class _Where:
    """How far a path has come."""

    done: Path
    steps: list[str]
    number: int

    def unknown(self, names: Iterable[str]) -> UnknownPlace:
        step, names = self.steps[self.number], list(names)
        place = f"in '{'.'.join(str(part) for part in self.done)}'" if self.done else "at the top of the file"
        meant = nearest(step.lower(), names)
        if meant is None:
            notes = (Note("keys", f" {', '.join(names)}"),) if names else ()
        else:
            steps = [*self.steps[: self.number], _written(meant), *self.steps[self.number + 1 :]]
            notes = (Note("help", f"did you mean {PREFIX}{'__'.join(steps)}?"),)
        return UnknownPlace(f"there is no '{step.lower()}' {place}", *notes)


def _step(step: str, node: Node | None, kind: Any, where: _Where) -> str | int:
    model, bare_kind = as_model(kind), bare(kind)
    if model is not None:
        return _named(step, known_keys(model), where, free=False)
    if typing.get_origin(bare_kind) is dict:
        names = node.map if node is not None else {}
        return _named(step, names, where, free=as_model(below(bare_kind, "")) is None)
    if typing.get_origin(bare_kind) is list and node is not None and step.isdecimal() and int(step) < len(node.items):
        if where.number + 1 < len(where.steps) and not isinstance(node.items[int(step)].data, dict):
            raise where.unknown(())
        return int(step)
    raise where.unknown(())


def _named(step: str, names: Iterable[str], where: _Where, *, free: bool) -> str:
    names = list(names)
    found = [name for name in names if _written(name) == _written(step)]
    if len(found) > 1:
        help_ = Note("help", "rename one of them, or change it in the file")
        raise UnknownPlace(f"'{step}' could be {' or '.join(repr(name) for name in found)}", help_)
    if not found and not free:
        raise where.unknown(names)
    return found[0] if found else step


def _written(name: str) -> str:
    return name.upper().replace("-", "_").replace(".", "_")
