"""A pool's own keys for its hosts, as the config has checked them: how they are reached, and what is run first.

`broker/config/convert_hosts.py` has the list.
"""

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
class Reach:
    """How one host is reached over SSH, or the host that is gone through on the way."""

    address: str
    user: str = "root"
    port: int = 22
    private_key: str = field(default="", repr=False)
    """PEM or OpenSSH's own form; empty: `key_file` is read."""
    key_file: str = ""
    host_key: HostKeyMode = HostKeyMode.FROM_CONSOLE
    pinned: tuple[str, ...] = ()
    """Lines `TYPE BASE64`; with those of `known_hosts_file`, for `pinned`."""
    known_hosts_file: str = ""
    connect_s: float = 10.0
    """For one try to connect, exchange keys and log in."""
    jump: "Reach | None" = None

    @property
    def way(self) -> str:
        """The same for the same way, however it was written."""
        through = f"{self.jump.way} > " if self.jump is not None else ""
        return f"{through}{self.user}@{self.address}:{self.port}"

    def key_text(self) -> str:
        """The private key; reads a file, so it blocks. BackendRejected names the key and the file."""
        return self.private_key or read_text(self.key_file, "ssh.private_key_file", Reason.SSH_AUTH_FAILED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Init:
    """What is run once on a new host, and as long as it may take."""

    script: str = field(repr=False)
    timeout_s: float = 600.0
    sudo: bool = False
    legacy_marker: str = ""
    env: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Runner:
    """What agents run in: containers if their template has an image, else Java of at least that major version."""

    engine: str = "auto"
    java: str = ""
    java_version: int = 17
    java_opts: tuple[str, ...] = ()
    work_dir: str = "agentbroker"
    """A relative one is in the user's home."""
    command: tuple[str, ...] = ()
    """Stands for `java -jar agent.jar`, and gets the options of that jar."""
    agent_jar: str = ""
    """A path on the host; empty: the controller's is fetched through the gateway."""


def reach_of(place: HostPlace) -> Reach:
    """Reads `pool.options["ssh"]`."""
    return reach_from(place.address, section(place.pool, "ssh"))


def reach_from(address: str, ssh: Mapping[str, Any]) -> Reach:
    """Of one section `ssh`, or of its `jump_host`."""
    jump = ssh.get("jump_host")
    return Reach(
        address=address,
        user=str(ssh.get("user") or "root"),
        port=int(ssh.get("port") or 22),
        private_key=str(ssh.get("private_key") or ""),
        key_file=str(ssh.get("private_key_file") or ""),
        host_key=HostKeyMode(str(ssh.get("host_key") or HostKeyMode.FROM_CONSOLE)),
        pinned=tuple(" ".join(str(line).split()[:2]) for line in ssh.get("host_keys") or ()),
        known_hosts_file=str(ssh.get("known_hosts_file") or ""),
        connect_s=float(ssh.get("connect_timeout") or 10.0),
        jump=_jump(jump, ssh) if isinstance(jump, Mapping) else None,
    )


def init_of(pool: Pool) -> Init | None:
    """Reads `pool.options["init"]` and its files, so it blocks; None where nothing is run.

    BackendRejected names the file that cannot be read.
    """
    init = section(pool, "init")
    if not init:
        return None
    of = f"pools.{pool.name}.init"
    script = str(init.get("script") or "")
    files = {str(name): str(path) for name, path in dict(init.get("env_files") or {}).items()}
    secrets = {n: read_text(path, f"{of}.env_files.{n}", Reason.SETUP_FAILED).strip() for n, path in files.items()}
    return Init(
        script=script or read_text(str(init.get("script_file") or ""), f"{of}.script_file", Reason.SETUP_FAILED),
        timeout_s=float(init.get("timeout") or 600.0),
        sudo=bool(init.get("sudo")),
        legacy_marker=str(init.get("legacy_marker") or ""),
        env={str(name): str(value) for name, value in dict(init.get("env") or {}).items()} | secrets,
    )


def runner_of(pool: Pool) -> Runner:
    """Reads `pool.options["runner"]`."""
    runner = section(pool, "runner")
    return Runner(
        engine=str(runner.get("container_engine") or "auto"),
        java=str(runner.get("java") or ""),
        java_version=int(runner.get("java_version") or 17),
        java_opts=tuple(str(word) for word in runner.get("java_opts") or ()),
        work_dir=str(runner.get("work_dir") or "agentbroker"),
        command=tuple(str(word) for word in runner.get("command") or ()),
        agent_jar=str(runner.get("agent_jar") or ""),
    )


def section(pool: Pool, name: str) -> Mapping[str, Any]:
    """One map of a pool's own keys; empty where nothing is said."""
    told = pool.options.get(name)
    return told if isinstance(told, Mapping) else {}


def read_text(path: str, key: str, reason: Reason) -> str:
    """A file that the config names under `key`; BackendRejected says why it cannot be read."""
    try:
        return Path(path).read_text()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise BackendRejected(
            "Unreadable", f"{key}: cannot read {path or 'it, it is not set'}: {why}", reason
        ) from error


def _jump(jump: Mapping[str, Any], ssh: Mapping[str, Any]) -> Reach:
    """It is gone to with a key of its own, or with that of the hosts."""
    own = jump.get("private_key") or jump.get("private_key_file")
    keys = {name: ssh.get(name) for name in ("private_key", "private_key_file")} if not own else {}
    user = {"user": jump.get("user") or ssh.get("user")}
    patience = {"connect_timeout": ssh.get("connect_timeout")}
    return reach_from(str(jump["address"]), {"host_key": HostKeyMode.ACCEPT_NEW, **jump, **keys, **user, **patience})
