"""The key that agents pin over TCP, in a file of its own: it is not the certificate of the gateway's HTTPS."""

import os
from contextlib import suppress
from pathlib import Path

from broker.errors import GatewayError
from broker.inbound.identity import Identity


def load_identity(path: Path) -> Identity:
    """The key of a file, which is made where there is none; of many gateways that make it at once, one wins.

    Raises `GatewayError` that names the file and what is wrong with it.
    """
    try:
        if not path.exists():
            _make(path)
        mode = path.stat().st_mode & 0o777
        pem = path.read_bytes()
    except OSError as error:
        raise GatewayError(f"{path}: {error.strerror}; the gateway keeps there the key that agents pin") from error
    if mode & 0o077:
        raise GatewayError(f"{path}: others may read it (mode {mode:04o}); run: chmod 600 {path}")
    try:
        return Identity.load(pem)
    except ValueError as error:
        raise GatewayError(f"{path}: {error}") from error


def _make(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    with suppress(FileNotFoundError):
        fresh.unlink()
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(descriptor, Identity.new().pem())
        os.fsync(descriptor)
        with suppress(FileExistsError):  # another gateway was faster: its key is the one
            os.link(fresh, path)
    finally:
        os.close(descriptor)
        fresh.unlink()
