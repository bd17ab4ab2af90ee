"""A YAML file as a tree that knows where everything stands.

PyYAML parses; scalars are read by the YAML 1.2 core schema, and what YAML 1.1 tools would read otherwise is refused.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

import yaml
from yaml.error import Mark, MarkedYAMLError
from yaml.reader import ReaderError

from broker.config.diagnostics import START, Diagnostics, Note, Span, lines_of

Scalar = None | bool | int | float | str
Path = tuple[str | int, ...]

MAX_NODES: Final = 100_000
_BOOLEANS: Final = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_NULLS: Final = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEAN_KEY: Final = re.compile(r"(?i:on|off|yes|no|true|false)")
_INTEGER: Final = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_SEXAGESIMAL: Final = re.compile(r"[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?")
_OTHER_BASE: Final = re.compile(r"[-+]?0(?:x[0-9a-fA-F_]+|o[0-7_]+|b[01_]+|[0-9_]+)")
_HALF: Final = re.compile(r"[\ud800-\udfff]")
_PLAIN_TAG: Final = frozenset({"tag:yaml.org,2002:str", "tag:yaml.org,2002:seq", "tag:yaml.org,2002:map"})


@dataclass(frozen=True, slots=True)
class Node:
    """A value and where it stands. `keys` has the places of a map's keys, whose values are in `data`.

    `from_env` says that an environment variable took part in a text.
    """

    span: Span
    data: "Scalar | dict[str, Node] | list[Node]"
    keys: dict[str, Span] = field(default_factory=dict)
    from_env: bool = False

    @property
    def map(self) -> "dict[str, Node]":
        """The entries of a map; empty for everything else."""
        return self.data if isinstance(self.data, dict) else {}

    @property
    def items(self) -> "list[Node]":
        """The items of a list; empty for everything else."""
        return self.data if isinstance(self.data, list) else []

    def plain(self) -> object:
        """The value without places."""
        if isinstance(self.data, dict):
            return {key: node.plain() for key, node in self.data.items()}
        if isinstance(self.data, list):
            return [node.plain() for node in self.data]
        return self.data

    def child(self, part: str | int) -> "Node | None":
        """The value of a key, or the item at an index."""
        if isinstance(self.data, dict):
            return self.data.get(str(part))
        if isinstance(self.data, list) and isinstance(part, int) and part < len(self.data):
            return self.data[part]
        return None

    def at(self, *path: str | int) -> "Node":
        """The node at `path`, or the deepest that exists on the way there."""
        node = self
        for part in path:
            below = node.child(part)
            if below is None:
                return node
            node = below
        return node

    def has(self, *path: str | int) -> bool:
        """Whether something stands at `path`."""
        node: Node | None = self
        for part in path:
            node = node.child(part) if node else None
        return node is not None

    def key(self, *path: str | int) -> Span:
        """Where the last key of `path` stands; for a list's item, where the item stands."""
        *before, last = path
        owner = self.at(*before)
        return owner.keys.get(str(last)) or owner.at(last).span

    def without(self, key: str) -> "Node":
        """A map less one entry."""
        rest = {k: v for k, v in self.map.items() if k != key}
        return Node(self.span, rest, self.keys)


Expand = Callable[[str, Span, Path], tuple[str, bool]]
"""Replaces `${VAR}` in a text that stands at a place; says whether it did."""


def read(text: str, diagnostics: Diagnostics, expand: Expand, file: str = "") -> Node | None:
    """The tree of a text; None after a syntax error, which ends up in `diagnostics` like everything else.

    `file` is what its spans name. A text whose anchors expand to more than `MAX_NODES` is refused.
    """
    try:
        root = yaml.compose(text, Loader=yaml.BaseLoader)
    except MarkedYAMLError as error:
        _syntax_error(error, diagnostics, file)
        return None
    except ReaderError as error:
        message = f"the character U+{ord(text[error.position]):04X} is not allowed"
        diagnostics.error("yaml-syntax", behind(text[: error.position], file), message)
        return None
    except (RecursionError, ValueError) as error:
        what = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        diagnostics.error("yaml-syntax", start_of(file), f"the file cannot be read as YAML: {what}")
        return None
    if root is None:
        return Node(start_of(file), {})
    return _Builder(diagnostics, expand, file).build(root, ())


def half_character(text: str) -> str | None:
    """The first surrogate in a text, if there is one."""
    found = _HALF.search(text)
    return found[0] if found else None


def start_of(file: str) -> Span:
    """The first character of a file."""
    return replace(START, file=file)


def behind(before: str, file: str) -> Span:
    """The character behind the beginning of a file."""
    lines = lines_of(before)
    line, column = len(lines), len(lines[-1]) + 1
    return Span(line, column, line, column + 1, file)


def _syntax_error(error: MarkedYAMLError, diagnostics: Diagnostics, file: str) -> None:
    mark = error.problem_mark or error.context_mark
    span = Span(mark.line + 1, mark.column + 1, mark.line + 1, mark.column + 2, file) if mark else start_of(file)
    problem = error.problem or "not YAML"
    if "'\\t'" in problem:
        message = "a tab stands where YAML allows only spaces"
        diagnostics.error("yaml-tab", span, message, Note("help", "replace the tab with spaces"))
        return
    notes = []
    if error.context and error.context_mark:
        begun = error.context_mark
        notes.append(Note("note", f"{error.context} at {begun.line + 1}:{begun.column + 1}"))
    if problem.endswith("but got '{'"):
        notes.append(Note("help", "quote a '${NAME}' that stands inside of { } or [ ]"))
    if problem == "mapping values are not allowed here":
        notes.append(Note("help", "indent the line like its neighbours, or quote a text that contains ': '"))
    diagnostics.error("yaml-syntax", span, problem.strip().replace("\n", " "), *notes)


class _Builder:
    """Turns PyYAML's nodes into ours."""

    def __init__(self, diagnostics: Diagnostics, expand: Expand, file: str) -> None:
        self._diagnostics = diagnostics
        self._expand = expand
        self._file = file
        self._open: set[int] = set()
        self._count = 0

    def _span(self, start: Mark, end: Mark) -> Span:
        return Span(start.line + 1, start.column + 1, end.line + 1, end.column + 1, self._file)

    def build(self, node: yaml.Node, path: Path) -> Node:
        span = self._span(node.start_mark, node.end_mark)
        self._count += 1
        if id(node) in self._open or self._count > MAX_NODES:
            self._diagnostics.error("yaml-alias", span, "this anchor contains itself, or expands to too much")
            return Node(span, None)
        if node.tag not in _PLAIN_TAG:
            help_ = Note("help", "remove the tag; write a text in quotes")
            self._diagnostics.error("yaml-tag", span, f"the tag '{node.tag}' has no meaning here", help_)
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, span, path)
        self._open.add(id(node))
        try:
            if isinstance(node, yaml.MappingNode):
                return self._mapping(node, span, path)
            return Node(span, [self.build(item, (*path, n)) for n, item in enumerate(node.value)])
        finally:
            self._open.discard(id(node))

    def _is_text(self, text: str, span: Span) -> bool:
        """Half a character, by an escape or of a variable, is none that could be sent or stored."""
        if (half := half_character(text)) is None:
            return True
        self._diagnostics.error("yaml-syntax", span, f"the character U+{ord(half):04X} is not allowed")
        return False

    def _mapping(self, node: yaml.MappingNode, span: Span, path: Path) -> Node:
        data: dict[str, Node] = {}
        keys: dict[str, Span] = {}
        for key_node, value_node in node.value:
            at = self._span(key_node.start_mark, key_node.end_mark)
            if not isinstance(key_node, yaml.ScalarNode):
                self._diagnostics.error("yaml-key", at, "a key must be a text")
                continue
            key = str(key_node.value)
            if not self._is_text(key, at) or not self._key_is_fine(key, key_node.style, at, path):
                continue
            if key in keys:
                note = Note("note", f"'{key}' stands first at {keys[key]}")
                self._diagnostics.error("duplicate-key", at, f"the key '{key}' stands twice", note)
                continue
            keys[key] = at
            data[key] = self.build(value_node, (*path, key))
        return Node(span, data, keys)

    def _key_is_fine(self, key: str, style: str | None, at: Span, path: Path) -> bool:
        if style is not None:
            return True
        if _BOOLEAN_KEY.fullmatch(key):
            boolean = "true" if key.lower() in {"on", "yes", "true"} else "false"
            instead = (
                "did you mean 'when'?" if path[-2:-1] == ("fallback",) else f"quote it to use it as a name: '{key}'"
            )
            message = f"'{key}' is read as the boolean {boolean} by YAML 1.1 tools, and is not a key here"
            wide = replace(at, end_column=at.end_column + 1)
            self._diagnostics.error("yaml-boolean-key", wide, message, Note("help", instead))
            return False
        if key == "<<":
            help_ = Note("help", "use 'inherit_from' in templates and pools")
            self._diagnostics.error("yaml-merge-key", at, "'<<' is not part of YAML 1.2", help_)
            return False
        return True

    def _scalar(self, node: yaml.ScalarNode, span: Span, path: Path) -> Node:
        text = str(node.value)
        text, from_env = self._expand(text, span, path) if "$" in text else (text, False)
        if not self._is_text(text, span):
            return Node(span, None)
        if node.style is not None or from_env:  # what a variable holds becomes a number where one belongs
            return Node(span, text, from_env=from_env)
        if _SEXAGESIMAL.fullmatch(text) or _OTHER_BASE.fullmatch(text):
            help_ = Note("help", f"quote it if it is a text: '{text}'; write numbers in decimals, times with a unit")
            message = f"YAML versions do not agree on what {text} is"
            self._diagnostics.error("ambiguous-number", span, message, help_)
            return Node(span, text)
        return Node(span, resolve(text))


def resolve(text: str) -> Scalar:
    """What an unquoted text means by the YAML 1.2 core schema, in decimals."""
    if text in _NULLS:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if len(text) > 40:
        return text
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text
