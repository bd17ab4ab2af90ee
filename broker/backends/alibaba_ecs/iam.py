"""The rights that the broker's credentials need in RAM: least privilege, worked out from the config.

`CALLS` has every action that this backend, its doctor, `agentbroker discover` or `cleanup` ever calls; a client refuses
any other one, and a test compares what is granted with what is called. Which resources an action knows is from the
RAM authorization tables of the API references of ECS and VPC.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from broker.backends.alibaba_ecs.network_marks import AGENTBROKER, MANAGED_BY
from broker.backends.alibaba_ecs.used import Used

CALLS: Final = frozenset(
    {
        "ecs:AttachDisk",
        "ecs:AuthorizeSecurityGroup",
        "ecs:CreateSecurityGroup",
        "ecs:DeleteInstances",
        "ecs:DeleteSecurityGroup",
        "ecs:DescribeAvailableResource",
        "ecs:DescribeCloudAssistantStatus",
        "ecs:DescribeDisks",
        "ecs:DescribeImageFromFamily",
        "ecs:DescribeImages",
        "ecs:DescribeInstanceTypes",
        "ecs:DescribeInstances",
        "ecs:DescribeInvocationResults",
        "ecs:DescribeKeyPairs",
        "ecs:DescribeRegions",
        "ecs:DescribeSecurityGroupAttribute",
        "ecs:DescribeSecurityGroups",
        "ecs:DescribeSpotPriceHistory",
        "ecs:DescribeZones",
        "ecs:GetInstanceConsoleOutput",
        "ecs:ImportKeyPair",
        "ecs:ModifyInstanceAutoReleaseTime",
        "ecs:RevokeSecurityGroup",
        "ecs:RunCommand",
        "ecs:RunInstances",
        "ecs:StopInvocation",
        "sts:AssumeRole",
        "sts:GetCallerIdentity",
        "vpc:CreateVSwitch",
        "vpc:CreateVpc",
        "vpc:DeleteVSwitch",
        "vpc:DeleteVpc",
        "vpc:DescribeVSwitches",
        "vpc:DescribeVpcs",
    }
)
EVERYBODY: Final = frozenset({"sts:GetCallerIdentity"})
"""What needs no right."""
PEOPLE: Final = frozenset({"ecs:DescribeZones", "ecs:DescribeRegions"})
"""What only `discover` calls, with the rights of the person who types it."""
CLEANUP: Final = frozenset({"ecs:DeleteSecurityGroup", "vpc:DeleteVSwitch", "vpc:DeleteVpc"})
"""What only `cleanup` calls beside what the broker does."""

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the rights hold. An account that is not known is `*`: any."""

    region: str
    account: str = "*"

    def arn(self, service: str, resource: str) -> str:
        """The ARN of something here."""
        return f"acs:{service}:{self.region}:{self.account}:{resource}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """Some actions that are allowed on some resources. RAM's policies have no room for `why`."""

    why: str
    actions: tuple[str, ...]
    resources: tuple[str, ...] = ("*",)
    equal: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Keys of the request's context with what they must be one of."""

    @property
    def json(self) -> Json:
        """As in a policy document."""
        found: Json = {"Effect": "Allow", "Action": list(self.actions), "Resource": _one(self.resources)}
        if self.equal:
            found["Condition"] = {"StringEquals": {key: list(values) for key, values in self.equal.items()}}
        return found


def document(statements: list[Statement]) -> Json:
    """A policy document."""
    return {"Version": "1", "Statement": [statement.json for statement in statements]}


def _one(values: tuple[str, ...]) -> str | list[str]:
    return values[0] if len(values) == 1 else list(values)


_TAGGED: Final[Mapping[str, tuple[str, ...]]] = {f"acs:RequestTag/{MANAGED_BY}": (AGENTBROKER,)}
_OURS: Final[Mapping[str, tuple[str, ...]]] = {f"acs:ResourceTag/{MANAGED_BY}": (AGENTBROKER,)}


def taking(role_arn: str) -> list[Statement]:
    """What someone needs who takes a role of `role_arn`."""
    return [Statement(why="take the broker's role", actions=("sts:AssumeRole",), resources=(role_arn,))]


def needed(used: Used, place: Place, *, doctor: bool = True, cleanup: bool = False) -> list[Statement]:
    """What whoever calls ECS needs, for what the config uses; `doctor` adds what only its questions need."""
    instances = (place.arn("ecs", "instance/*"),)
    found = list(_making(used, place, instances))
    found.append(
        Statement(why="end and reach hosts of ours", actions=_on_hosts(used), resources=instances, equal=_OURS)
    )
    found += _disks(used, place)
    reads = {"ecs:DescribeInstances", "ecs:DescribeAvailableResource", "vpc:DescribeVSwitches"} | _reads(used)
    if used.makes_network:
        found += _network(place)
    if doctor:
        reads |= {"ecs:DescribeImages", "ecs:DescribeKeyPairs", "ecs:DescribeSecurityGroups", "ecs:DescribeRegions"}
        reads |= {"ecs:DescribeSecurityGroupAttribute", "ecs:DescribeInstanceTypes"}
    if cleanup:
        found += _cleanup(place)
        reads |= {"ecs:DescribeSecurityGroups", "vpc:DescribeVpcs"}
    found.append(Statement(why="look", actions=tuple(sorted(reads))))
    return found


def _making(used: Used, place: Place, instances: tuple[str, ...]) -> Iterator[Statement]:
    """An order is checked against the hosts that it makes, by their tags, and against all that it names."""
    made = (*instances, *((place.arn("ecs", "disk/*"),) if used.has_data_disks else ()))
    yield Statement(
        why="make hosts, tagged as ours",
        actions=("ecs:RunInstances", "ecs:TagResources"),
        resources=made,
        equal=_TAGGED,
    )
    named = sorted(
        {
            *(place.arn("ecs", f"image/{one}") for one in used.images or ("*",)),
            *(place.arn("ecs", f"securitygroup/{one}") for one in used.named("security_groups")),
            *(place.arn("vpc", f"vswitch/{one}") for one in used.named("vswitches")),
            *(place.arn("ecs", f"keypair/{one}") for one in used.key_pairs),
            *(place.arn("ecs", f"snapshot/{one}") for one in used.snapshots),
            *(place.arn("ecs", f"deploymentset/{one}") for one in used.named_one("deployment_set")),
        }
    )
    yield Statement(why="make hosts of what the config names", actions=("ecs:RunInstances",), resources=tuple(named))
    if roles := used.named_one("vm_ram_role"):
        yield Statement(
            why="give hosts their role",
            actions=("ram:PassRole",),
            resources=tuple(f"acs:ram:*:{place.account}:role/{role}" for role in roles),
            equal={"acs:Service": ("ecs.aliyuncs.com",)},
        )
    if used.imports_key_pair:
        pairs = (place.arn("ecs", "keypair/*"),)
        yield Statement(why="import key pairs", actions=("ecs:ImportKeyPair",), resources=pairs)


def _on_hosts(used: Used) -> tuple[str, ...]:
    found = {"ecs:DeleteInstances"}
    if used.releases:
        found.add("ecs:ModifyInstanceAutoReleaseTime")
    if used.reads_console:
        found.add("ecs:GetInstanceConsoleOutput")
    if used.by_assistant:
        found |= {"ecs:RunCommand", "ecs:StopInvocation"}
    return tuple(sorted(found))


def _disks(used: Used, place: Place) -> Iterator[Statement]:
    if disks := used.named("data_disk_ids"):
        hosts = place.arn("ecs", "instance/*")
        resources = (hosts, *(place.arn("ecs", f"disk/{one}") for one in disks))
        yield Statement(why="attach disks", actions=("ecs:AttachDisk",), resources=resources)


def _reads(used: Used) -> set[str]:
    found = set[str]()
    if used.makes_network:
        found |= {"vpc:DescribeVpcs", "ecs:DescribeSecurityGroups", "ecs:DescribeSecurityGroupAttribute"}
        found |= {"ecs:DescribeInstanceTypes", "ecs:DescribeImages"}
    if used.has_families:
        found.add("ecs:DescribeImageFromFamily")
    if used.has_spot:
        found.add("ecs:DescribeSpotPriceHistory")
    if used.key_pairs:
        found.add("ecs:DescribeKeyPairs")
    if used.by_assistant:
        found |= {"ecs:DescribeCloudAssistantStatus", "ecs:DescribeInvocationResults"}
    if used.named("data_disk_ids"):
        found.add("ecs:DescribeDisks")
    return found | {"ecs:DescribeInstanceTypes"}


def _network(place: Place) -> Iterator[Statement]:
    vpcs, switches = place.arn("vpc", "vpc/*"), place.arn("vpc", "vswitch/*")
    groups = place.arn("ecs", "securitygroup/*")
    yield Statement(
        why="make networks, tagged as ours",
        actions=("vpc:CreateVSwitch", "vpc:CreateVpc", "vpc:TagResources"),
        resources=(vpcs, switches),
    )
    yield Statement(
        why="make security groups, tagged as ours",
        actions=("ecs:CreateSecurityGroup", "ecs:TagResources"),
        resources=(groups, vpcs),
    )
    yield Statement(
        why="open security groups of ours",
        actions=("ecs:AuthorizeSecurityGroup", "ecs:RevokeSecurityGroup"),
        resources=(groups,),
        equal=_OURS,
    )


def _cleanup(place: Place) -> Iterator[Statement]:
    yield Statement(
        why="remove security groups of ours",
        actions=("ecs:DeleteSecurityGroup",),
        resources=(place.arn("ecs", "securitygroup/*"),),
        equal=_OURS,
    )
    yield Statement(
        why="remove networks of ours",
        actions=("vpc:DeleteVSwitch", "vpc:DeleteVpc"),
        resources=(place.arn("vpc", "vpc/*"), place.arn("vpc", "vswitch/*")),
    )
