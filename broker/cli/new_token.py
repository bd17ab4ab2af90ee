"""Tokens of controllers: what they look like, and how the config knows them."""

import hashlib
import os
import secrets
from pathlib import Path
from typing import Final

PREFIX: Final = "ab1_"
"""Makes a token that leaked findable, by people and by scanners."""


def new_token() -> str:
    """A token of 256 random bits."""
    return PREFIX + secrets.token_urlsafe(32)


def hash_of(token: str) -> str:
    """What stands at `controllers.NAME.token_sha256`."""
    return hashlib.sha256(token.strip().encode()).hexdigest()


def write_new(path: Path, token: str) -> None:
    """Writes a file that only its owner may read. Raises FileExistsError rather than replace one, else OSError."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(token + "\n")
