"""Subnets and security groups of the account: what a task's network configuration may name, and addresses that end."""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass, field

from broker.demo.clouds.ecs import errors


@dataclass(slots=True, kw_only=True)
class Subnet:
    """One subnet. AWS keeps five of its addresses for itself."""

    id: str
    zone: str
    vpc: str
    cidr: str
    public: bool = False
    _next: int = 4
    _given: set[str] = field(default_factory=set)
    _back: list[str] = field(default_factory=list)

    @property
    def size(self) -> int:
        """How many addresses tasks can have."""
        return ipaddress.ip_network(self.cidr).num_addresses - 5

    @property
    def free(self) -> int:
        """How many addresses are left."""
        return self.size - len(self._given)

    def take(self) -> str | None:
        """An address, None if none is left."""
        if self.free <= 0:
            return None
        if self._next < self.size + 4:
            address = str(ipaddress.ip_network(self.cidr)[self._next])
            self._next += 1
        else:
            address = self._back.pop(0)
        self._given.add(address)
        return address

    def give_back(self, address: str) -> None:
        """Ends a lease; one that has ended is a success."""
        if address in self._given:
            self._given.discard(address)
            self._back.append(address)


@dataclass(slots=True, kw_only=True)
class Network:
    """One region's."""

    region: str
    subnets: dict[str, Subnet] = field(default_factory=dict)
    security_groups: dict[str, str] = field(default_factory=dict)
    """Their VPCs by id."""

    @classmethod
    def usual(cls, region: str) -> "Network":
        """One VPC with a subnet and 4,091 addresses in each of three zones, and its default security group."""
        network = cls(region=region)
        for index, letter in enumerate("abc"):
            network.add_subnet(f"subnet-0{letter * 16}", f"{region}{letter}", cidr=f"10.0.{16 * index}.0/20")
        network.security_groups["sg-00000000000000001"] = "vpc-00000000000000001"
        return network

    def add_subnet(
        self, subnet_id: str, zone: str, *, cidr: str = "10.0.48.0/20", vpc: str = "vpc-00000000000000001"
    ) -> Subnet:
        """One more subnet."""
        subnet = Subnet(id=subnet_id, zone=zone, vpc=vpc, cidr=cidr)
        self.subnets[subnet_id] = subnet
        return subnet

    def chosen(self, subnet_ids: list[str], group_ids: list[str]) -> list[Subnet]:
        """The subnets of a request; raises InvalidParameterException for what is not here or not of one VPC."""
        if not subnet_ids:
            raise errors.invalid("subnets can not be empty.")
        if len(subnet_ids) > 16:
            raise errors.invalid("subnets can have at most 16 items.")
        if len(group_ids) > 5:
            raise errors.invalid("securityGroups can have at most 5 items.")
        _known(subnet_ids, self.subnets, "subnet", "The subnet ID", "InvalidSubnetID.NotFound")
        _known(group_ids, self.security_groups, "security group", "The security group", "InvalidGroup.NotFound")
        found = [self.subnets[subnet] for subnet in subnet_ids]
        if len({subnet.vpc for subnet in found}) > 1:
            raise errors.invalid("The provided subnets must all belong to the same VPC.")
        if any(self.security_groups[group] != found[0].vpc for group in group_ids):
            raise errors.invalid("The provided security groups must belong to the VPC of the subnets.")
        return found


def _known(ids: list[str], known: Iterable[str], what: str, subject: str, code: str) -> None:
    for identifier in ids:
        if identifier not in known:
            raise errors.invalid(
                f"Error retrieving {what} information for [{', '.join(ids)}]: "
                f"{subject} '{identifier}' does not exist (ErrorCode: {code})"
            )
