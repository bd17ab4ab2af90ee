"""VPCs, vSwitches and security groups of a region: the things themselves, and the addresses that instances hold."""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from broker.demo.clouds.model import ApiError

Network = ipaddress.IPv4Network
_RESERVED_FRONT, _RESERVED_BACK = 1, 3
"""Addresses of a vSwitch that nobody gets: the first, and the last three.
https://www.alibabacloud.com/help/en/vpc/user-guide/create-and-manage-a-vswitch"""


@dataclass(slots=True, kw_only=True)
class Vpc:
    """One VPC; it is Pending until `ready_at`."""

    id: str
    name: str
    cidr: Network
    created_at: float
    ready_at: float
    description: str = ""
    secondary: list[Network] = field(default_factory=list)
    router: str = ""
    route_table: str = ""
    is_default: bool = False
    tags: dict[str, str] = field(default_factory=dict)

    def status(self, now: float) -> str:
        """Pending or Available."""
        return "Available" if now >= self.ready_at else "Pending"

    def contains(self, block: Network) -> bool:
        """Whether a block lies in one of its own."""
        return any(block.subnet_of(one) for one in (self.cidr, *self.secondary))


@dataclass(slots=True, kw_only=True)
class VSwitch:
    """One vSwitch."""

    id: str
    name: str
    vpc: str
    zone: str
    cidr: Network
    created_at: float
    ready_at: float
    description: str = ""
    is_default: bool = False
    held: dict[str, str] = field(default_factory=dict)
    """Addresses, and the instances that have them."""
    taken_elsewhere: int = 0
    """Addresses that things outside the fake hold."""
    tags: dict[str, str] = field(default_factory=dict)

    def status(self, now: float) -> str:
        """Pending or Available."""
        return "Available" if now >= self.ready_at else "Pending"

    @property
    def free(self) -> int:
        """How many addresses are left."""
        most = self.cidr.num_addresses - _RESERVED_FRONT - _RESERVED_BACK
        return max(0, most - len(self.held) - self.taken_elsewhere)

    def is_usable(self, address: str) -> bool:
        """Whether an address is one of its own that somebody may have."""
        place = int(ipaddress.IPv4Address(address)) - int(self.cidr.network_address)
        return _RESERVED_FRONT <= place < self.cidr.num_addresses - _RESERVED_BACK

    def take(self, instance: str, address: str = "") -> str:
        """Gives an instance an address: that one, or the lowest that is free and was not used for longest."""
        chosen = address or self._next()
        self.held[chosen] = instance
        self._last = int(ipaddress.IPv4Address(chosen)) - int(self.cidr.network_address)
        return chosen

    def give_back(self, address: str) -> None:
        """The address is free again."""
        self.held.pop(address, None)

    _last: int = 0

    def _next(self) -> str:
        first, most = int(self.cidr.network_address), self.cidr.num_addresses
        usable = range(_RESERVED_FRONT, most - _RESERVED_BACK)
        start = self._last + 1 if self._last + 1 in usable else usable.start
        for step in range(len(usable)):
            place = usable.start + (start - usable.start + step) % len(usable)
            address = str(ipaddress.IPv4Address(first + place))
            if address not in self.held:
                return address
        raise ApiError("QuotaExceeded.PrivateIpAddress", "Don't have enough private IPs in this switch")


@dataclass(slots=True, kw_only=True)
class SecurityGroup:
    """One group; its rules are as DescribeSecurityGroupAttribute tells them."""

    id: str
    name: str
    vpc: str
    created_at: float
    description: str = ""
    kind: str = "normal"
    rules: list[dict[str, Any]] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Networks:
    """Those of a region, by id."""

    vpcs: dict[str, Vpc] = field(default_factory=dict)
    vswitches: dict[str, VSwitch] = field(default_factory=dict)
    groups: dict[str, SecurityGroup] = field(default_factory=dict)

    def in_vpc(self, vpc: str) -> Iterable[VSwitch]:
        """The vSwitches of a VPC."""
        return (one for one in self.vswitches.values() if one.vpc == vpc)
