"""Values against botocore's service models: what fits, what does not and why."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, Final

Shape = Any
"""A botocore.model.Shape; botocore has no types."""

_TYPES: Final[Mapping[str, tuple[type, ...]]] = {
    "structure": (dict,),
    "map": (dict,),
    "list": (list, tuple),
    "string": (str,),
    "character": (str,),
    "integer": (int,),
    "long": (int,),
    "float": (int, float),
    "double": (int, float),
    "boolean": (bool,),
    "timestamp": (datetime,),
    "blob": (bytes,),
}


@dataclass(frozen=True, slots=True)
class Misfit:
    """One thing that does not fit. `kind` is type, unknown, missing, enum, pattern, length or range."""

    kind: str
    path: str
    words: str

    def __str__(self) -> str:
        """For a message."""
        return f"{self.path or 'input'}: {self.words}"


def misfits(value: object, shape: Shape, path: str = "") -> Iterator[Misfit]:
    """All that keeps `value` from being one of `shape`."""
    kind: str = shape.type_name
    if not isinstance(value, _TYPES[kind]) or (isinstance(value, bool) and kind != "boolean"):
        yield Misfit("type", path, f"{type(value).__name__} can not be converted to {kind}")
    elif isinstance(value, dict):
        yield from _of_structure(value, shape, path) if kind == "structure" else _of_map(value, shape, path)
    elif isinstance(value, (list, tuple)):
        yield from _length(len(value), shape, path, value)
        for index, item in enumerate(value, 1):
            yield from misfits(item, shape.member, f"{path}.{index}.member")
    elif isinstance(value, str):
        yield from _of_string(value, shape, path)
    elif isinstance(value, bytes):
        yield from _length(len(value), shape, path, "(bytes)")
    elif isinstance(value, (int, float)) and kind != "boolean":
        yield from _range(value, shape, path)


def _of_structure(value: dict[str, Any], shape: Shape, path: str) -> Iterator[Misfit]:
    members = shape.members
    if getattr(shape, "is_tagged_union", False) and len(value) != 1:
        yield Misfit("missing", path, f"exactly one of {', '.join(members)} must be given")
    for name in shape.required_members:
        if name not in value:
            yield Misfit("missing", _joined(path, name), "Member must not be null")
    for name, item in value.items():
        if name in members:
            yield from misfits(item, members[name], _joined(path, name))
        else:
            yield Misfit("unknown", _joined(path, name), f"not a member of {shape.name}")


def _of_map(value: dict[str, Any], shape: Shape, path: str) -> Iterator[Misfit]:
    yield from _length(len(value), shape, path, value)
    for name, item in value.items():
        yield from misfits(name, shape.key, f"{path}.key")
        yield from misfits(item, shape.value, f"{path}.{name}.member")


def _of_string(value: str, shape: Shape, path: str) -> Iterator[Misfit]:
    yield from _length(len(value), shape, path, value)
    choices = shape.metadata.get("enum")
    if choices and value not in choices:
        yield Misfit("enum", path, _failed(value, path, f"satisfy enum value set: [{', '.join(choices)}]"))
    pattern = _pattern(shape.metadata.get("pattern", ""))
    if pattern and not pattern.fullmatch(value):
        yield Misfit("pattern", path, _failed(value, path, f"satisfy regular expression pattern: {pattern.pattern}"))


def _length(length: int, shape: Shape, path: str, value: object) -> Iterator[Misfit]:
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    if least is not None and length < least:
        yield Misfit("length", path, _failed(value, path, f"have length greater than or equal to {least}"))
    if most is not None and length > most:
        yield Misfit("length", path, _failed(value, path, f"have length less than or equal to {most}"))


def _range(value: float, shape: Shape, path: str) -> Iterator[Misfit]:
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    if least is not None and value < least:
        yield Misfit("range", path, _failed(value, path, f"have value greater than or equal to {least}"))
    if most is not None and value > most:
        yield Misfit("range", path, _failed(value, path, f"have value less than or equal to {most}"))


def _failed(value: object, path: str, must: str) -> str:
    said = "" if _is_secret(path) else f"'{value}' "
    return f"Value {said}at '{path}' failed to satisfy constraint: Member must {must}"


def _is_secret(path: str) -> bool:
    return path.lower().endswith(("secretstring", "secretbinary", "value"))


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


@cache
def _pattern(text: str) -> re.Pattern[str] | None:
    """The model's pattern; None for none, and for one in a dialect that Python does not read."""
    try:
        return re.compile(text.replace(r"\p{L}\p{Z}\p{N}", r"\w\s")) if text else None
    except re.error:
        return None
