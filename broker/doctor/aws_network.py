"""Whether the subnets and security groups that pools name are there, fit together and let agents out."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from broker.backends.aws_ecs.used import Used
from broker.doctor.aws_ask import Cloud
from broker.doctor.report import Doubtful, Wrong

_FEW: Final = 16
"""Each task of awsvpc takes an address; AWS keeps five of a subnet."""
_ANYWHERE: Final = frozenset({"0.0.0.0/0", "::/0"})


async def check_subnets(cloud: Cloud, used: Used, vpcs: dict[str, str]) -> str:
    """All are there, those of a pool in one VPC, with addresses left; `vpcs` gets the VPC of each pool."""
    pools = {name: pool.subnets for name, pool in used.pools.items() if pool.subnets}
    wanted = sorted({subnet for subnets in pools.values() for subnet in subnets})
    found = await _by_id(cloud, "ec2:DescribeSubnets", "Subnets", ("SubnetId", "subnet-id"), wanted)
    for pool, subnets in pools.items():
        key = f"pools.{pool}.subnets"
        if gone := [subnet for subnet in subnets if subnet not in found]:
            hint = f"known: agentbroker discover aws subnets --backend {used.name}; set {key}"
            raise Wrong(f"pool {pool}: no subnet {gone[0]} in this account and region", hint)
        of_vpc = {str(found[subnet]["VpcId"]): subnet for subnet in subnets}
        if len(of_vpc) > 1:
            raise Wrong(f"pool {pool}: {' and '.join(of_vpc.values())} are in different VPCs", f"mend {key}")
        vpcs[str(pool)] = next(iter(of_vpc))
    free = {subnet: int(one.get("AvailableIpAddressCount", 0)) for subnet, one in found.items()}
    zones = {str(one["AvailabilityZone"]) for one in found.values()}
    told = (
        f"{len(found)} in {len(zones)} {'zone' if len(zones) == 1 else 'zones'}, {sum(free.values()):,} free addresses"
    )
    if few := sorted(subnet for subnet, count in free.items() if count < _FEW):
        hint = "tasks on awsvpc take an address each: add subnets to the pool, or larger ones"
        raise Doubtful(f"{told}; {', '.join(f'{one} has {free[one]}' for one in few)}", hint)
    return told


async def check_security_groups(cloud: Cloud, used: Used, vpcs: Mapping[str, str], dial: tuple[str, int] | None) -> str:
    """All are there, in the VPC of their pool's subnets, and let agents out to what they connect to."""
    pools = {name: pool.security_groups for name, pool in used.pools.items() if pool.security_groups}
    wanted = sorted({group for groups in pools.values() for group in groups})
    if not wanted:
        return "the VPC's default"
    found = await _by_id(cloud, "ec2:DescribeSecurityGroups", "SecurityGroups", ("GroupId", "group-id"), wanted)
    for pool, groups in pools.items():
        key = f"pools.{pool}.security_groups"
        if gone := [group for group in groups if group not in found]:
            hint = f"known: agentbroker discover aws security-groups --backend {used.name}; set {key}"
            raise Wrong(f"pool {pool}: no security group {gone[0]} in this account and region", hint)
        vpc = vpcs.get(str(pool), "")
        if vpc and (other := [group for group in groups if found[group].get("VpcId") != vpc]):
            raise Wrong(
                f"pool {pool}: {other[0]} is in {found[other[0]].get('VpcId')}, its subnets are in {vpc}", f"mend {key}"
            )
    _let_out(pools, found, dial)
    return f"{len(wanted)}, in the VPC of their subnets" + (f"; out to port {dial[1]}" if dial else "")


def _let_out(pools: Mapping[Any, Iterable[str]], found: Mapping[str, Any], dial: tuple[str, int] | None) -> None:
    """The groups of a pool together: one that lets out is enough."""
    if dial is None:
        return
    where = f"{dial[0]}:{dial[1]}"
    for pool, groups in pools.items():
        rules = [rule for group in groups for rule in found[group].get("IpPermissionsEgress") or ()]
        fitting = [rule for rule in rules if _has_port(rule, dial[1])]
        hint = f"let tcp {dial[1]} out of one of pools.{pool}.security_groups to {dial[0]}: agents connect there"
        if not fitting:
            raise Wrong(f"pool {pool}: {', '.join(groups)} let nothing out to {where}", hint)
        ranges = {one["CidrIp"] for rule in fitting for one in rule.get("IpRanges") or ()}
        ranges |= {one["CidrIpv6"] for rule in fitting for one in rule.get("Ipv6Ranges") or ()}
        if not ranges & _ANYWHERE:
            told = ", ".join(sorted(ranges)) or "other groups or lists"
            raise Doubtful(f"pool {pool}: {', '.join(groups)} let tcp {dial[1]} out only to {told}", hint)


def _has_port(rule: Mapping[str, Any], port: int) -> bool:
    if rule.get("IpProtocol") == "-1":
        return True
    return rule.get("IpProtocol") in {"tcp", "6"} and rule.get("FromPort", 0) <= port <= rule.get("ToPort", 65535)


async def _by_id(
    cloud: Cloud, action: str, member: str, name: tuple[str, str], wanted: list[str]
) -> Mapping[str, Mapping[str, Any]]:
    """Those that there are of `wanted`: by a filter, so that one that is missing does not hide the others."""
    key, by = name
    found = await cloud.pages(action, member, {"Filters": [{"Name": by, "Values": wanted}]})
    return {str(one[key]): one for one in found}
