"""The config's own keys of this backend, as frozen values. The config has checked them: here they are only read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from broker.domain.definitions import Rate
from broker.domain.pool import BackendDefinition, Pool

SPOT: Final = "spot"
ON_DEMAND: Final = "on-demand"
"""The two values of `Offering.capacity`."""
NO_SPOT: Final = "NoSpot"


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendOptions:
    """One account and region with its credentials. Empty is not said."""

    region: str = ""
    access_key_id: str = field(default="", repr=False)
    access_key_id_file: str = ""
    access_key_secret: str = field(default="", repr=False)
    access_key_secret_file: str = ""
    security_token: str = field(default="", repr=False)
    security_token_file: str = ""
    ram_role_name: str = ""
    role_arn: tuple[str, ...] = ()
    """In the order in which they are taken."""
    role_session_name: str = ""
    role_external_id: str = ""
    vpc_endpoints: bool = False
    endpoints: Mapping[str, str] = field(default_factory=dict)
    """URLs without a path, by service: ecs, vpc, sts, metadata."""
    proxy: str = field(default="", repr=False)
    auto_network: bool = False
    network: Mapping[str, Any] = field(default_factory=dict)
    auto_release: float = 6 * 3600.0
    """Seconds after which the cloud deletes a host whose broker is dead; 0: never."""
    poll_interval: float = 3.0
    api_rate: Rate | None = None

    @classmethod
    def of(cls, definition: BackendDefinition) -> "BackendOptions":
        """Reads `definition.options`."""
        return cls(**_known(cls, definition.options))


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """A disk that is made with the host; `size` in GiB."""

    category: str = ""
    performance_level: str = ""
    size: int = 0
    count: int = 1
    snapshot: str = ""
    delete_with_instance: bool = True

    @classmethod
    def of(cls, said: Mapping[str, Any]) -> "Disk":
        """Reads one of `system_disk` and `data_disks`."""
        return cls(**_known(cls, said))


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """How hosts are paid."""

    spot_strategy: str = NO_SPOT
    price_limit: float | None = None
    """The most for an hour, in the account's currency."""
    duration: int | None = None
    interruption: str = ""
    on_no_stock: str = "fail"

    @property
    def capacities(self) -> tuple[str, ...]:
        """Values of `Offering.capacity`, the one that is tried first first."""
        if self.spot_strategy == NO_SPOT:
            return (ON_DEMAND,)
        return (SPOT, ON_DEMAND) if self.on_no_stock == "on-demand" else (SPOT,)


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicIp:
    """An address on the internet, of the host's own."""

    bandwidth_out: int = 10
    bandwidth_in: int | None = None
    charge: str = "PayByTraffic"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPair:
    """The key pair that hosts are made with; `make` says to import it where there is none. No name: one of ours."""

    name: str = ""
    make: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolOptions:
    """What a host of a pool is."""

    image_id: str = ""
    image_family: str = ""
    instance_types: tuple[str, ...] = ()
    zones: tuple[str, ...] = ()
    vswitches: tuple[str, ...] = ()
    security_groups: tuple[str, ...] = ()
    key_pair: KeyPair | None = None
    charge: Charge = Charge()
    system_disk: Disk | None = None
    data_disks: tuple[Disk, ...] = ()
    data_disk_ids: tuple[str, ...] = ()
    public_ip: PublicIp | None = None
    connect_by: str = "private"
    user_data: str = field(default="", repr=False)
    user_data_file: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    instance_name: str = "agentbroker-{pool}"
    host_name: str = ""
    vm_ram_role: str = ""
    deployment_set: str = ""
    resource_group: str = ""
    http_tokens: str = ""
    os: str = "linux"
    password: str = field(default="", repr=False)
    password_file: str = ""
    start_by: str = "ssh"

    @classmethod
    def of(cls, pool: Pool) -> "PoolOptions":
        """Reads `pool.options`."""
        known = _known(cls, pool.options)
        for name, made in (("charge", Charge), ("public_ip", PublicIp)):
            if name in known:
                known[name] = made(**_known(made, known[name]))
        if "key_pair" in known:
            said: Mapping[str, Any] = known["key_pair"]
            known["key_pair"] = KeyPair(name=str(said.get("name") or ""), make=bool(said.get("import")))
        if "system_disk" in known:
            known["system_disk"] = Disk.of(known["system_disk"])
        known["data_disks"] = tuple(Disk.of(one) for one in known.get("data_disks", ()))
        return cls(**known)

    @property
    def is_windows(self) -> bool:
        """Whether its hosts run Windows."""
        return self.os == "windows"


def ssh_key_of(pool: Pool) -> tuple[str, str]:
    """The private key of `pool.options["ssh"]` as it stands there, and its file; each may be empty."""
    said = pool.options.get("ssh")
    ssh: Mapping[str, Any] = said if isinstance(said, Mapping) else {}
    return str(ssh.get("private_key") or ""), str(ssh.get("private_key_file") or "")


def _known(cls: Any, options: Mapping[str, Any]) -> dict[str, Any]:
    """What is said of a class's fields; lists as tuples."""
    said = {name: options[name] for name in cls.__dataclass_fields__ if options.get(name) is not None}
    return {name: tuple(value) if isinstance(value, list) else value for name, value in said.items()}
