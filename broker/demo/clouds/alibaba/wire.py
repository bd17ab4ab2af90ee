"""The RPC style of the API: parameters in the query or a form, JSON out.

https://www.alibabacloud.com/help/en/sdk/product-overview/v3-request-structure-and-signature. `Name.1.Key` is a member
of the first item of a list, `SystemDisk.Size` one of a structure.
"""

import json
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl

from broker.demo.clouds.alibaba.shapes import Shape
from broker.demo.clouds.model import ApiError, Parameters

CONTENT_TYPE: Final = "application/json;charset=utf-8"
FORM: Final = "application/x-www-form-urlencoded"
COMMON: Final = frozenset(
    [
        "Action",
        "Version",
        "Format",
        "AccessKeyId",
        "Signature",
        "SignatureMethod",
        "SignatureVersion",
        "SignatureNonce",
        "SignatureType",
        "Timestamp",
        "SecurityToken",
    ]
)
"""What the old signature puts among the parameters."""


def fields(query: str) -> dict[str, str]:
    """The fields of a query or form; one that is there twice is refused."""
    found: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query), errors="strict"):
        if name in found:
            raise ApiError("InvalidParameter", f"The specified parameter {name} is given twice.")
        found[name] = value
    return found


def read(said: Mapping[str, str], shape: Shape) -> Parameters:
    """The members of a request; raises ApiError.

    The vendor ignores parameters that it does not know; the fake refuses them, so that no misspelt name goes unseen.
    An empty value is as good as none, as it is for the vendor.
    """
    tree: dict[str, Any] = {}
    for name, value in said.items():
        if value != "" or name.endswith(".Value"):
            _plant(tree, name.split("."), name, value)
    return _structure(tree, shape, "")


def _plant(tree: dict[str, Any], path: list[str], name: str, value: str) -> None:
    for step in path[:-1]:
        tree = tree.setdefault(step, {})
        if not isinstance(tree, dict):
            raise unknown(name)
    tree[path[-1]] = value


def _structure(node: dict[str, Any], shape: Shape, path: str) -> Parameters:
    taken: Parameters = {}
    for name, value in node.items():
        where = f"{path}.{name}" if path else name
        if name not in shape.members:
            raise unknown(where)
        taken[name] = _take(value, shape.members[name], where)
    return taken


def _take(node: Any, shape: Shape, path: str) -> Any:
    if shape.kind in {"structure", "list"} and not isinstance(node, dict):
        raise malformed(path)
    if shape.kind == "structure":
        return _structure(node, shape, path)
    if shape.kind == "list":
        return _list(node, shape.item or Shape("text"), path)
    if isinstance(node, dict):
        raise unknown(f"{path}.{next(iter(node))}")
    return _scalar(node, shape.kind, path)


def _list(node: dict[str, Any], item: Shape, path: str) -> list[Any]:
    if set(node) != {str(place) for place in range(1, len(node) + 1)}:
        raise malformed(path)
    return [_take(node[str(place)], item, f"{path}.{place}") for place in range(1, len(node) + 1)]


def _scalar(text: str, kind: str, path: str) -> Any:
    try:
        if kind == "integer":
            return int(text)
        if kind == "number":
            return float(text)
        if kind == "boolean":
            return {"true": True, "false": False}[text.lower()]
        return json.loads(text) if kind == "map" else text
    except (ValueError, KeyError):
        raise malformed(path) from None


def unknown(name: str) -> ApiError:
    """A parameter that the action does not have."""
    return ApiError("InvalidParameter", f"The specified parameter {name} is not a parameter of this action.")


def malformed(name: str) -> ApiError:
    """A value that is not of the parameter's type."""
    return ApiError("InvalidParameter", f'The specified parameter "{name}" is not valid.')


def result(members: Parameters, request_id: str) -> bytes:
    """A reply's body."""
    return json.dumps({"RequestId": request_id, **members}, ensure_ascii=False).encode()


def error(wrong: ApiError, *, request_id: str, host: str) -> bytes:
    """An error's body."""
    help_page = f"https://api.aliyun.com/troubleshoot?q={wrong.code}&product=Ecs&requestId={request_id}"
    said = {"RequestId": request_id, "HostId": host, "Code": wrong.code, "Message": wrong.message}
    return json.dumps({**said, "Recommend": help_page}, ensure_ascii=False).encode()
