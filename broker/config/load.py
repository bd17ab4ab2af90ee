"""Reads `broker.yaml` into a `Config`, or says everything that is wrong with it at once."""

from collections.abc import Mapping
from pathlib import Path

from broker.config.settings import Config


def load(path: Path | str, *, env: Mapping[str, str] | None = None, starting: bool = False) -> Config:
    """The config of a file.

    `env` is what `${VAR}` reads (the process's environment if None). `starting` makes errors of what `config check`
    only warns of: things not built yet, files that are missing or that others may read. Raises `ConfigError`, whose
    text is the printed diagnostics.
    """
    raise NotImplementedError


def parse(text: str, name: str = "<text>", *, env: Mapping[str, str] | None = None, starting: bool = False) -> Config:
    """As `load`, from a text; relative file names in it are relative to the working directory."""
    raise NotImplementedError
