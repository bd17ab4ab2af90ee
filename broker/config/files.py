"""Files that the config names, and secrets that it should not hold itself."""

import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from broker.config.diagnostics import Diagnostics, Note
from broker.config.nodes import Node
from broker.config.secrets import SECRET_FILE_KEYS, is_secret

PUBLIC_FILE_KEYS: Final = frozenset(
    {"cert_file", "ca_file", "client_ca_file", "script_file", "agent_jar", "known_hosts_file", "user_data_file"}
)


class Files:
    """Checks what lies outside of the config. Relative names start at `base`."""

    def __init__(self, base: Path, diagnostics: Diagnostics, *, starting: bool) -> None:
        """`starting` makes an error of what may still be put right before the broker starts."""
        self._base = base
        self._diagnostics = diagnostics
        self._report: Callable[..., None] = diagnostics.error if starting else diagnostics.warning

    def check(self, root: Node) -> None:
        """Named files that are missing or too open, and literal secrets, which are kept out of the output."""
        for path, node in _scalars(root, ()):
            key = path[-1]
            if is_secret(path) and not node.from_env and node.data not in {None, ""}:
                self._literal(path, node)
            elif isinstance(node.data, str) and path[-2:-1] == ("env_files",):
                self._file(node, secret=True)
            elif isinstance(node.data, str) and key in SECRET_FILE_KEYS | PUBLIC_FILE_KEYS:
                self._file(node, secret=key in SECRET_FILE_KEYS)

    def _literal(self, path: tuple[str | int, ...], node: Node) -> None:
        key = str(path[-1])
        ways = f"use '{key}_file', or '${{NAME}}'" if f"{key}_file" in SECRET_FILE_KEYS else "use '${NAME}'"
        self._diagnostics.mask(node.span)
        message = f"'{key}' holds a secret in clear, for everybody who can read this file"
        self._diagnostics.warning("literal-secret", node.span, message, Note("help", ways))

    def _file(self, node: Node, *, secret: bool) -> None:
        file = self._base / str(node.data)
        try:
            status = file.stat()
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else str(error)
            self._report("no-file", node.span, f"cannot read {node.data}: {why}")
            return
        if not stat.S_ISREG(status.st_mode):
            self._report("no-file", node.span, f"{node.data} is not a file")
            return
        mode = stat.S_IMODE(status.st_mode)
        if secret and mode & stat.S_IRWXO:
            message = f"others may read or change the secret in {node.data} (mode {mode:04o})"
            self._report("file-mode", node.span, message, Note("help", f"run 'chmod 600 {node.data}'"))


def _scalars(node: Node, path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], Node]]:
    for key, below in node.map.items():
        yield from _scalars(below, (*path, key))
    for n, below in enumerate(node.items):
        yield from _scalars(below, (*path, n))
    if path and not isinstance(node.data, dict | list):
        yield path, node
