"""What there is in an account that a config could name: items for programs, and their columns for people."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from broker.doctor.aws_ask import Cloud

Item = dict[str, Any]
_AT_ONCE: Final = 100
"""Clusters that one DescribeClusters takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of thing: how it is found, and which of its fields people are shown."""

    title: str
    columns: Sequence[str]
    find: Callable[[Cloud, str], Awaitable[list[Item]]]
    """The second argument narrows the search: a cluster, a VPC or a family, as the kind has it; empty does not."""
    narrowed_by: str = ""


async def clusters(cloud: Cloud, _: str = "") -> list[Item]:
    """All clusters of the region."""
    arns = await cloud.pages("ecs:ListClusters", "clusterArns")
    found = list[Item]()
    for start in range(0, len(arns), _AT_ONCE):
        told = await cloud.ask("ecs:DescribeClusters", {"clusters": arns[start : start + _AT_ONCE]})
        found += [_cluster(one) for one in told["clusters"]]
    return sorted(found, key=lambda item: str(item["name"]))


def _cluster(one: Mapping[str, Any]) -> Item:
    return {
        "name": one["clusterName"],
        "status": one.get("status", ""),
        "tasks": one.get("runningTasksCount", 0) + one.get("pendingTasksCount", 0),
        "instances": one.get("registeredContainerInstancesCount", 0),
        "capacity_providers": list(one.get("capacityProviders") or []),
        "arn": one["clusterArn"],
    }


async def capacity_providers(cloud: Cloud, cluster: str = "") -> list[Item]:
    """All of the account in the region; with a cluster those that it may use."""
    asked: dict[str, Any] = {}
    if cluster:
        told = await cloud.ask("ecs:DescribeClusters", {"clusters": [cluster]})
        names = [name for one in told["clusters"] for name in one.get("capacityProviders") or []]
        if not names:
            return []
        asked["capacityProviders"] = names
    found = await cloud.pages("ecs:DescribeCapacityProviders", "capacityProviders", asked)
    return sorted((_capacity_provider(one) for one in found), key=lambda item: str(item["name"]))


def _capacity_provider(one: Mapping[str, Any]) -> Item:
    group = one.get("autoScalingGroupProvider") or {}
    scaling = group.get("managedScaling") or {}
    kind = "auto-scaling group" if group else "managed instances" if one.get("managedInstancesProvider") else "Fargate"
    return {
        "name": one["name"],
        "status": one.get("status", ""),
        "kind": kind,
        "managed_scaling": scaling.get("status", "") if group else "",
        "auto_scaling_group": str(group.get("autoScalingGroupArn", "")).rpartition("/")[2],
        "arn": one.get("capacityProviderArn", ""),
    }


async def subnets(cloud: Cloud, vpc: str = "") -> list[Item]:
    """All subnets of the region, or of a VPC."""
    found = await cloud.pages("ec2:DescribeSubnets", "Subnets", _of_vpc(vpc))
    return sorted((_subnet(one) for one in found), key=lambda item: (item["vpc"], item["zone"], item["id"]))


def _subnet(one: Mapping[str, Any]) -> Item:
    return {
        "id": one["SubnetId"],
        "zone": one.get("AvailabilityZone", ""),
        "cidr": one.get("CidrBlock", ""),
        "free_addresses": one.get("AvailableIpAddressCount", 0),
        "public": bool(one.get("MapPublicIpOnLaunch")),
        "vpc": one.get("VpcId", ""),
        "name": _name(one),
    }


async def security_groups(cloud: Cloud, vpc: str = "") -> list[Item]:
    """All security groups of the region, or of a VPC."""
    found = await cloud.pages("ec2:DescribeSecurityGroups", "SecurityGroups", _of_vpc(vpc))
    items = [
        {
            "id": one["GroupId"],
            "name": one.get("GroupName", ""),
            "vpc": one.get("VpcId", ""),
            "description": one.get("Description", ""),
        }
        for one in found
    ]
    return sorted(items, key=lambda item: (item["vpc"], item["name"], item["id"]))


async def task_definitions(cloud: Cloud, family: str = "") -> list[Item]:
    """The families that have an active revision; with a family its active revisions, the newest first."""
    if not family:
        names = await cloud.pages("ecs:ListTaskDefinitionFamilies", "families", {"status": "ACTIVE"})
        return [{"family": name} for name in sorted(names)]
    asked = {"familyPrefix": family, "status": "ACTIVE", "sort": "DESC"}
    arns = await cloud.pages("ecs:ListTaskDefinitions", "taskDefinitionArns", asked)
    return [{"family": family, "revision": int(arn.rpartition(":")[2]), "arn": arn} for arn in arns]


def _of_vpc(vpc: str) -> Mapping[str, Any]:
    return {"Filters": [{"Name": "vpc-id", "Values": [vpc]}]} if vpc else {}


def _name(one: Mapping[str, Any]) -> str:
    return next((tag["Value"] for tag in one.get("Tags") or () if tag["Key"] == "Name"), "")


KINDS: Final[Mapping[str, Kind]] = {
    "clusters": Kind(
        title="Clusters", columns=("name", "status", "tasks", "instances", "capacity_providers"), find=clusters
    ),
    "capacity-providers": Kind(
        title="CapacityProviders",
        columns=("name", "status", "kind", "managed_scaling", "auto_scaling_group"),
        find=capacity_providers,
        narrowed_by="cluster",
    ),
    "subnets": Kind(
        title="Subnets",
        columns=("id", "zone", "cidr", "free_addresses", "public", "vpc", "name"),
        find=subnets,
        narrowed_by="vpc",
    ),
    "security-groups": Kind(
        title="SecurityGroups",
        columns=("id", "name", "vpc", "description"),
        find=security_groups,
        narrowed_by="vpc",
    ),
    "task-definitions": Kind(
        title="TaskDefinitions", columns=("family", "revision"), find=task_definitions, narrowed_by="family"
    ),
}
"""What can be asked for, by the word on the command line."""
