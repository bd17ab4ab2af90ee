"""What a task's network configuration may name, and the addresses that tasks take: the subnets and groups of EC2."""

import ipaddress
from collections.abc import Collection
from dataclasses import dataclass, field

from broker.demo.clouds.ec2 import FakeEc2, Subnet
from broker.demo.clouds.ecs import errors


@dataclass(slots=True)
class Network:
    """One region's part of EC2. A subnet's `free_addresses` go down and up with its tasks."""

    ec2: FakeEc2
    region: str
    _turns: dict[str, int] = field(default_factory=dict)
    _given: set[str] = field(default_factory=set)

    @property
    def subnets(self) -> dict[str, Subnet]:
        """Those of the region, by id."""
        return {name: one for name, one in self.ec2.subnets.items() if one.region == self.region}

    def chosen(self, subnet_ids: list[str], group_ids: list[str]) -> list[Subnet]:
        """The subnets of a request; raises InvalidParameterException for what is not here or not of one VPC."""
        if not subnet_ids:
            raise errors.invalid("subnets can not be empty.")
        if len(subnet_ids) > 16:
            raise errors.invalid("subnets can have at most 16 items.")
        if len(group_ids) > 5:
            raise errors.invalid("securityGroups can have at most 5 items.")
        subnets = self.subnets
        groups = {name: one for name, one in self.ec2.security_groups.items() if one.region == self.region}
        _known(subnet_ids, subnets, "subnet", "The subnet ID", "InvalidSubnetID.NotFound")
        _known(group_ids, groups, "security group", "The security group", "InvalidGroup.NotFound")
        found = [subnets[name] for name in subnet_ids]
        if len({subnet.vpc for subnet in found}) > 1:
            raise errors.invalid("The provided subnets must all belong to the same VPC.")
        if any(groups[name].vpc != found[0].vpc for name in group_ids):
            raise errors.invalid("The provided security groups must belong to the VPC of the subnets.")
        return found

    def take(self, subnet: Subnet) -> str:
        """An address of a subnet, "" if none is left."""
        if subnet.free_addresses <= 0:
            return ""
        subnet.free_addresses -= 1
        address = self._next(subnet)
        while address in self._given:
            address = self._next(subnet)
        self._given.add(address)
        return address

    def _next(self, subnet: Subnet) -> str:
        """The addresses of a subnet in turn, without the first four and the last, which AWS keeps."""
        network = ipaddress.ip_network(subnet.cidr)
        turn = self._turns[subnet.id] = (self._turns.get(subnet.id, -1) + 1) % (network.num_addresses - 5)
        return str(network[4 + turn])

    def give_back(self, subnet: Subnet, address: str) -> None:
        """Ends a lease; one that has ended is a success."""
        if address in self._given:
            self._given.discard(address)
            subnet.free_addresses += 1


def _known(ids: list[str], known: Collection[str], what: str, subject: str, code: str) -> None:
    for identifier in ids:
        if identifier not in known:
            raise errors.invalid(
                f"Error retrieving {what} information for [{', '.join(ids)}]: "
                f"{subject} '{identifier}' does not exist (ErrorCode: {code})"
            )
