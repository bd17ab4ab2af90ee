"""What a machine must have to run virtual machines of ours, said in full when it has not."""

import os
import shutil
from typing import Final

_PROGRAMS: Final = {
    "sshd": "openssh-server",
    "ip": "iproute2",
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "setpriv": "util-linux",
    "pivot_root": "util-linux",
    "chpasswd": "passwd",
}
"""What is started, and Debian's package that has it."""
PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class CannotRun(Exception):
    """No virtual machine can be had here; the text says what to do."""


def check() -> None:
    """Raises CannotRun with all that is missing."""
    missing = missing_here()
    if missing:
        raise CannotRun(
            f"a virtual machine here is a real sshd in namespaces of its own, which needs {'; '.join(missing)}"
        )


def missing_here() -> list[str]:
    """What is missing, each with what to do about it; empty if nothing is."""
    found = []
    if os.geteuid() != 0:
        found.append(f"root: this process is user {os.geteuid()}; run it as root, or in a container with --privileged")
    packages = sorted({package for name, package in _PROGRAMS.items() if shutil.which(name, path=PATH) is None})
    if packages:
        found.append(f"programs: install {' '.join(packages)} (the names of Debian's packages)")
    return found
