"""Reads `broker.yaml` into a `Config`, or says everything that is wrong with it at once."""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from broker.config import files, inherit, listeners, not_built
from broker.config.convert import to_definitions, to_gateway, to_server
from broker.config.diagnostics import START, Diagnostics, Note
from broker.config.environment import Environment
from broker.config.model import BrokerFile
from broker.config.nodes import Node, read
from broker.config.nodes import Path as NodePath
from broker.config.references import References, timeouts
from broker.config.secrets import SECRET_FILE_KEYS, mask_lines
from broker.config.settings import Config
from broker.config.validate import validate
from broker.errors import ConfigError

MAX_BYTES: Final = 4 * 1024 * 1024
_NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?", re.ASCII)
_LOOSE_NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9])?", re.ASCII)
_NAMED: Final = {
    "controllers": _NAME,  # in the path of agents' URLs
    "policies": _NAME,  # in agents' names
    "backends": _LOOSE_NAME,
    "templates": _LOOSE_NAME,
    "pools": _LOOSE_NAME,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A file after all checks: `file` is None if it cannot be used."""

    diagnostics: Diagnostics
    file: BrokerFile | None
    pool_types: Mapping[str, str]
    base: Path


def load(path: Path | str, *, env: Mapping[str, str] | None = None, starting: bool = False) -> Config:
    """The config of a file.

    `env` is what `${VAR}` reads (the process's environment if None). `starting` makes errors of what `config check`
    only warns of: things not built yet, files that are missing or that others may read. Raises `ConfigError`, whose
    text is the printed diagnostics.
    """
    return to_config(check_file(path, env=env, starting=starting))


def parse(text: str, name: str = "<text>", *, env: Mapping[str, str] | None = None, starting: bool = False) -> Config:
    """As `load`, from a text; relative file names in it are relative to the working directory."""
    return to_config(check_text(text, name, Path.cwd(), env=env, starting=starting))


def to_config(checked: Checked) -> Config:
    """The config of a file that has no errors; raises `ConfigError` if it has."""
    if checked.file is None or checked.diagnostics.errors:
        raise ConfigError(checked.diagnostics.render())
    server = to_server(checked.file.server, checked.base)
    return Config(
        server=server,
        gateway=to_gateway(checked.file.gateway, server, checked.base),
        definitions=to_definitions(checked.file, checked.pool_types, checked.base),
        warnings=checked.diagnostics.render(),
    )


def check_file(path: Path | str, *, env: Mapping[str, str] | None = None, starting: bool = False) -> Checked:
    """Reads and checks a file; never raises for what stands in it, nor for a file that cannot be read."""
    file = Path(path)
    diagnostics = Diagnostics(str(path))
    try:
        if file.stat().st_size > MAX_BYTES:
            diagnostics.error("no-file", START, f"the file is larger than {MAX_BYTES // 1024**2} MiB")
        text = file.read_bytes()[:MAX_BYTES].decode("utf-8-sig")
    except UnicodeDecodeError as error:
        diagnostics.error("yaml-syntax", START, f"the file is not UTF-8: {error.reason} at byte {error.start}")
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        help_ = Note("help", "name the file with --config, or write one: 'agentbroker config check FILE' checks it")
        diagnostics.error("no-file", START, f"cannot read the config file: {why}", help_)
    else:
        if not diagnostics.errors:
            return check_text(text, str(path), file.absolute().parent, env=env, starting=starting)
    return Checked(diagnostics=diagnostics, file=None, pool_types={}, base=Path())


def check_text(text: str, name: str, base: Path, *, env: Mapping[str, str] | None, starting: bool) -> Checked:
    """Checks a text; `name` is what the diagnostics call it, relative file names start at `base`."""
    diagnostics = Diagnostics(name, text)
    mask_lines(text, diagnostics)
    environment = Environment(os.environ if env is None else env, diagnostics, _may_be_a_file, text)
    try:
        root = read(text, diagnostics, environment.expand)
        if root is None:
            return Checked(diagnostics=diagnostics, file=None, pool_types={}, base=base)
        if not isinstance(root.data, dict):
            diagnostics.error("wrong-type", root.span, "expected a map with 'version', 'pools', 'policies' ...")
            return Checked(diagnostics=diagnostics, file=None, pool_types={}, base=base)
        file, pool_types = _Check(root, base, diagnostics, starting=starting).run()
    except RecursionError:
        diagnostics.error("yaml-syntax", START, "the file is nested too deeply")
        file, pool_types = None, {}
    return Checked(diagnostics=diagnostics, file=file, pool_types=pool_types, base=base)


def _may_be_a_file(key: str) -> bool:
    return f"{key}_file" in SECRET_FILE_KEYS


class _Check:
    """All checks of one tree."""

    def __init__(self, root: Node, base: Path, diagnostics: Diagnostics, *, starting: bool) -> None:
        self._diagnostics = diagnostics
        self._base = base
        self._starting = starting
        self._report: Callable[..., None] = diagnostics.error if starting else diagnostics.warning
        self._incomplete: set[NodePath] = set()
        self._root = self._inherited(root)

    def _inherited(self, root: Node) -> Node:
        """The tree with templates and pools as they are after inheritance."""
        data = dict(root.map)
        for key, noun in (("templates", "template"), ("pools", "pool")):
            things = data.get(key)
            if things is not None and isinstance(things.data, dict):
                resolved = inherit.resolve(things, noun, self._diagnostics)
                data[key] = Node(things.span, dict(resolved.things), things.keys)
                self._incomplete.update((key, name) for name in resolved.incomplete)
        return Node(root.span, data, root.keys)

    def run(self) -> tuple[BrokerFile | None, dict[str, str]]:
        """The file, if it is usable at all, and the backend type of each pool."""
        self._names()
        files.Files(self._base, self._diagnostics, starting=self._starting).check(self._root)
        file = validate(BrokerFile, self._root, self._diagnostics, self._incomplete)
        if file is None:
            return None, {}
        references = References(self._root, self._diagnostics)
        references.backends(file.backends)
        pool_types = references.pools(file.pools, file.backends)
        references.policies(file.policies, file.templates, file.pools)
        references.labels(file.policies)
        references.tokens(file.controllers)
        timeouts(self._root, file.policies, self._diagnostics)
        listeners.check(self._root, file.server, file.gateway, self._diagnostics)
        not_built.check(self._root, pool_types, self._report)
        self._empty(file)
        return file, pool_types

    def _names(self) -> None:
        for noun, pattern in _NAMED.items():
            things = self._root.map.get(noun)
            for name, span in (things.keys if things else {}).items():
                if not pattern.fullmatch(name):
                    also = "and '-'" if pattern is _NAME else "'-' and '_'"
                    help_ = Note("help", f"use at most 63 letters, digits, {also}, with a letter or digit at both ends")
                    self._diagnostics.error("bad-name", span, f"'{name}' cannot be a name here", help_)

    def _empty(self, file: BrokerFile) -> None:
        """A broker that nobody may talk to, or that runs nothing, starts all the same."""
        if self._starting and not file.controllers and not self._root.has("controllers"):
            help_ = Note("help", "add one under 'controllers'; 'agentbroker init jenkins' prints the lines")
            self._diagnostics.warning("no-controllers", START, "no controller may talk to this broker", help_)
