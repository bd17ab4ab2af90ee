"""The files of one config: `broker.yaml`, and `conf.d/*.yaml` beside it, which are merged by name."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from broker.config.diagnostics import START, Diagnostics, Note
from broker.config.nodes import Expand, Node, behind, read, start_of
from broker.config.settings import Source

MAX_BYTES: Final = 1024 * 1024
"""Of all files together: what can be read, with places, in some seconds."""
_SMALLER: Final = Note("help", "leave out what is no config; templates and pools can share keys with 'inherit_from'")
MAX_PARTS: Final = 1000
PARTS: Final = "conf.d"

_MERGED_DEEPLY: Final = frozenset({"server", "gateway", "currencies"})
"""Sections that are one thing; in all others a name belongs to one file."""
_SINGULAR: Final = {
    "controllers": "controller",
    "backends": "backend",
    "templates": "template",
    "pools": "pool",
    "policies": "policy",
}


def gather(path: Path | str, diagnostics: Diagnostics) -> list[Source]:
    """The file and its parts, the file first; what cannot be read goes to the diagnostics."""
    main = _read_file(Path(path), str(path), diagnostics)
    if main is None:
        return []
    directory = Path(path).parent / PARTS
    try:
        found = sorted(directory.iterdir()) if directory.is_dir() else []
    except OSError as error:
        diagnostics.error("no-file", START, f"cannot read {directory}: {error.strerror}")
        return [main]
    parts = [part for part in found if part.suffix == ".yaml" and not part.name.startswith(".")]
    if len(parts) > MAX_PARTS:
        diagnostics.error("no-file", START, f"{directory} holds more than {MAX_PARTS} files")
    sources = [main, *filter(None, (_read_file(part, str(part), diagnostics) for part in parts[:MAX_PARTS]))]
    if sum(len(source.text) for source in sources) > MAX_BYTES and not diagnostics.errors:
        diagnostics.error(
            "no-file", START, f"{path} and {directory} are larger than {MAX_BYTES // 1024**2} MiB together", _SMALLER
        )
    return sources


def unread_parts(path: Path | str) -> list[Path]:
    """Files beside the parts that somebody may think are read."""
    directory = Path(path).parent / PARTS
    return sorted(directory.glob("*.yml")) if directory.is_dir() else []


def _read_file(path: Path, name: str, diagnostics: Diagnostics) -> Source | None:
    diagnostics.add_source(name, "")
    at = start_of(name)
    try:
        if path.stat().st_size > MAX_BYTES:
            diagnostics.error("no-file", at, f"the file is larger than {MAX_BYTES // 1024**2} MiB", _SMALLER)
            return None
        return Source(name, path.read_bytes()[:MAX_BYTES].decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        place = behind(error.object[: error.start].decode("utf-8-sig"), name)
        message = f"the file is not UTF-8: {error.reason} at byte {error.start}"
        diagnostics.error("yaml-syntax", place, message, Note("help", "save it as UTF-8"))
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        help_ = Note("help", "name the file with --config, or write one: 'agentbroker config init' prints a starter")
        diagnostics.error("no-file", at, f"cannot read the config file: {why}", help_)
    return None


def read_all(sources: Sequence[tuple[Source, Expand]], diagnostics: Diagnostics) -> Node | None:
    """The tree of all files together; None if one of them is no YAML, or no map."""
    single = len(sources) == 1
    trees = [read(source.text, diagnostics, expand, "" if single else source.name) for source, expand in sources]
    for tree in trees:
        if tree is not None and not isinstance(tree.data, dict):
            diagnostics.error("wrong-type", tree.span, "expected a map with 'version', 'pools', 'policies' ...")
    usable = [tree for tree in trees if tree is not None and isinstance(tree.data, dict)]
    if len(usable) < len(sources):
        return None
    root, *parts = usable
    for part in parts:
        root = _combined(root, part, (), diagnostics)
    return root


def _combined(first: Node, second: Node, path: tuple[str, ...], diagnostics: Diagnostics) -> Node:
    """Both maps in one. Raises no error for what stands in both: that goes to the diagnostics with both places."""
    data, keys = dict(first.map), dict(first.keys)
    for key, node in second.map.items():
        there = data.get(key)
        if there is None or there.data is None:
            data[key], keys[key] = node, second.keys[key]
        elif node.data is None or (path == () and key == "version" and node.data == there.data):
            continue
        elif isinstance(node.data, dict) and isinstance(there.data, dict) and _is_merged(path, key):
            data[key] = _combined(there, node, (*path, key), diagnostics)
        else:
            noun = _SINGULAR.get(path[0]) if path else None
            what = f"{noun} '{key}'" if noun else f"'{'.'.join((*path, key))}'"
            note = Note("note", f"the other is at {first.keys[key]}")
            message = f"{what} is defined in two files"
            diagnostics.error("duplicate-name", second.keys[key], message, note, Note("help", "keep one of them"))
    return Node(first.span, data, keys)


def _is_merged(path: tuple[str, ...], key: str) -> bool:
    return path == () or path[0] in _MERGED_DEEPLY
