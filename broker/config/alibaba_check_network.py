"""Where a pool's machines on Alibaba Cloud are, and how they are dialled."""

from broker.config.hosts_uses import ALIBABA, Hosts
from broker.config.model_pools import PoolModel


def check(hosts: Hosts) -> None:
    """Reports networks that are not there, zones of another region, and addresses that no host has."""
    for name, pool in hosts.of(ALIBABA).items():
        _whole(hosts, name, pool)
        _zones(hosts, name, pool)
        _address(hosts, name, pool)


def _whole(hosts: Hosts, name: str, pool: PoolModel) -> None:
    backend = hosts.file.backends.get(pool.backend)
    left_out = [
        key for key in ("vswitches", "security_groups") if not (getattr(pool, key) or hosts.names("pools", name, key))
    ]
    if not left_out or backend is None or backend.auto_network:
        return
    message = f"pool '{name}' has no {' and no '.join(repr(key) for key in left_out)}"
    help_ = (
        "list them ('agentbroker discover' shows those of the account), or let the broker find and make them: "
        f"'auto_network: true' of backend '{pool.backend}'"
    )
    hosts.error("no-network", hosts.key("pools", name), message, help_)


def _zones(hosts: Hosts, name: str, pool: PoolModel) -> None:
    backend = hosts.file.backends.get(pool.backend)
    region = backend.region if backend else None
    for n, zone in enumerate(pool.zones or ()):
        if region and not (zone.startswith(region) and len(zone) <= len(region) + 2):
            message = f"zone '{zone}' of pool '{name}' is not in region '{region}' of backend '{pool.backend}'"
            help_ = f"its zones are '{region}-a' and so on; 'agentbroker discover' lists them"
            hosts.error("bad-zone", hosts.value("pools", name, "zones", n), message, help_)


def _address(hosts: Hosts, name: str, pool: PoolModel) -> None:
    if pool.connect_by == "public" and pool.public_ip is None:
        message = f"pool '{name}' dials the public addresses of hosts that have none"
        help_ = "add 'public_ip: {}', or write 'connect_by: private'"
        hosts.error("no-public-ip", hosts.value("pools", name, "connect_by"), message, help_)
