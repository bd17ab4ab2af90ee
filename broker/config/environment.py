"""`${VAR}`, `${VAR:-default}` and `$$` in the texts of a file."""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from broker.config.diagnostics import Diagnostics, Note, Span, lines_of
from broker.config.nodes import Path

_REFERENCE: Final = re.compile(r"\$(?:\$|\{([A-Za-z_][A-Za-z0-9_]*)(:-([^}]*))?\}|(.?))", re.ASCII | re.DOTALL)


class Environment:
    """Replaces references; what is not set goes to the diagnostics, at the reference's own place."""

    def __init__(
        self, env: Mapping[str, str], diagnostics: Diagnostics, has_file_key: Callable[[str], bool], source: str
    ) -> None:
        """`has_file_key` tells whether a key may be given as `KEY_file` too; `source` is the text of the file."""
        self._env = env
        self._diagnostics = diagnostics
        self._has_file_key = has_file_key
        self._lines = lines_of(source)

    def expand(self, text: str, span: Span, path: Path) -> tuple[str, bool]:
        """The text with its references replaced, and whether a variable took part. An empty variable counts as set."""
        used = False

        def replace(match: re.Match[str]) -> str:
            nonlocal used
            name, default = match[1], match[3]
            if match[0] == "$$":
                return "$"
            if name is None:
                self._stray(match, span)
                return match[0]
            used = used or match[2] is None or name in self._env
            if name in self._env and (self._env[name] or default is None):
                return self._env[name]
            if default is None:
                self._unset(name, self._place(match[0], span), path)
            return default or ""

        return _REFERENCE.sub(replace, text), used

    def _stray(self, match: re.Match[str], span: Span) -> None:
        message = f"'{match[0]}' is not a reference to an environment variable"
        help_ = Note("help", "write '${NAME}' or '${NAME:-default}', and '$$' for a dollar sign")
        self._diagnostics.error("bad-reference", span, message, help_)

    def _unset(self, name: str, span: Span, path: Path) -> None:
        key = next((part for part in reversed(path) if isinstance(part, str)), "")
        ways = f"export it, give a default with '${{{name}:-...}}'"
        if self._has_file_key(key):
            ways = f"{ways}, or use '{key}_file'"
        else:
            ways = f"export it, or give a default with '${{{name}:-...}}'"
        self._diagnostics.error("env-unset", span, f"environment variable {name} is not set", Note("help", ways))

    def _place(self, reference: str, span: Span) -> Span:
        """Where a reference stands inside of its text, if that is one line."""
        if span.line != span.end_line:
            return span
        start = self._lines[span.line - 1].find(reference, span.column - 1, span.end_column - 1)
        if start < 0:
            return span
        return replace(span, column=start + 1, end_column=start + 1 + len(reference))
