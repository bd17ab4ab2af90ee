"""Instances: what the cloud keeps of one, and its state at a time."""

from dataclasses import dataclass, field
from enum import StrEnum

from broker.demo.clouds.alibaba.catalog import Image, InstanceType


class Status(StrEnum):
    """https://www.alibabacloud.com/help/en/ecs/user-guide/instance-lifecycle."""

    PENDING = "Pending"
    STARTING = "Starting"
    RUNNING = "Running"
    STOPPING = "Stopping"
    STOPPED = "Stopped"


@dataclass(slots=True, kw_only=True)
class Disk:
    """A disk. One without an instance is Available."""

    id: str
    zone: str
    category: str
    size_gib: int
    created_at: float
    kind: str = "data"
    """system or data."""
    level: str = ""
    device: str = ""
    instance: str = ""
    name: str = ""
    snapshot: str = ""
    portable: bool = True
    delete_with_instance: bool = False
    multi_attach: bool = False
    encrypted: bool = False
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Spot:
    """What an instance on spot capacity was ordered with; `strategy` NoSpot: on demand."""

    strategy: str = "NoSpot"
    price_limit: float = 0.0
    duration: int = 0
    interruption: str = "Terminate"

    @property
    def is_spot(self) -> bool:
        """Whether it runs on spot capacity."""
        return self.strategy != "NoSpot"


@dataclass(slots=True, kw_only=True)
class Instance:
    """One instance. `status` is that of the time to which its region has been brought."""

    id: str
    name: str
    host_name: str
    region: str
    zone: str
    type: InstanceType
    image: Image
    vpc: str
    vswitch: str
    groups: list[str]
    created_at: float
    visible_at: float
    status: Status = Status.PENDING
    private_ip: str
    """Held from the call on; told from `address_at` on."""
    address_at: float
    public_ip: str = ""
    public_address_at: float = 0.0
    bandwidth_out: int = 0
    bandwidth_in: int = 0
    internet_charge: str = "PayByTraffic"
    key_pair: str = ""
    password: str = field(default="", repr=False)
    ram_role: str = ""
    user_data: bytes = b""
    description: str = ""
    http_tokens: str = "optional"
    http_endpoint: str = "enabled"
    protected: bool = False
    spot: Spot = field(default_factory=Spot)
    price: float = 0.0
    auto_release_at: float | None = None
    tags: dict[str, str] = field(default_factory=dict)
    started_at: float | None = None
    """When it last came to Running."""
    stopped_mode: str = ""
    locks: list[str] = field(default_factory=list)
    """Reasons for which the cloud has locked it: Recycling."""
    number: int = 0
    """Its place among all that the region ever had."""
    recycled_at: float | None = None
    """When its spot capacity is taken away, once that has been told."""
    ending: bool = False
    """Whether it is deleted, and only still listed."""
    mac: str = ""
    serial: str = ""
    plan: int = 0
    """Grows when its future changes; what was planned before does not happen."""

    def shown_address(self, now: float) -> str:
        """Its private address, "" as long as none is told."""
        return self.private_ip if now >= self.address_at else ""

    def shown_public_address(self, now: float) -> str:
        """Its public address, "" as long as none is told."""
        return self.public_ip if now >= self.public_address_at else ""
