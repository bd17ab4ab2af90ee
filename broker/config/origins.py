"""Where each value that is in force comes from: a line of a file, a variable, or a default."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from broker.config.load import Checked
from broker.config.nodes import Node
from broker.config.nodes import Path as NodePath
from broker.config.show import effective, find

DEFAULT = "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """One value, with secrets masked, and its place: `file:line`, `env NAME`, or `default`."""

    path: NodePath
    value: object
    origin: str


def origins(checked: Checked, path: str, *, defaults: bool) -> list[Origin]:
    """Every value at and below `path`. Raises KeyError with a sentence that suggests."""
    assert checked.file is not None
    shown = find(effective(checked.file, defaults=defaults), path)
    start = tuple(int(part) if part.isdecimal() else part for part in path.split(".") if part)
    root = checked.root or Node(checked.diagnostics.items[0].span, {})
    return [
        Origin(path=place, value=value, origin=_origin(root, place, checked)) for place, value in _leaves(shown, start)
    ]


def as_yaml(found: list[Origin]) -> str:
    """The values as the file would have them, each with its origin behind it."""
    lines: list[tuple[str, str]] = []
    before: NodePath = ()
    for one in found:
        common = next((n for n, (a, b) in enumerate(zip(before, one.path, strict=False)) if a != b), len(before))
        for depth in range(min(common, len(one.path) - 1), len(one.path) - 1):
            lines.append((f"{'  ' * depth}{_key(one.path[depth])}".rstrip(), ""))
        depth = len(one.path) - 1
        key = _key(one.path[-1]) if one.path else ""
        lines.append((f"{'  ' * max(0, depth)}{key}{_scalar(one.value)}", one.origin))
        before = one.path
    width = min(60, max((len(line) for line, origin in lines if origin), default=0))
    return "\n".join(f"{line:<{width}}  # {origin}" if origin else line for line, origin in lines)


def as_objects(found: list[Origin]) -> dict[str, object]:
    """The same for machines."""
    items = [
        {"path": ".".join(str(part) for part in one.path), "value": one.value, "origin": one.origin} for one in found
    ]
    return {"items": items}


def _leaves(value: object, path: NodePath) -> Iterator[tuple[NodePath, object]]:
    if isinstance(value, Mapping) and value:
        for key, below in value.items():
            yield from _leaves(below, (*path, str(key)))
    elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
        for n, below in enumerate(value):
            yield from _leaves(below, (*path, n))
    else:
        yield path, value


def _origin(root: Node, path: NodePath, checked: Checked) -> str:
    node = root
    for part in path:
        below = node.child(part)
        if below is None:
            shorthand = part == "pool" and isinstance(node.data, str)  # `pools: [NAME]`
            return _place(node, checked) if shorthand else DEFAULT
        node = below
    return DEFAULT if node.data is None else _place(node, checked)


def _place(node: Node, checked: Checked) -> str:
    span = node.span
    if span.file.startswith("$"):
        return f"env {span.file[1:]}"
    return f"{span.file or checked.diagnostics.file}:{span.line}"


def _key(part: str | int) -> str:
    return "- " if isinstance(part, int) else f"{part}: "


def _scalar(value: object) -> str:
    import yaml  # noqa: PLC0415 -- only where something is shown

    text: str = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10_000)
    return text.removesuffix("\n").removesuffix("\n...")
