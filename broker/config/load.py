"""Reads `broker.yaml` into a `Config`, or says everything that is wrong with it at once."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from broker.config import (
    conflicts,
    controllers,
    currencies,
    direct,
    ecs_check,
    files,
    hosts_check,
    images,
    inherit,
    listeners,
    overrides,
    policies_check,
)
from broker.config.convert import to_definitions, to_gateway, to_server
from broker.config.diagnostics import START, Diagnostics, Note
from broker.config.environment import Environment
from broker.config.model import BrokerFile
from broker.config.names import NAMED, allowed_in
from broker.config.nodes import Expand, Node
from broker.config.nodes import Path as NodePath
from broker.config.references import References
from broker.config.secrets import SECRET_FILE_KEYS, mask_lines
from broker.config.settings import Config, Source
from broker.config.show import content
from broker.config.sources import gather, read_all, unread_parts
from broker.config.validate import validate
from broker.domain.timed_override import TimedOverride
from broker.errors import ConfigError

Timed = Sequence[TimedOverride]
"""What operators have set for a time: it counts after inheritance, for the named thing alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A file after all checks: `file` is None if it cannot be used.

    `root` is the tree with overrides and inheritance in it, whose nodes know where they come from.
    """

    diagnostics: Diagnostics
    file: BrokerFile | None
    root: Node | None
    pool_types: Mapping[str, str]
    base: Path
    source: Path | None = None
    sources: tuple[Source, ...] = field(default=(), repr=False)
    timed: tuple[TimedOverride, ...] = ()


def load(
    path: Path | str, *, env: Mapping[str, str] | None = None, starting: bool = False, timed: Timed = ()
) -> Config:
    """The config of a file.

    `env` is what `${VAR}` reads (the process's environment if None). `starting` makes errors of what `config check`
    only warns of: files that are missing or that others may read. `timed` is put over the file;
    what is for a pool that the file has not is left out. Raises `ConfigError`, whose text is the printed diagnostics.
    """
    return to_config(check_file(path, env=env, starting=starting, timed=timed))


def again(config: Config, timed: Timed, *, env: Mapping[str, str] | None = None) -> Config:
    """A config made anew of the same texts with other timed overrides: no file of it is read. Raises as `load`."""
    made = to_config(check_sources(config.sources, config.base, env=env, starting=False, timed=timed))
    return replace(made, source=config.source, warnings=config.warnings)


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
        source=checked.source,
        content=content(checked.file),
        sources=checked.sources,
        base=checked.base,
        timed=checked.timed,
    )


def check_file(
    path: Path | str, *, env: Mapping[str, str] | None = None, starting: bool = False, timed: Timed = ()
) -> Checked:
    """Reads and checks a file and its `conf.d`; never raises for what stands there, nor for what cannot be read."""
    diagnostics = Diagnostics(str(path))
    sources = gather(path, diagnostics)
    if diagnostics.errors:
        return Checked(diagnostics=diagnostics, file=None, root=None, pool_types={}, base=Path())
    checked = check_sources(sources, Path(path).absolute().parent, env=env, starting=starting, timed=timed)
    for other in unread_parts(path):
        message = f"{other} is not read: only *.yaml is"
        checked.diagnostics.warning("not-read", START, message, Note("help", f"call it {other.stem}.yaml"))
    return replace(checked, source=Path(path).absolute())


def check_text(text: str, name: str, base: Path, *, env: Mapping[str, str] | None, starting: bool) -> Checked:
    """Checks a text; `name` is what the diagnostics call it, relative file names start at `base`."""
    return check_sources([Source(name, text)], base, env=env, starting=starting)


def check_sources(
    sources: Sequence[Source], base: Path, *, env: Mapping[str, str] | None, starting: bool, timed: Timed = ()
) -> Checked:
    """Checks texts that are one config, the main one first."""
    env = os.environ if env is None else env
    diagnostics = Diagnostics(sources[0].name, sources[0].text)
    expanding: list[tuple[Source, Expand]] = []
    for source in sources:
        diagnostics.add_source(source.name, source.text)
        mask_lines(source.text, diagnostics, "" if len(sources) == 1 else source.name)
        expand = Environment(env, diagnostics, _may_be_a_file, source.text).expand
        expanding.append((source, expand))
    file: BrokerFile | None = None
    root: Node | None = None
    pool_types: dict[str, str] = {}
    put: Timed = ()
    try:
        tree = read_all(expanding, diagnostics)
        if tree is not None:
            tree = overrides.apply(tree, overrides.from_environment(env, tree, diagnostics))
            checking = _Check(tree, base, diagnostics, timed, starting=starting)
            file, pool_types = checking.run()
            root, put = checking.root, checking.put
    except RecursionError:
        diagnostics.error("yaml-syntax", START, "the file is nested too deeply")
    return Checked(
        diagnostics=diagnostics,
        file=file,
        root=root,
        pool_types=pool_types,
        base=base,
        sources=tuple(sources),
        timed=tuple(put),
    )


def _may_be_a_file(key: str) -> bool:
    return f"{key}_file" in SECRET_FILE_KEYS


class _Check:
    """All checks of one tree."""

    def __init__(self, root: Node, base: Path, diagnostics: Diagnostics, timed: Timed, *, starting: bool) -> None:
        self._diagnostics = diagnostics
        self._base = base
        self._starting = starting
        self._incomplete: set[NodePath] = set()
        inherited = self._inherited(root)
        self.put = [one for one in timed if inherited.has(*one.path[:2])]
        self.root = overrides.apply(inherited, overrides.from_operators(self.put, inherited, diagnostics))

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
        files.Files(self._base, self._diagnostics, starting=self._starting).check(self.root)
        file = validate(BrokerFile, self.root, self._diagnostics, self._incomplete)
        if file is None:
            return None, {}
        references = References(self.root, self._diagnostics)
        references.backends(file.backends)
        pool_types = references.pools(file.pools, file.backends)
        references.policies(file.policies, file.templates, file.pools)
        references.labels(file.policies)
        references.tokens(file.controllers)
        controllers.check(self.root, file, self._diagnostics)
        conflicts.check(self.root, file, pool_types, self._diagnostics)
        policies_check.check(self.root, file, self._diagnostics)
        currencies.check(self.root, file, self._diagnostics)
        direct.check(self.root, file, self._diagnostics)
        ecs_check.check(self.root, file, pool_types, self._base, self._diagnostics)
        hosts_check.check(self.root, file, pool_types, self._base, self._diagnostics)
        images.check(self.root, file, pool_types, self._diagnostics)
        listeners.check(self.root, file.server, file.gateway, self._diagnostics)
        self._empty(file)
        return file, pool_types

    def _names(self) -> None:
        for noun, pattern in NAMED.items():
            things = self.root.map.get(noun)
            for name, span in (things.keys if things else {}).items():
                if not pattern.fullmatch(name):
                    also = allowed_in(noun)
                    help_ = Note("help", f"use at most 63 letters, digits, {also}, with a letter or digit at both ends")
                    self._diagnostics.error("bad-name", span, f"'{name}' cannot be a name here", help_)

    def _empty(self, file: BrokerFile) -> None:
        """A broker that nobody may talk to, or that runs nothing, starts all the same."""
        if self._starting and not file.controllers and not self.root.has("controllers"):
            help_ = Note("help", "add one under 'controllers'; 'agentbroker init jenkins' prints the lines")
            self._diagnostics.warning("no-controllers", START, "no controller may talk to this broker", help_)
