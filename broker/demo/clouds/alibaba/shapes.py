"""The SDK's own models as shapes: which members a request or a reply has, and of which types.

The models are read by what they do, not by their names: `to_map` says what a field is called on the wire.
"""

import importlib
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

MODELS: Final[Mapping[str, str]] = {"ecs": "alibabacloud_ecs20140526.models", "vpc": "alibabacloud_vpc20160428.models"}
_PLAIN: Final[Mapping[type, str]] = {str: "text", int: "integer", float: "number", bool: "boolean"}
_PROBES: Final[Mapping[str, Any]] = {"text": "x", "integer": 1, "number": 1.0, "boolean": True, "map": {"x": "x"}}
_FITS: Final[Mapping[str, tuple[type, ...]]] = {
    "text": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "map": (dict,),
}


@dataclass(frozen=True, slots=True)
class Shape:
    """text, integer, number, boolean, map, any, list (of `item`), structure (of `members`)."""

    kind: str
    item: "Shape | None" = None
    members: Mapping[str, "Shape"] = field(default_factory=dict)


def structure(**members: Shape) -> Shape:
    """A structure that no model of the SDK describes."""
    return Shape("structure", members=members)


def request_shape(service: str, action: str) -> Shape | None:
    """What a request may have; None for an action that the SDK does not know.

    Members that the SDK writes as JSON are texts, as they are on the wire.
    """
    return _named(service, f"{action}ShrinkRequest") or _named(service, f"{action}Request")


def reply_shape(service: str, action: str) -> Shape | None:
    """What a reply may have."""
    return _named(service, f"{action}ResponseBody")


@cache
def _named(service: str, name: str) -> Shape | None:
    if service not in MODELS:
        return None
    model = getattr(importlib.import_module(MODELS[service]), name, None)
    return _of_model(model) if model else None


@cache
def _of_model(model: Any) -> Shape:
    hints = typing.get_type_hints(model.__init__)
    return Shape("structure", members=dict(_member(model, name, hint) for name, hint in hints.items()))


def _member(model: Any, name: str, hint: Any) -> tuple[str, Shape]:
    shape = _of_hint(hint)
    probe = _probe(shape, hint)
    written = model(**{name: probe}).to_map() or {}
    found = [key for key, value in written.items() if value != []]  # lists are written even if nobody gave any
    if len(found) != 1:
        raise TypeError(f"{model.__name__}.{name} is written as {found}")
    return found[0], shape


def _of_hint(hint: Any) -> Shape:
    origin = typing.get_origin(hint)
    if origin is list:
        return Shape("list", item=_of_hint(typing.get_args(hint)[0]))
    if origin is dict:
        return Shape("map")
    if hint is Any:
        return Shape("any")
    return Shape(_PLAIN[hint]) if hint in _PLAIN else _of_model(hint)


def _probe(shape: Shape, hint: Any) -> Any:
    if shape.kind == "list":
        return [None]
    return hint() if shape.kind == "structure" else _PROBES.get(shape.kind, "x")


def misfits(value: object, shape: Shape, path: str = "") -> Iterator[str]:
    """All that keeps `value` from being of `shape`, in words."""
    where = path or "the reply"
    if shape.kind == "any":
        return
    if shape.kind == "structure":
        if not isinstance(value, dict):
            yield f"{where} is no structure"
            return
        for name, item in value.items():
            if name in shape.members:
                yield from misfits(item, shape.members[name], f"{path}.{name}" if path else name)
            else:
                yield f"{where} has no member {name}"
    elif shape.kind == "list":
        if not isinstance(value, list):
            yield f"{where} is no list"
            return
        for place, item in enumerate(value, 1):
            yield from misfits(item, shape.item or Shape("any"), f"{path}.{place}")
    elif not isinstance(value, _FITS[shape.kind]) or (isinstance(value, bool) and shape.kind != "boolean"):
        yield f"{where} is {type(value).__name__}, not {shape.kind}"
