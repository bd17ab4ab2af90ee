"""Unix sockets at paths of any length, and who a process is."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

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
