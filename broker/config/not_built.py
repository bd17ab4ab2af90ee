"""What the file may say and this version does not do yet: the one list, so that nothing is silently ignored."""

from collections.abc import Callable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Final

from broker.config.diagnostics import Note, Span
from broker.config.nodes import Node, Path, Scalar

BUILT_BACKENDS: Final = frozenset({"process", "container", "aws-ecs", "alibaba-ecs", "ssh-hosts"})

NOT_BUILT: Final[Mapping[str, frozenset[Scalar]]] = {}
"""Key to the values (of texts, patterns) that are harmless: what they ask for happens anyway."""

Report = Callable[..., None]
"""Adds a diagnostic: code, span, message, notes."""

_NOUNS: Final[Mapping[str, str]] = {
    "controllers": "controller",
    "templates": "template",
    "pools": "pool",
    "policies": "policy",
}


def check(root: Node, pool_types: Mapping[str, str], report: Report) -> None:
    """Reports keys without behaviour, and pools whose backend is not built; `pool_types` is by the pool's name."""
    unbuilt = {name for name, kind in pool_types.items() if kind not in BUILT_BACKENDS}
    for name in unbuilt:
        message = f"pool '{name}' runs on a backend of type '{pool_types[name]}', which is not built yet"
        help_ = f"built so far: {', '.join(sorted(BUILT_BACKENDS))}; remove the pool, or give it such a backend"
        report("not-built", root.key("pools", name), message, Note("help", help_))
    seen: set[Span] = set()  # what is inherited is reported where it stands, once
    for pattern, harmless in NOT_BUILT.items():
        for path, span, value in _matches(root, pattern.split("."), ()):
            of_unbuilt_pool = path[0] == "pools" and path[1] in unbuilt
            if not _is_harmless(value, harmless) and span not in seen and not of_unbuilt_pool:
                seen.add(span)
                _report_key(path, span, value, report)


def _is_harmless(value: Scalar, harmless: frozenset[Scalar]) -> bool:
    if isinstance(value, str):
        return any(fnmatchcase(value, pattern) for pattern in harmless if isinstance(pattern, str))
    return value in harmless


def _report_key(path: Path, span: Span, value: Scalar, report: Report) -> None:
    noun = _NOUNS.get(str(path[0]))
    of = f" of {noun} '{path[1]}'" if noun else ""
    key = ".".join(str(part) for part in path[2 if noun else 0 :])
    what = f"'{key}: {value}'" if isinstance(value, str) else f"'{key}'"
    help_ = Note("help", "remove it: this version checks it and does nothing with it")
    report("not-built", span, f"{what}{of} is not built yet", help_)


def _matches(node: Node, pattern: list[str], path: Path) -> Iterator[tuple[Path, Span, Scalar]]:
    """The keys that a pattern names, with place and value; a map or list has the value None."""
    if not pattern:
        return
    first, *rest = pattern
    for part, below in _entries(node):
        if first not in {"*", part}:
            continue
        if rest:
            yield from _matches(below, rest, (*path, part))
        elif below.data is not None:
            scalar = None if isinstance(below.data, dict | list) else below.data
            yield (*path, part), node.key(part), scalar


def _entries(node: Node) -> Iterator[tuple[str | int, Node]]:
    yield from node.map.items()
    yield from enumerate(node.items)
