"""What the models say of a place in the file: which model, field or kind of value stands there."""

import typing
from collections.abc import Sequence
from types import NoneType
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from broker.config.base import Model, known_keys


def model_at(model: type[Model], loc: Sequence[str | int]) -> type[Model] | None:
    """The model of the map that stands at `loc` below `model`."""
    kind: Any = model
    for part in loc:
        kind = below(kind, part)
    return as_model(kind)


def as_model(kind: Any) -> type[Model] | None:
    """The model that an annotation is, if it is one."""
    kind = bare(kind)
    return kind if isinstance(kind, type) and issubclass(kind, Model) else None


def bare(kind: Any) -> Any:
    """An annotation without `Annotated` and `| None`."""
    while True:
        if hasattr(kind, "__metadata__"):
            kind = kind.__origin__
            continue
        members = [arg for arg in typing.get_args(kind) if arg is not NoneType]
        if NoneType in typing.get_args(kind) and len(members) == 1:
            kind = members[0]
            continue
        return kind


def below(kind: Any, part: str | int) -> Any:
    """The annotation of what stands under a key or index of `kind`; None if nothing can."""
    kind = bare(kind)
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        field = field_of(kind, str(part))
        return field.annotation if field else None
    arguments = typing.get_args(kind) if typing.get_origin(kind) in {dict, list} else ()
    return arguments[-1] if arguments else None


def field_of(model: type[BaseModel], key: str) -> FieldInfo | None:
    """The field that the file writes as `key`."""
    name = known_keys(model).get(key)
    return model.model_fields[name] if name else None
