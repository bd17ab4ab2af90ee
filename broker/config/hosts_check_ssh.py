"""The way onto hosts: whose keys are believed, what is gone through, and machines that are named."""

from broker.config.hosts_uses import ALIBABA, SSH_HOSTS, Hosts, over_ssh, ssh_of
from broker.config.model_hosts import JumpHost, Machine, Ssh
from broker.config.model_pools import PoolModel
from broker.config.nodes import Path

_SCAN = "'ssh-keyscan HOST' prints them: compare them with those on the machine"


def check(hosts: Hosts) -> None:
    """Reports trust that nothing is there for, and machines that are not there or twice."""
    for name, pool in hosts.pools.items():
        _trust(hosts, name, pool)
        _unread(hosts, name, pool)
        ssh = ssh_of(pool)
        if ssh.jump_host is not None:
            _pins(hosts, ssh.jump_host, ("pools", name, "ssh", "jump_host"))
    _machines(hosts)


def _trust(hosts: Hosts, name: str, pool: PoolModel) -> None:
    ssh, at = ssh_of(pool), ("pools", name, "ssh")
    on_console = hosts.kinds[name] == ALIBABA
    if ssh.host_key == "from-console" and not on_console:
        message = f"pool '{name}' is of machines that are there, whose console no cloud shows"
        help_ = f"write 'host_key: pinned' and the 'host_keys' of each machine, or 'accept-new'; {_SCAN}"
        hosts.error("bad-host-key", hosts.value(*at, "host_key"), message, help_)
        return
    machines = pool.hosts or {}
    each = bool(machines) and all(machine.host_keys for machine in machines.values())
    _pins(hosts, ssh, at, each=each, some=any(machine.host_keys for machine in machines.values()))


def _pins(hosts: Hosts, ssh: Ssh | JumpHost, at: Path, *, each: bool = False, some: bool = False) -> None:
    """Pinned keys and the word for them, of which one may be missing; `each`, `some`: machines with own keys."""
    named = [key for key in ("host_keys", "known_hosts_file") if getattr(ssh, key)]
    if ssh.host_key == "pinned" and not (named or each):
        message = f"'host_key: pinned' of pool '{at[1]}' has no keys to compare with"
        lack = "add 'host_keys' or 'known_hosts_file'"
        help_ = f"{lack}{'; some machines have none of their own' if some else ''}; {_SCAN}"
        hosts.error("no-host-keys", hosts.value(*at, "host_key"), message, help_)
    if ssh.host_key in {"accept-new", "from-console"} and named:
        message = f"'{named[0]}' of pool '{at[1]}' is not looked at with 'host_key: {ssh.host_key}'"
        hosts.error("unused-key", hosts.key(*at, named[0]), message, "write 'host_key: pinned', or remove it")


def _unread(hosts: Hosts, name: str, pool: PoolModel) -> None:
    """A way over SSH where Cloud Assistant is the way."""
    imports = pool.key_pair is not None and pool.key_pair.import_
    if pool.ssh is not None and not over_ssh(pool) and not imports:
        message = f"'ssh' of pool '{name}' means nothing: its agents are started by Cloud Assistant"
        hosts.warning("unused-key", hosts.key("pools", name, "ssh"), message, "remove it, or write 'start_by: ssh'")


def _machines(hosts: Hosts) -> None:
    """Machines of static lists; one that is named twice would be filled twice."""
    first: dict[tuple[str, int], tuple[str, Path]] = {}
    for name, pool in hosts.of(SSH_HOSTS).items():
        if not pool.hosts and not hosts.root.has("pools", name, "hosts"):
            message = f"pool '{name}' has no 'hosts': no machine that agents could be on"
            help_ = "write 'hosts: { NAME: USER@HOST:PORT }'"
            hosts.error("no-hosts", hosts.key("pools", name), message, help_)
        for called, machine in (pool.hosts or {}).items():
            path: Path = ("pools", name, "hosts", called)
            place = _place(machine, ssh_of(pool))
            if place not in first:
                first[place] = (name, path)
                continue
            pool_of, earlier = first[place]
            if hosts.key(*earlier) == hosts.key(*path):
                continue  # inherited: pools of one list
            message = (
                f"machine '{called}' of pool '{name}' is '{earlier[-1]}' of pool '{pool_of}': {place[0]}:{place[1]}"
            )
            help_ = "remove one of them: each would be filled as if the other were not there"
            hosts.error("duplicate-machine", hosts.key(*path), message, help_)


def _place(machine: Machine, ssh: Ssh) -> tuple[str, int]:
    return machine.address.lower().rstrip("."), machine.port or ssh.port
