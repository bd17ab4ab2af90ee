"""The query protocol and the one of EC2: form fields in, XML out.

https://smithy.io/2.0/aws/protocols/aws-query-protocol.html, …/aws-ec2-query-protocol.html.
"""

import base64
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from urllib.parse import parse_qsl
from xml.etree.ElementTree import Element, SubElement, tostring

from broker.demo.clouds.model import ApiError, Parameters
from broker.demo.clouds.shapes import Shape

CONTENT_TYPE: Final = "text/xml; charset=utf-8"


def fields(body: bytes) -> dict[str, str]:
    """The form's fields; of one that is there twice the last."""
    return dict(parse_qsl(body.decode(errors="replace"), keep_blank_values=True))


def read(form: Mapping[str, str], shape: Shape | None, *, ec2: bool) -> Parameters:
    """The members of a request; raises ApiError."""
    tree: dict[str, Any] = {}
    for name, value in form.items():
        if name not in {"Action", "Version"}:
            _plant(tree, name.split("."), value)
    if shape is None:
        return tree
    taken: Parameters = _Reader(ec2=ec2).take(tree, shape, "")
    return taken


def _plant(tree: dict[str, Any], path: list[str], value: str) -> None:
    for step in path[:-1]:
        tree = tree.setdefault(step, {})
        if not isinstance(tree, dict):
            raise ApiError("MalformedInput", f"Both a value and members at {'.'.join(path)}")
    tree[path[-1]] = value


class _Reader:
    def __init__(self, *, ec2: bool) -> None:
        self._ec2 = ec2

    def take(self, node: Any, shape: Shape, path: str) -> Any:
        kind = shape.type_name
        if kind == "structure":
            return self._structure(node, shape, path)
        if kind == "list":
            return self._list(node, shape, path)
        if kind == "map":
            entries = self._numbered(node if _is_flat(shape) else _of(node, "entry"), path)
            key, value = shape.key.serialization.get("name", "key"), shape.value.serialization.get("name", "value")
            return {str(one[key]): self.take(one.get(value, ""), shape.value, path) for one in entries}
        if isinstance(node, dict):
            raise ApiError("MalformedInput", f"Unexpected complex element at {path}")
        return _scalar(node, kind, path)

    def _structure(self, node: Any, shape: Shape, path: str) -> Parameters:
        if not isinstance(node, dict):
            raise ApiError("MalformedInput", f"A structure is expected at {path}")
        names = {self._name(member, name): name for name, member in shape.members.items()}
        taken: Parameters = {}
        for field, value in node.items():
            name = names.get(field)
            if name is None:
                where = f"{path}.{field}" if path else field
                raise ApiError("UnknownParameter", f"The parameter {where} is not recognized")
            taken[name] = self.take(value, shape.members[name], f"{path}.{name}" if path else name)
        return taken

    def _list(self, node: Any, shape: Shape, path: str) -> list[Any]:
        if node == "":
            return []
        if not self._ec2 and not _is_flat(shape):
            node = _of(node, shape.member.serialization.get("name", "member"))
        return [
            self.take(one, shape.member, f"{path}.{place}") for place, one in enumerate(self._numbered(node, path), 1)
        ]

    def _numbered(self, node: Any, path: str) -> list[Any]:
        if not isinstance(node, dict) or not all(step.isdigit() for step in node):
            raise ApiError("MalformedInput", f"A list is expected at {path}")
        return [node[step] for step in sorted(node, key=int)]

    def _name(self, member: Shape, name: str) -> str:
        said = member.serialization
        if not self._ec2:
            return str(said.get("name", name))
        if "queryName" in said:
            return str(said["queryName"])
        name = str(said.get("name", name))
        return name[0].upper() + name[1:]


def _of(node: Any, name: str) -> Any:
    if not isinstance(node, dict) or set(node) != {name}:
        raise ApiError("MalformedInput", f"A list of {name} is expected")
    return node[name]


def _is_flat(shape: Shape) -> bool:
    return bool(shape.serialization.get("flattened"))


def _scalar(text: str, kind: str, path: str) -> Any:
    try:
        if kind in {"integer", "long"}:
            return int(text)
        if kind in {"float", "double"}:
            return float(text)
        if kind == "boolean":
            return {"true": True, "false": False}[text]
        if kind == "timestamp":
            return datetime.fromisoformat(text)
        return base64.b64decode(text) if kind == "blob" else text
    except (ValueError, KeyError):
        raise ApiError("InvalidParameterValue", f"Value ({text}) for parameter {path} is invalid.") from None


def result(
    action: str, members: Parameters, shape: Shape | None, *, request_id: str, namespace: str, ec2: bool
) -> bytes:
    """A reply's body."""
    root = Element(f"{action}Response", xmlns=namespace)
    inside = root
    if ec2:
        SubElement(root, "requestId").text = request_id
    elif shape is not None:
        inside = SubElement(root, shape.serialization.get("resultWrapper", f"{action}Result"))
    if shape is not None:
        _members(inside, members, shape)
    if not ec2:
        SubElement(SubElement(root, "ResponseMetadata"), "RequestId").text = request_id
    return _document(root)


def _members(parent: Element, members: Mapping[str, Any], shape: Shape) -> None:
    for name, value in members.items():
        member = shape.members[name]
        _put(parent, value, member, str(member.serialization.get("name", name)))


def _put(parent: Element, value: Any, shape: Shape, name: str) -> None:
    kind = shape.type_name
    if kind == "list" and _is_flat(shape):
        for item in value:
            _put(parent, item, shape.member, str(shape.member.serialization.get("name", name)))
        return
    element = SubElement(parent, name)
    if kind == "structure":
        _members(element, value, shape)
    elif kind == "list":
        for item in value:
            _put(element, item, shape.member, str(shape.member.serialization.get("name", "member")))
    elif kind == "map":
        for key, item in value.items():
            entry = SubElement(element, "entry")
            _put(entry, key, shape.key, str(shape.key.serialization.get("name", "key")))
            _put(entry, item, shape.value, str(shape.value.serialization.get("name", "value")))
    else:
        element.text = _text(value)


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return base64.b64encode(value).decode() if isinstance(value, bytes) else str(value)


def error(wrong: ApiError, *, request_id: str, namespace: str, ec2: bool) -> bytes:
    """An error's body."""
    root = Element("Response") if ec2 else Element("ErrorResponse", xmlns=namespace)
    inside = SubElement(SubElement(root, "Errors"), "Error") if ec2 else SubElement(root, "Error")
    if not ec2:
        SubElement(inside, "Type").text = "Sender" if wrong.status < 500 else "Receiver"
    SubElement(inside, "Code").text = wrong.code
    SubElement(inside, "Message").text = wrong.message
    SubElement(root, "RequestID" if ec2 else "RequestId").text = request_id
    return _document(root)


def _document(root: Element) -> bytes:
    said: bytes = tostring(root, encoding="utf-8", xml_declaration=True)
    return said
