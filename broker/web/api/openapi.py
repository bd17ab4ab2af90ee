"""openapi.json (OpenAPI 3.1), made from the table of routes and its models.

`python -m broker.web.api.openapi` prints it; `make docs` writes the file.
"""

import json
import re
import sys
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from broker.domain.operators import Role
from broker.web.api import models as api
from broker.web.api.routes import PREFIX, ROUTES, Route

_REF: Final = "#/components/schemas/{model}"
_DESCRIPTIONS: Final = {
    400: "The call cannot be read.",
    401: "It needs a token.",
    403: "The token may not do that.",
    404: "There is no such thing.",
    409: "It cannot be done as things stand, such as the end of an agent that runs a build.",
    413: "The body is too large.",
    415: "The body is not JSON.",
    422: "The config cannot be used; nothing has changed.",
    503: "The store cannot be read or written now.",
}


def document() -> dict[str, Any]:
    """The description of the API."""
    shapes = _shapes()
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "agentbroker",
            "version": "1",
            "description": "For operators. Keys are added, never removed; times are RFC 3339 UTC, durations seconds.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": PREFIX}],
        "security": [{"token": []}, {}],
        "paths": _paths(),
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": dict(sorted(shapes.items())),
        },
    }


def text() -> str:
    """The file as it is committed."""
    return json.dumps(document(), indent=1, ensure_ascii=False) + "\n"


def _shapes() -> dict[str, Any]:
    answers: list[type[BaseModel]] = [api.Error, api.Event, api.Resync]
    answers += [route.answer for route in ROUTES if route.answer is not None]
    wanted: list[tuple[type[BaseModel], Any]] = [(model, "serialization") for model in dict.fromkeys(answers)]
    wanted += [(route.body, "validation") for route in ROUTES if route.body is not None]
    _, schema = models_json_schema(wanted, ref_template=_REF)
    return dict(schema["$defs"])


def _paths() -> dict[str, Any]:
    paths: dict[str, Any] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return paths


def _operation(route: Route) -> dict[str, Any]:
    found: dict[str, Any] = {
        "operationId": route.operation,
        "summary": route.summary,
        "parameters": [*_path_parameters(route), *_query_parameters(route)],
        "responses": _responses(route),
    }
    if route.role is Role.OPERATOR:
        found["description"] = "Needs the role operator."
    if route.body is not None:
        found["requestBody"] = {"content": {"application/json": {"schema": _ref(route.body)}}}
    return found


def _responses(route: Route) -> dict[str, Any]:
    shape: dict[str, str] = _ref(route.answer) if route.answer else {"type": "object"}
    content: dict[str, Any] = {"application/json": {"schema": shape}}
    if route.streams:
        content["text/event-stream"] = {
            "schema": {"type": "string", "description": "Server-sent events; data is JSON."}
        }
    found: dict[str, Any] = {"200": {"description": "Done.", "content": content}}
    forbidden = (403,) if route.role is Role.OPERATOR or route.streams else ()
    for status in sorted({400, 401, 503, *forbidden, *route.statuses}):
        error = {"application/json": {"schema": _ref(api.Error)}}
        found[str(status)] = {"description": _DESCRIPTIONS[status], "content": error}
    return found


def _path_parameters(route: Route) -> list[dict[str, Any]]:
    names = re.findall(r"\{(\w+)\}", route.path)
    return [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]


def _query_parameters(route: Route) -> list[dict[str, Any]]:
    schema = route.query.model_json_schema(ref_template=_REF)
    required = set(schema.get("required", ()))
    return [_query_parameter(name, dict(shape), name in required) for name, shape in schema["properties"].items()]


def _query_parameter(name: str, shape: dict[str, Any], required: bool) -> dict[str, Any]:
    description = shape.pop("description", "")
    shape.pop("title", None)
    kinds = [kind for kind in shape.get("anyOf", ()) if kind != {"type": "null"}]
    if len(kinds) == 1:  # a parameter that is not there is not null
        del shape["anyOf"], shape["default"]
        shape |= kinds[0]
    return {"name": name, "in": "query", "required": required, "description": description, "schema": shape}


def _ref(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": _REF.format(model=model.__name__)}


if __name__ == "__main__":
    sys.stdout.write(text())
