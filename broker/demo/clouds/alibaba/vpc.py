"""Virtual Private Cloud: VPCs and vSwitches. The networks are those of the regions of ECS."""

from collections.abc import Callable
from functools import partial
from ipaddress import IPv4Network

from broker.demo.clouds.alibaba import vpc_actions, vswitches
from broker.demo.clouds.alibaba.ecs import FakeEcs
from broker.demo.clouds.alibaba.networks import SecurityGroup, Vpc, VSwitch
from broker.demo.clouds.alibaba.region import Region
from broker.demo.clouds.alibaba.service import Action, Service, action
from broker.demo.clouds.model import Call, Parameters

VPC, GROUP = "vpc-bp1agents", "sg-bp1agents"


class FakeVpc(Service):
    """VPC in all regions."""

    name = "vpc"
    version = "2016-04-28"

    def __init__(self, ecs: FakeEcs) -> None:
        """No network yet."""
        self._ecs = ecs
        self.actions = {
            "CreateVpc": self._in(
                vpc_actions.create, "RegionId", "CidrBlock VpcName Description ClientToken DryRun Tag ResourceGroupId"
            ),
            "DescribeVpcs": self._in(
                vpc_actions.describe, "RegionId", "VpcId VpcName IsDefault Tag PageNumber PageSize DryRun"
            ),
            "DeleteVpc": self._in(vpc_actions.delete, "VpcId", "ClientToken DryRun"),
            "CreateVSwitch": self._in(
                vswitches.create, "VpcId ZoneId", "CidrBlock VSwitchName Description ClientToken Tag"
            ),
            "DescribeVSwitches": self._in(
                vswitches.describe,
                "",
                "VpcId VSwitchId VSwitchName ZoneId IsDefault Tag PageNumber PageSize DryRun",
            ),
            "DeleteVSwitch": self._in(vswitches.delete, "VSwitchId", "DryRun"),
        }

    def region(self, name: str = "") -> Region:
        """The region in which networks are."""
        return self._ecs.region(name)

    def add_network(self, region: str = "", *, cidr: str = "10.0.0.0/16") -> None:
        """A VPC with a vSwitch of /24 in each zone, and a security group that lets nothing in.

        `vpc-bp1agents`, `vsw-bp1agentsh` by the zone's last letter, `sg-bp1agents`.
        """
        where = self.region(region)
        block = IPv4Network(cidr)
        self.add(Vpc(id=VPC, name="agents", cidr=block, created_at=where.world.now(), ready_at=0), region)
        for zone, part in zip(where.zones, block.subnets(new_prefix=24), strict=False):
            self.add(
                VSwitch(
                    id=f"vsw-bp1agents{zone[-1]}", name=f"agents-{zone[-1]}", vpc=VPC, zone=zone, cidr=part,
                    created_at=where.world.now(), ready_at=0,
                ),
                region,
            )  # fmt: skip
        self.add(SecurityGroup(id=GROUP, name="agents", vpc=VPC, created_at=where.world.now()), region)

    def add(self, item: Vpc | VSwitch | SecurityGroup, region: str = "") -> None:
        """One more, or another in its place."""
        networks = self.region(region).networks
        if isinstance(item, Vpc):
            networks.vpcs[item.id] = item
        elif isinstance(item, VSwitch):
            networks.vswitches[item.id] = item
        else:
            networks.groups[item.id] = item

    def _in(self, answer: Callable[[Region, Call], Parameters], needs: str = "", takes: str = "") -> Action:
        return action(partial(self._answer, answer), needs, takes)

    def _answer(self, answer: Callable[[Region, Call], Parameters], call: Call) -> Parameters:
        return answer(self.region(call.region), call)
