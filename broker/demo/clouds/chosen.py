"""Whether this machine can run virtual machines for the demo's Alibaba Cloud, and with which addresses."""

import importlib.util
import secrets
import shutil
import subprocess
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Final

from broker.demo.clouds.vms.needs import PATH, missing_here

_ENGINE: Final = ("podman", "runc", "catatonit")
_ROUTES: Final = Path("/proc/net/route")
_PROBE: Final = ("unshare", "--pid", "--mount", "--net", "--fork", "mount", "-t", "tmpfs", "tmpfs", "/tmp")  # noqa: S108
"""Namespaces, and a mount in one of them: this machine's own /tmp is not touched."""


def lacking() -> str:
    """What is missing here, with what to do about it; empty if nothing is."""
    found = missing_here()
    programs = [name for name in _ENGINE if shutil.which(name, path=PATH) is None]
    if programs:
        found.append(f"a container engine: install {' '.join(programs)} (the names of Debian's packages)")
    if any(importlib.util.find_spec(name) is None for name in ("alibabacloud_ecs20140526", "asyncssh")):
        found.append("the cloud's client: pip install 'jenkins-agentbroker[alibaba]'")
    if not found:
        tried = subprocess.run(_PROBE, capture_output=True, text=True, check=False)
        if tried.returncode:
            found.append(f"namespaces, which cannot be made here: {tried.stderr.strip()}; --privileged allows them")
    return "; ".join(found)


def free_block() -> IPv4Network:
    """Addresses for a VPC that nothing is routed to on this machine; another one each time."""
    taken = _routed()
    while True:
        block = IPv4Network((0x0A000000 + (secrets.randbelow(1 << 14) << 10), 22))
        if not any(block.overlaps(one) for one in taken):
            return block


def _routed() -> list[IPv4Network]:
    lines = _ROUTES.read_text().splitlines()[1:] if _ROUTES.exists() else []
    routes = [(IPv4Address(_number(line.split()[1])), IPv4Address(_number(line.split()[7]))) for line in lines]
    return [IPv4Network(f"{where}/{mask}") for where, mask in routes if int(mask)]


def _number(text: str) -> int:
    return int.from_bytes(bytes.fromhex(text), "little")
