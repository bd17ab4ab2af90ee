"""JSON 1.1: https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html."""

import base64
import json
from datetime import UTC, datetime
from typing import Any, Final

from broker.demo.clouds.model import ApiError, Parameters
from broker.demo.clouds.shapes import Shape

CONTENT_TYPE: Final = "application/x-amz-json-1.1"


def read(body: bytes, shape: Shape | None) -> Parameters:
    """The members of a request; raises ApiError. A null is as if it were not there."""
    try:
        said = json.loads(body or b"{}")
    except ValueError:
        raise ApiError("SerializationException", "The request is no JSON") from None
    if not isinstance(said, dict):
        raise ApiError("SerializationException", "The request is no JSON object")
    if shape is None:
        return said
    taken: Parameters = _read(said, shape)
    return taken


def _read(value: Any, shape: Shape) -> Any:
    kind = shape.type_name
    if isinstance(value, dict) and kind == "structure":
        known = shape.members
        given = {name: item for name, item in value.items() if item is not None}
        return {name: _read(item, known[name]) if name in known else item for name, item in given.items()}
    if isinstance(value, dict) and kind == "map":
        return {name: _read(item, shape.value) for name, item in value.items() if item is not None}
    if isinstance(value, list) and kind == "list":
        return [_read(item, shape.member) for item in value]
    if kind == "timestamp" and isinstance(value, (int, float)) and not isinstance(value, bool):
        return datetime.fromtimestamp(value, UTC)
    if kind == "blob" and isinstance(value, str):
        return base64.b64decode(value)
    return value


def result(members: Parameters) -> bytes:
    """A reply's body."""
    return json.dumps(members, default=_plain).encode()


def error(wrong: ApiError) -> bytes:
    """An error's body."""
    return result({"__type": wrong.code, "message": wrong.message, **wrong.members})


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return round(value.timestamp(), 3)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    raise TypeError(f"{type(value).__name__} is nothing that JSON knows")
