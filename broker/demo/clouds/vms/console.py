"""What a virtual machine writes on its console, as cloud-init and the kernel do."""

import base64
import hashlib
from datetime import datetime
from typing import Final

from broker.demo.clouds.vms.hostkeys import HostKeys

_RULE: Final = "#" * 61
_SHOWN: Final = {"ecdsa-sha2-nistp256": ("256", "ECDSA"), "ssh-ed25519": ("256", "ED25519")}


def boot_lines(hostname: str) -> list[str]:
    """What is there at once."""
    return [
        "[    0.000000] Linux version 6.1.0-31-cloud-amd64 (debian-kernel@lists.debian.org)",
        "[    1.204131] systemd[1]: Detected virtualization kvm.",
        f"[    1.311870] systemd[1]: Hostname set to <{hostname}>.",
    ]


def key_lines(keys: HostKeys, hostname: str, at: datetime) -> list[str]:
    """The fingerprints through syslog, then the keys plainly.

    As cloud-init's write-ssh-key-fingerprints does: a prefix before the first, none before the second.
    """
    prefix = f"<14>{at:%b %e %H:%M:%S} cloud-init: "
    prints = [
        f"{_fingerprint(line)[0]} {_fingerprint(line)[1]} root@{hostname} ({_SHOWN[line.split()[0]][1]})"
        for line in keys.public
    ]
    said = [
        _RULE,
        "-----BEGIN SSH HOST KEY FINGERPRINTS-----",
        *prints,
        "-----END SSH HOST KEY FINGERPRINTS-----",
        _RULE,
    ]
    plain = [f"{line} root@{hostname}" for line in keys.public]
    return [
        *(prefix + line for line in said),
        "-----BEGIN SSH HOST KEY KEYS-----",
        *plain,
        "-----END SSH HOST KEY KEYS-----",
    ]


def last_lines(at: datetime, seconds: float) -> list[str]:
    """What cloud-init ends with."""
    when = f"{at:%a, %d %b %Y %H:%M:%S} +0000. Up {seconds:.2f} seconds"
    return [f"[   {seconds:9.6f}] cloud-init[812]: Cloud-init v. 22.4.2 finished at {when}"]


def _fingerprint(line: str) -> tuple[str, str]:
    kind, blob = line.split()
    digest = base64.b64encode(hashlib.sha256(base64.b64decode(blob)).digest()).decode().rstrip("=")
    return _SHOWN[kind][0], f"SHA256:{digest}"
