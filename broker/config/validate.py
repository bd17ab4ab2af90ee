"""Checks a tree against a model: pydantic's errors become diagnostics at the right places."""

import re
from collections.abc import Mapping, Sequence, Set
from typing import Any, Final, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from broker.config.base import Model, known_keys
from broker.config.diagnostics import START, Diagnostics, Note, Span
from broker.config.fields import model_at
from broker.config.instead import instead_of
from broker.config.nodes import Node, Path, resolve
from broker.config.secrets import may_be_secret
from broker.config.suggest import nearest
from broker.config.units import describe

M = TypeVar("M", bound=Model)

_EXPECTED: Final[Mapping[str, str]] = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing_size": "a smaller number",
    "float_type": "a number",
    "finite_number": "a number",
    "bool_type": "true or false",
    "string_type": "a text",
    "list_type": "a list",
    "dict_type": "a map",
    "model_type": "a map",
}
_BOUNDS: Final[Mapping[str, tuple[str, str]]] = {
    "greater_than_equal": ("ge", "at least"),
    "greater_than": ("gt", "more than"),
    "less_than_equal": ("le", "at most"),
    "less_than": ("lt", "less than"),
}


def validate(model: type[M], root: Node, diagnostics: Diagnostics, incomplete: Set[Path]) -> M | None:
    """The model of a tree, less what is wrong in it, which goes to the diagnostics.

    None if nothing of it can be used. So that one mistake does not hide another, an entry that is wrong is left out
    and the rest is checked and used. Maps at `incomplete` may lack keys: they inherit from what is not there.
    """
    data: Any = root.plain()
    problems = _problems(model, data)
    if problems and _read_variables(data, root, problems):
        problems = _problems(model, data)
    for found in problems:
        if found["type"] != "missing" or found["loc"][:2] not in incomplete:
            _Report(model, root, found, diagnostics).add()
    for _ in range(5):
        if not problems:
            return model.model_validate(data)
        for found in problems:
            _leave_out(data, found["loc"])
        if any(found["loc"] == ("version",) for found in problems):
            data["version"] = 1
        problems = _problems(model, data)
    return None


def _problems(model: type[Model], data: object) -> list[ErrorDetails]:
    try:
        model.model_validate(data)
    except ValidationError as error:
        return error.errors(include_url=False)
    return []


def _read_variables(data: Any, root: Node, problems: list[ErrorDetails]) -> bool:
    """Reads texts that came from variables as numbers or booleans where those belong; says whether there are any."""
    read = False
    for found in problems:
        *before, last = found["loc"] or ("",)
        node = root.at(*found["loc"])
        if node.from_env and found["type"] in {"int_type", "float_type", "bool_type"} and isinstance(node.data, str):
            owner = data
            for part in before:
                owner = owner[part]
            owner[last] = resolve(node.data)
            read = True
    return read


def _leave_out(data: object, loc: Sequence[str | int]) -> None:
    """Removes the entry that an error is about; of a list's item, the whole list, so that indexes stay right."""
    owner: tuple[dict[str, Any], str] | None = None
    for part in loc:
        if isinstance(data, dict) and part in data:
            owner = (data, str(part))
            data = data[part]
        elif isinstance(data, list) and isinstance(part, int) and part < len(data):
            data = data[part]
        else:
            break
    if owner:
        owner[0].pop(owner[1], None)


_OF_URLS: Final = frozenset({"bad-url", "bad-database-url"})
"""Errors about values that may have a password in them, wherever that ends."""
_UNQUOTED: Final = re.compile(r"true|false|-?[0-9]+")


class _Report:
    """One error of pydantic in our words."""

    def __init__(self, model: type[Model], root: Node, found: ErrorDetails, diagnostics: Diagnostics) -> None:
        self._model = model
        self._root = root
        self._path: Path = found["loc"]
        self._type = found["type"]
        self._input = found["input"]
        self._context: dict[str, Any] = found.get("ctx", {})
        self._fallback = found["msg"]
        self._diagnostics = diagnostics

    def add(self) -> None:
        """Adds it to the diagnostics, at the value unless it is about a key."""
        span = self._root.at(*self._path).span
        if self._diagnostics.has_error_at(span) and self._type not in {"extra_forbidden", "missing"}:
            return
        if may_be_secret(self._path) or (self._context.get("code") in _OF_URLS and "@" in str(self._input)):
            self._diagnostics.mask(span)
        if self._type == "extra_forbidden":
            self._unknown_key()
        elif self._type == "missing":
            self._missing_key()
        elif self._type == "config":
            self._own(span)
        elif self._type == "literal_error":
            self._unknown_value(span)
        elif self._type in _EXPECTED:
            message = f"expected {_EXPECTED[self._type]}, got {self._found()}"
            self._diagnostics.error("wrong-type", span, message, *self._type_help())
        elif self._type in _BOUNDS:
            key, words = _BOUNDS[self._type]
            message = f"'{self._key()}' must be {words} {self._context[key]:g}, got {self._input}"
            self._diagnostics.error("out-of-range", span, message)
        else:
            self._other(span)

    def _key(self) -> str:
        return next((part for part in reversed(self._path) if isinstance(part, str)), "")

    def _found(self) -> str:
        """What stands there, in words, unless it may be a secret."""
        return "something else" if may_be_secret(self._path) else describe(self._input)

    def _own(self, span: Span) -> None:
        code, message, help_ = (str(self._context[name]) for name in ("code", "message", "help"))
        self._diagnostics.error(code, span, message, *((Note("help", help_),) if help_ else ()))

    def _other(self, span: Span) -> None:
        if self._type in {"too_short", "string_too_short"}:
            message = f"'{self._key()}' must not be empty"
        elif self._type in {"too_long", "string_too_long"}:
            unit = "items" if self._type == "too_long" else "characters"
            message = f"'{self._key()}' may have at most {self._context['max_length']} {unit}"
        elif self._type == "string_pattern_mismatch":
            message = f"{self._found()} is not allowed for '{self._key()}'"
        else:
            message = self._fallback
        self._diagnostics.error("bad-value", span, message)

    def _type_help(self) -> tuple[Note, ...]:
        value = self._input
        if may_be_secret(self._path):
            return (Note("help", "put it in quotes"),) if self._type == "string_type" else ()
        is_scalar = self._type in {"bool_type", "int_type", "float_type"}
        if is_scalar and isinstance(value, str) and _UNQUOTED.fullmatch(value):
            return (Note("help", "remove the quotes"),)
        if self._type == "bool_type" and isinstance(value, str) and value.lower() in {"yes", "no", "on", "off"}:
            return (Note("help", f"write '{'true' if value.lower() in {'yes', 'on'} else 'false'}'"),)
        if self._type == "string_type" and isinstance(value, bool | int | float):
            written = str(value).lower() if isinstance(value, bool) else value
            return (Note("help", f"quote it: '{written}'"),)
        if self._type == "list_type" and isinstance(value, str):
            return (Note("help", f"write '[{value}]'"),)
        return ()

    def _unknown_key(self) -> None:
        key, owner = str(self._path[-1]), model_at(self._model, self._path[:-1])
        known = sorted(known_keys(owner)) if owner else []
        meant = nearest(key, known)
        instead = instead_of(key, self._path[:-1], self._root) or (f"did you mean '{meant}'?" if meant else "")
        help_ = (Note("help", instead),) if instead else ()
        of = (owner.noun if owner else "") or self._called(self._path[:-1])
        keys = Note("keys", f" {', '.join(known)}")
        self._diagnostics.error(
            "unknown-key", self._root.key(*self._path), f"'{key}' is not a key of {of}", *help_, keys
        )

    @staticmethod
    def _called(path: Sequence[str | int]) -> str:
        last = next(part for part in reversed(path) if isinstance(part, str))
        return f"an item of '{last}'" if isinstance(path[-1], int) else f"'{last}'"

    def _missing_key(self) -> None:
        *before, key = self._path
        owner = model_at(self._model, self._path[:-1])
        noun = owner.noun.removeprefix("a ") if owner else ""
        if not before:
            name, span = "the file", START
        else:
            name = f"{noun} {self._called(before)}" if noun else self._called(before)
            span = self._root.key(*before)
        self._diagnostics.error("missing-key", span, f"{name} has no '{key}'")

    def _unknown_value(self, span: Span) -> None:
        choices = re.findall(r"'([^']*)'", self._context["expected"]) or [self._context["expected"]]
        meant = nearest(self._input, choices) if isinstance(self._input, str) else None
        notes = [Note("help", f"did you mean '{meant}'?")] if meant else []
        notes.append(Note("note", f"one of: {', '.join(choices)}"))
        message = f"{self._found()} is not a value of '{self._key()}'"
        self._diagnostics.error("unknown-value", span, message, *notes)
