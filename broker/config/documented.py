"""What is said of every key of the file: made from the models, for the schema, `config explain` and the reference."""

import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from pydantic import TypeAdapter
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from broker.config.base import Model, known_keys
from broker.config.fields import as_model, bare, below, field_of
from broker.config.model import BrokerFile
from broker.config.model_pools import BACKEND_KEYS, HOST_PATHS, HOSTLESS, POOL_KEYS, WITH_HOSTS
from broker.config.suggest import nearest

_UNITS: Final[Mapping[object, tuple[str, str]]] = {
    "90s": ("a duration", "ms, s, m, h, d; such as 1h30m"),
    "2Gi": ("a size", "Ki, Mi, Gi, Ti"),
    "20/s": ("a rate", "a number for each s, m or h"),
    "2s..30s": ("a range of durations", "two durations: ms, s, m, h, d"),
    "127.0.0.1:7070": ("an address and a port", ""),
}
"""What a type with a unit is, by the example that its type gives."""
_KINDS: Final[Mapping[type, str]] = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyDoc:
    """One key: what it is, what it may be, and for which types of backends it is, empty for all."""

    path: str
    description: str
    kind: str
    required: bool
    default: object
    examples: tuple[object, ...]
    unit: str
    keys: tuple[str, ...]
    only_for: tuple[str, ...]


def document(model: type[Model], key: str, path: str = "") -> KeyDoc:
    """The doc of a key of a model; `path` is its place, with `*` for names."""
    field = field_of(model, key)
    assert field is not None
    known = [example for example in type_examples(field) if isinstance(example, str) and example in _UNITS]
    kind, unit = _UNITS[known[0]] if known else ("", "")
    inner = inner_model(field.annotation)
    table = {"pools": POOL_KEYS, "backends": BACKEND_KEYS}.get(path.partition(".")[0], {})
    owners = [kind for kind, keys in table.items() if key in keys] if path.count(".") == 2 else []
    if path.startswith("pools.") and tuple(path.split(".")[2:]) in HOST_PATHS:
        counted = path.split(".")[2] == "limits"
        owners = [kind for kind in POOL_KEYS if kind in WITH_HOSTS or (not counted and kind not in HOSTLESS)]
    return KeyDoc(
        path=path,
        description=field.description or "",
        kind=kind or kind_of(field.annotation),
        required=field.is_required(),
        default=default_of(field),
        examples=examples_of(field),
        unit=unit,
        keys=tuple(known_keys(inner)) if inner else (),
        only_for=tuple(owners),
    )


def find(path: str) -> KeyDoc:
    """The doc of a path such as `pools.fargate.limits.agents` or `pools.*.limits`. KeyError with a sentence."""
    model: type[Model] = BrokerFile
    kind: Any = BrokerFile
    shown: list[str] = []
    found: KeyDoc | None = None
    for part in [part for part in path.split(".") if part]:
        here = as_model(kind)
        if here is None:
            if typing.get_origin(bare(kind)) not in {dict, list}:
                raise KeyError(f"'{'.'.join(shown)}' has no keys")
            shown.append("*")
            kind = below(kind, 0)
            continue
        if part not in known_keys(here):
            meant = nearest(part, known_keys(here))
            where = f"in '{'.'.join(shown)}'" if shown else "at the top"
            raise KeyError(f"no '{part}' {where}{f'; did you mean {meant!r}?' if meant else ''}")
        model, kind = here, below(here, part)
        shown.append(part)
        found = document(model, part, ".".join(shown))
    if found is None:
        raise KeyError(f"the file has: {', '.join(known_keys(BrokerFile))}")
    return found


def walk(model: type[Model] = BrokerFile, path: tuple[str, ...] = ()) -> Iterator[KeyDoc]:
    """Every key of the file, in its order, each place once."""
    for key in known_keys(model):
        field = field_of(model, key)
        assert field is not None
        yield document(model, key, ".".join((*path, key)))
        inner = inner_model(field.annotation)
        if inner is not None:
            many = as_model(field.annotation) is None
            yield from walk(inner, (*path, key, "*") if many else (*path, key))


def inner_model(kind: Any) -> type[Model] | None:
    """The model of a map, of the values of a map of maps, or of the items of a list."""
    return as_model(kind) or (as_model(below(kind, 0)) if typing.get_origin(bare(kind)) in {dict, list} else None)


def kind_of(kind: Any) -> str:
    """What may stand there, in words."""
    kind = bare(kind)
    if typing.get_origin(kind) is Literal:
        return f"one of {', '.join(str(choice) for choice in typing.get_args(kind))}"
    if as_model(kind) is not None:
        return "a map"
    if typing.get_origin(kind) in {dict, list}:
        inner = kind_of(below(kind, 0)).removeprefix("a ")
        return f"{'a map of' if typing.get_origin(kind) is dict else 'a list of'} {_plural(inner)}"
    return _KINDS.get(kind, "a text")


def _plural(word: str) -> str:
    return word if word.startswith(("one of", "true")) else f"{word}s"


def default_of(field: FieldInfo) -> object:
    """The default as the file would write it; None where there is none."""
    default = field.get_default()
    if default is None or default is PydanticUndefined:
        return None
    kind: Any = Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
    return TypeAdapter(kind).dump_python(default, mode="json", by_alias=True, exclude_none=True)


def type_examples(field: FieldInfo) -> tuple[object, ...]:
    """The examples that a field's type gives, such as `90s` of a duration."""
    kind: Any = Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
    found = TypeAdapter(kind).json_schema()
    alternatives = [found, *found.get("anyOf", ())]
    return tuple(example for one in alternatives for example in one.get("examples", ()))


def examples_of(field: FieldInfo) -> tuple[object, ...]:
    """What one might write: the field's own examples, else those of its type, its choices, its default."""
    kind = bare(field.annotation)
    if field.examples:
        return tuple(field.examples)
    if typing.get_origin(kind) is Literal:
        return typing.get_args(kind)
    if found := type_examples(field):
        return found
    if kind is bool:
        return (True, False)
    if (default := default_of(field)) and inner_model(kind) is None:
        return (default,)
    if kind in {int, float}:
        return (10,)
    inner = inner_model(kind)
    if inner is None:
        return ()
    whole = _whole_example(inner)
    if typing.get_origin(kind) is dict:
        return ({"NAME": whole},)
    return ([whole],) if typing.get_origin(kind) is list else (whole,)


def _whole_example(model: type[Model]) -> dict[str, object]:
    """A map with the keys that must be there, or else with its first one."""
    fields = {key: field for key in known_keys(model) if (field := field_of(model, key)) is not None}
    wanted = [key for key, field in fields.items() if field.is_required()] or list(fields)[:1]
    found = {key: next(iter(examples_of(fields[key])), None) for key in wanted}
    return {key: example for key, example in found.items() if example is not None}
