"""From the models of hosts to what backends read in `pool.options`: plain values, whoever makes the hosts.

Durations are seconds (float), sizes MiB (int), files absolute paths (text). A key with a default is always there; one
that is marked with ? is missing where nothing is said. Secrets stand in files, or as their text where the config does.

`agents_per_host?` int. `ssh`: `user` str, `port` int, `private_key?` str (OpenSSH or PEM), `private_key_file?` str,
`host_key` "from-console" | "pinned" | "accept-new" (worked out), `host_keys` list of "TYPE BASE64",
`known_hosts_file?` str, `connect_timeout` float, `jump_host?`: `address` str, `port` int, `user` str, `private_key?`,
`private_key_file?` (both missing: that of the hosts), `host_key` "pinned" | "accept-new", `host_keys` list,
`known_hosts_file?`.
`init?`: `script?` str or `script_file?` str (one of them), `timeout` float, `sudo` bool, `env` map of texts,
`env_files` map of paths, `legacy_marker?` str.
`runner`: `container_engine` "auto" | "docker" | "podman", `java?` str, `java_version` int (the least major),
`java_opts` list of texts, `work_dir` str (a relative one is in the home of the user on the host).
`host`: `idle_timeout` float, `max_age?` float, `max_uses?` int, `boot_timeout` float; all in `Pool.hosts`, too.
`hosts` (ssh-hosts alone): machine's name → `address` str, `port` int, `user` str, `cpu?` float (vCPU), `memory?` int
(MiB), `slots?` int (that of `agents_per_host` where it has none), `zone?` str, `host_keys` list.
"""

from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from broker.config.base import Model, known_keys
from broker.config.model_hosts import HostModel, Init, JumpHost, Machine, Runner, Ssh
from broker.config.model_pools import WITH_HOSTS, PoolModel
from broker.domain.host import HostRules

SPARE: Final = timedelta(minutes=5)
"""What a host's preparation may take beside its init script."""


def pool_options(pool: PoolModel, kind: str, base: Path) -> dict[str, object]:
    """The keys of hosts; relative file names start at `base`."""
    ssh = pool.ssh or Ssh()
    options: dict[str, object] = {
        "ssh": _ssh(ssh, pool, kind, base),
        "runner": plain(pool.runner or Runner(), base),
        "host": plain(pool.host or HostModel(), base),
    }
    if pool.agents_per_host is not None:
        options["agents_per_host"] = pool.agents_per_host
    if pool.init is not None:
        options["init"] = _init(pool.init, base)
    if pool.hosts is not None:
        options["hosts"] = {name: _machine(one, ssh, pool, base) for name, one in pool.hosts.items()}
    return options


def rules(pool: PoolModel, kind: str) -> HostRules | None:
    """What the core knows of a pool's hosts; None for a pool without."""
    if kind not in WITH_HOSTS:
        return None
    host, limits = pool.host or HostModel(), pool.limits
    most = [limit for limit in (limits.hosts, len(pool.hosts) if pool.hosts is not None else None) if limit is not None]
    return HostRules(
        agents_per_host=pool.agents_per_host,
        most=min(most, default=None),
        fewest=limits.min_hosts or 0,
        idle_timeout=host.idle_timeout,
        max_age=host.max_age or None,
        max_uses=host.max_uses or None,
        boot_timeout=host.boot_timeout,
        prepare_timeout=(pool.init.timeout if pool.init else timedelta()) + SPARE,
    )


def plain(model: Model, base: Path) -> dict[str, Any]:
    """A map with all that is said or has a default; durations in seconds, files as absolute paths."""
    said = {key: getattr(model, name) for key, name in known_keys(type(model)).items()}
    return {key: _value(key, value, base) for key, value in said.items() if value is not None}


def _value(key: str, value: object, base: Path) -> object:
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Model):
        return plain(value, base)
    if isinstance(value, list):
        return [_value("", item, base) for item in value]
    if isinstance(value, dict):
        return dict(value)
    return str(base / value) if key.endswith("_file") and isinstance(value, str) else value


def _ssh(ssh: Ssh, pool: PoolModel, kind: str, base: Path) -> dict[str, Any]:
    made = plain(ssh, base)
    made["host_key"] = trust(ssh, pool, kind)
    made["host_keys"] = list(ssh.host_keys or ())
    if ssh.jump_host is not None:
        made["jump_host"] = _jump(ssh.jump_host, ssh, base)
    return made


def trust(ssh: Ssh, pool: PoolModel, kind: str) -> str:
    """How host keys are believed: as said, else pinned where keys are named."""
    if ssh.host_key is not None:
        return ssh.host_key
    if ssh.host_keys or ssh.known_hosts_file:
        return "pinned"
    if kind != "ssh-hosts":
        return "from-console"
    machines = (pool.hosts or {}).values()
    return "pinned" if machines and all(one.host_keys for one in machines) else "accept-new"


def _jump(jump: JumpHost, ssh: Ssh, base: Path) -> dict[str, Any]:
    made = plain(jump, base)
    pinned = bool(jump.host_keys or jump.known_hosts_file)
    made |= {"user": jump.user or ssh.user, "host_keys": list(jump.host_keys or ())}
    made["host_key"] = jump.host_key or ("pinned" if pinned else "accept-new")
    return made


def _init(init: Init, base: Path) -> dict[str, Any]:
    made = plain(init, base)
    made["env_files"] = {name: str(base / file) for name, file in init.env_files.items()}
    return made


def _machine(machine: Machine, ssh: Ssh, pool: PoolModel, base: Path) -> dict[str, Any]:
    made = plain(machine, base)
    made |= {"port": machine.port or ssh.port, "user": machine.user or ssh.user}
    made["host_keys"] = list(machine.host_keys or ())
    if (slots := machine.slots or pool.agents_per_host) is not None:
        made["slots"] = slots
    return made
