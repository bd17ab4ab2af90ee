"""Unix sockets at paths of any length, and who a process is."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from broker.errors import GatewayError

_MAX_PATH: Final = 100
"""Below what `sun_path` holds on Linux: 108 bytes with the final NUL (unix(7))."""


@contextmanager
def unix_address(path: Path) -> Iterator[str]:
    """An address for `bind` or `connect` to a socket at `path`, good within the context."""
    if len(os.fsencode(path)) <= _MAX_PATH:
        yield str(path)
        return
    directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{directory}/{path.name}"
    finally:
        os.close(directory)


def process_started(pid: int) -> int | None:
    """When a process started, in clock ticks since the boot (proc(5), field 22); None if it has ended."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat[stat.rindex(")") + 2 :].split()
    return None if fields[0] in {"Z", "X"} else int(fields[19])


def this_host() -> str:
    """Where a pid means what it means here: the boot of this machine, and this process's pid namespace (proc(5))."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return "unknown"


def listen_unix(path: Path) -> socket.socket:
    """A listening socket that only this user may use, in place of one that a killed process left.

    Raises `GatewayError` if another process listens there, or if the place cannot be used.
    """
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if path.exists():
            _remove_stale(path)
        with unix_address(path) as address:
            umask = os.umask(0o177)
            try:
                sock.bind(address)
            finally:
                os.umask(umask)
        sock.listen(16)
    except OSError as error:
        sock.close()
        raise GatewayError(f"cannot listen for gateways at {path}: {error.strerror}") from error
    sock.setblocking(False)
    return sock


def _remove_stale(path: Path) -> None:
    with unix_address(path) as address, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(address)
        except ConnectionRefusedError:
            path.unlink()
            return
    raise GatewayError(f"another broker listens for gateways at {path}: stop it, or set gateway.control")
