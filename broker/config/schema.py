"""JSON Schema (draft-07) of the file, from the models that validate it.

What it cannot say, `config check` says: names that one part uses of another (and circles of them), keys of another
backend's type, values that only together make no sense, the environment, files on disk, and sums over units.
"""

from collections.abc import Mapping
from typing import Any, Final

from broker.config.base import Model, known_keys
from broker.config.documented import default_of, examples_of, inner_model
from broker.config.fields import field_of
from broker.config.model import BrokerFile
from broker.config.names import NAMED

SCHEMA_URL: Final = "https://agentbroker.example/schema/v1.json"
"""What the first line of a config names, so that editors complete and check it."""
MODELINE: Final = f"# yaml-language-server: $schema={SCHEMA_URL}"

_DRAFT: Final = "http://json-schema.org/draft-07/schema#"
_VARIABLE: Final = {"type": "string", "pattern": r"\$[{$]"}
"""A text with a variable in it may stand for anything."""
_INHERITING: Final = ("TemplateModel", "PoolModel")
_INHERITS: Final = {"properties": {"inherit_from": {"type": "string"}}, "required": ["inherit_from"]}

Json = dict[str, Any]


def schema() -> Json:
    """The schema as a value of JSON."""
    raw = BrokerFile.model_json_schema(by_alias=True)
    models = {model.__name__: model for model in _models(BrokerFile, {})}
    parts: Json = {name: _map(models[name], part) for name, part in raw.pop("$defs").items()}
    for name in _INHERITING:
        parts[name] = _inheriting(parts, name)
    top = _map(BrokerFile, raw)
    for noun, pattern in NAMED.items():
        top["properties"][noun]["propertyNames"] = {"pattern": f"^{pattern.pattern}$"}
    head = {"$schema": _DRAFT, "$id": SCHEMA_URL, "title": "broker.yaml of agentbroker"}
    return {**head, **top, "definitions": dict(sorted(parts.items()))}


def _models(model: type[Model], found: dict[type[Model], None]) -> dict[type[Model], None]:
    if model not in found:
        found[model] = None
        for field in model.model_fields.values():
            inner = inner_model(field.annotation)
            if inner is not None:
                _models(inner, found)
    return found


def _map(model: type[Model], raw: Mapping[str, Any]) -> Json:
    """One model: its keys, each with its doc; what is not required may be null, which means its default."""
    required = list(raw.get("required", ()))
    made: Json = {
        "type": "object",
        "description": raw.get("description", ""),
        "properties": {key: _key(model, key, raw["properties"][key]) for key in known_keys(model)},
        "additionalProperties": False,
    }
    return {**made, "required": required} if required else made


def _key(model: type[Model], key: str, raw: Mapping[str, Any]) -> Json:
    field = field_of(model, key)
    assert field is not None
    choices = _choices({k: v for k, v in raw.items() if k not in {"title", "description", "default", "examples"}})
    if not field.is_required():
        choices = [*(choice for choice in choices if choice != {"type": "null"}), {"type": "null"}]
    default, examples = default_of(field), examples_of(field)
    description = field.description or ""
    marks = [f"Default: `{inline(default)}`"] if default not in (None, {}, []) else []
    marks += [f"Example: `{key}: {inline(examples[0])}`"] if examples else []
    made = _alternatives(choices)
    made = {**made, "description": description, "markdownDescription": "\n\n".join([description, *marks])}
    if default is not None:
        made["default"] = default
    return {**made, "examples": list(examples)}


def _choices(raw: Mapping[str, Any]) -> list[Json]:
    """What may stand there, with the text of a variable beside everything that is no free text."""
    if "anyOf" in raw:
        found: list[Json] = []
        for one in raw["anyOf"]:
            found += [choice for choice in _choices(one) if choice not in found]
        return found
    if "$ref" in raw:
        return [{"$ref": raw["$ref"].replace("#/$defs/", "#/definitions/")}]
    kept = {key: value for key, value in raw.items() if key not in {"title", "examples", "default", "description"}}
    kind = kept.get("type")
    if kind == "array":
        return [{**kept, "items": _one(_choices(raw.get("items", {})))}]
    if kind == "object":
        values = raw.get("additionalProperties")
        if not isinstance(values, dict):
            return [kept]
        return [{**kept, "additionalProperties": _one([*_choices(values), {"type": "null"}])}]
    plain = kind == "null" or "const" in kept or (kind == "string" and not kept.keys() - {"type", "minLength"})
    return [kept] if plain or not kept else [kept, _VARIABLE]


def _alternatives(choices: list[Json]) -> Json:
    """One of them; a map or list that may be null is one choice, so that an editor says what is wrong inside of it."""
    first, *others = choices
    if others == [{"type": "null"}] and first.get("type") in {"object", "array"}:
        return {**first, "type": [first["type"], "null"]}
    return first if not others and "$ref" not in first else {"anyOf": choices}


def _one(choices: list[Json]) -> Json:
    return choices[0] if len(choices) == 1 else {"anyOf": choices}


def _inheriting(parts: Json, name: str) -> Json:
    """What is inherited may lack keys: they are required of a thing that inherits from nothing."""
    part = dict(parts[name])
    wanted = _required(parts, part)
    part.pop("required", None)
    for ref in _refs(part):
        parts[ref] = {key: value for key, value in parts[ref].items() if key != "required"}
    return {**part, "if": _INHERITS, "else": wanted} if wanted else part


def _required(parts: Json, part: Json) -> Json:
    """The keys that a map and the maps in it must have."""
    nested = {}
    for key, below in part["properties"].items():
        for choice in below.get("anyOf", ()):
            if "$ref" in choice and (found := _required(parts, parts[_name(choice)])):
                nested[key] = found
    made: Json = {"properties": nested} if nested else {}
    return {**made, "required": part["required"]} if "required" in part else made


def _refs(part: Json) -> set[str]:
    return {_name(c) for below in part["properties"].values() for c in below.get("anyOf", ()) if "$ref" in c}


def _name(choice: Json) -> str:
    return str(choice["$ref"]).removeprefix("#/definitions/")


def inline(value: object) -> str:
    """A value as the file would write it on one line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{key}: {inline(below)}' for key, below in value.items())} }}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(inline(item) for item in value)}]"
    return str(value)
