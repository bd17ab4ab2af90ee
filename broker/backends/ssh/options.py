"""A pool's own keys for its hosts, as the config has checked them: how they are reached, and what is run first."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from broker.domain.host_order import HostPlace
from broker.domain.pool import Pool
from broker.domain.reason import Reason
from broker.errors import BackendRejected


class HostKeyMode(StrEnum):
    """Where a host's keys are known from."""

    FROM_CONSOLE = "from-console"
    PINNED = "pinned"
    ACCEPT_NEW = "accept-new"


@dataclass(frozen=True, slots=True, kw_only=True)
class Jump:
    """A host that is gone through; `pinned` are its own keys, and empty believes the first that it shows."""

    address: str
    user: str
    port: int = 22
    pinned: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """How one host is reached over SSH."""

    address: str
    user: str = "root"
    port: int = 22
    private_key: str = field(default="", repr=False)
    """PEM or OpenSSH's own form; empty: `key_file` is read."""
    key_file: str = ""
    host_key: HostKeyMode = HostKeyMode.FROM_CONSOLE
    pinned: tuple[str, ...] = ()
    """Lines `TYPE BASE64`, for `pinned`."""
    jump: Jump | None = None

    def key_text(self) -> str:
        """The private key; reads a file, so it blocks. BackendRejected names the key and the file."""
        if self.private_key:
            return self.private_key
        try:
            return Path(self.key_file).read_text()
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is no text"
            message = f"ssh.private_key_file: cannot read {self.key_file or 'it: it is not set'}: {why}"
            raise BackendRejected("SshKeyUnreadable", message, Reason.SSH_AUTH_FAILED) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Init:
    """What is run once on a new host."""

    script: str = field(repr=False)
    timeout_s: float = 600.0
    sudo: bool = False
    legacy_marker: str = ""
    env: Mapping[str, str] = field(default_factory=dict, repr=False)


def reach_of(place: HostPlace) -> Reach:
    """Reads `pool.options["ssh"]`."""
    return reach_from(place.address, _section(place.pool, "ssh"))


def reach_from(address: str, ssh: Mapping[str, Any]) -> Reach:
    """Of one section `ssh`, whose keys are those of the config."""
    user, port = str(ssh.get("user") or "root"), int(ssh.get("port") or 22)
    return Reach(
        address=address,
        user=user,
        port=port,
        private_key=str(ssh.get("private_key") or ""),
        key_file=str(ssh.get("private_key_file") or ""),
        host_key=HostKeyMode(str(ssh.get("host_key") or HostKeyMode.FROM_CONSOLE)),
        pinned=key_lines(ssh.get("host_keys")),
        jump=_jump(str(ssh["jump_host"]), user, key_lines(ssh.get("jump_host_keys"))) if ssh.get("jump_host") else None,
    )


def key_lines(told: object) -> tuple[str, ...]:
    """Public keys as the config gives them, each without its comment."""
    words = told.splitlines() if isinstance(told, str) else told
    lines = [str(line) for line in words] if isinstance(words, list | tuple) else []
    return tuple(" ".join(line.split()[:2]) for line in lines if line.strip())


def init_of(pool: Pool) -> Init | None:
    """Reads `pool.options["init"]` and its file, so it blocks; None where nothing is run.

    BackendRejected names the file.
    """
    init = _section(pool, "init")
    if not init:
        return None
    path = str(init["script_file"])
    try:
        script = Path(path).read_text()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        message = f"pools.{pool.name}.init.script_file: cannot read {path}: {why}"
        raise BackendRejected("InitScriptUnreadable", message, Reason.SETUP_FAILED) from error
    return Init(
        script=script,
        timeout_s=float(init.get("timeout") or 600.0),
        sudo=bool(init.get("sudo")),
        legacy_marker=str(init.get("legacy_marker") or ""),
        env={str(name): str(value) for name, value in dict(init.get("env") or {}).items()},
    )


def _jump(text: str, user: str, pinned: tuple[str, ...]) -> Jump:
    """`[USER@]HOST[:PORT]`; an IPv6 address with a port is in brackets."""
    named, at, rest = text.rpartition("@")
    host, port = rest, 22
    if rest.startswith("["):
        host, _, after = rest[1:].partition("]")
        port = int(after[1:]) if after.startswith(":") else 22
    elif rest.count(":") == 1:
        host, _, number = rest.partition(":")
        port = int(number)
    return Jump(address=host, user=named if at else user, port=port, pinned=pinned)


def _section(pool: Pool, name: str) -> Mapping[str, Any]:
    section = pool.options.get(name)
    return section if isinstance(section, Mapping) else {}
