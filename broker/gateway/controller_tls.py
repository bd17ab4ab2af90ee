"""Whose certificates https controllers may show: what the system trusts, and each controller's own authorities."""

import ssl
from collections.abc import Mapping
from pathlib import Path


class ControllerTls:
    """One context for each set of authorities: they are dear, and most controllers share one."""

    def __init__(self, file: Path | None) -> None:
        """`file` is believed for all controllers. Raises OSError, which ssl.SSLError is, if it cannot be used."""
        self._file = file
        self._common = self._context("")
        self._named: dict[str, ssl.SSLContext] = {}
        self._authorities: Mapping[str, str] = {}

    def trust(self, authorities: Mapping[str, str]) -> None:
        """From now on these, in PEM by the name of their controller; empty ones add nothing. Raises OSError."""
        wanted = {text for text in authorities.values() if text}
        self._named = {text: self._named.get(text) or self._context(text) for text in wanted}
        self._authorities = dict(authorities)

    def of(self, controller: str) -> ssl.SSLContext:
        """For a connection to a controller: it checks certificate and name."""
        return self._named.get(self._authorities.get(controller, ""), self._common)

    def _context(self, authorities: str) -> ssl.SSLContext:
        context = ssl.create_default_context()
        if self._file is not None:
            context.load_verify_locations(self._file)
        if authorities:
            context.load_verify_locations(cadata=authorities)
        return context
