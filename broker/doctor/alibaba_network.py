"""Whether vSwitches and security groups of pools on Alibaba Cloud are there, fit together, and let the broker in."""

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from broker.backends.alibaba_ecs.network import NetworkOf
from broker.backends.alibaba_ecs.network_marks import Kind, id_of
from broker.backends.alibaba_ecs.network_route import local_address
from broker.backends.alibaba_ecs.used import Used
from broker.doctor.alibaba_ask import AlibabaCloud
from broker.doctor.alibaba_pools import Looked, is_made
from broker.doctor.report import Doubtful, Skipped, Wrong

_FEW: Final = 16
"""Each host takes an address; the cloud keeps four of a vSwitch."""
_WORLD: Final = frozenset({"0.0.0.0/0", "::/0"})


async def check_vswitches(pools: Sequence[Looked]) -> str:
    """All are there and Available, those of a pool in one VPC and in its zones, with addresses left."""
    for one in pools:
        key = f"pools.{one.name}.vswitches"
        if gone := [name for name in one.options.vswitches if name not in one.vswitches]:
            hint = f"known: agentbroker discover ali vswitches; set {key}"
            raise Wrong(f"pool {one.name}: no vSwitch {gone[0]} in this account and region", hint)
        of_vpc = {str(told["VpcId"]): name for name, told in one.vswitches.items()}
        if len(of_vpc) > 1:
            raise Wrong(f"pool {one.name}: {' and '.join(of_vpc.values())} are in different VPCs", f"mend {key}")
        zones = one.wish.zones
        if off := [name for name, told in one.vswitches.items() if zones and told.get("ZoneId") not in zones]:
            where = one.vswitches[off[0]].get("ZoneId")
            hint = f"mend {key}, or pools.{one.name}.zones"
            raise Wrong(f"pool {one.name}: {off[0]} is in {where}, not in {', '.join(zones)}", hint)
    known = {name: told for one in pools for name, told in one.vswitches.items()}
    if not known:
        raise Skipped("none yet: auto_network makes them with the first host")
    return _addresses(known)


def _addresses(known: Mapping[str, Mapping[str, Any]]) -> str:
    free = {name: int(told.get("AvailableIpAddressCount") or 0) for name, told in known.items()}
    zones = {str(told.get("ZoneId")) for told in known.values()}
    told = (
        f"{len(known)} in {len(zones)} {'zone' if len(zones) == 1 else 'zones'}, {sum(free.values()):,} free addresses"
    )
    if pending := sorted(name for name, one in known.items() if one.get("Status") != "Available"):
        raise Doubtful(f"{told}; {pending[0]} is {known[pending[0]].get('Status')}", "wait until it is Available")
    if few := sorted(name for name, count in free.items() if count < _FEW):
        hint = "each host takes an address: add vSwitches to the pool, or larger ones"
        raise Doubtful(f"{told}; {', '.join(f'{one} has {free[one]}' for one in few)}", hint)
    return told


async def check_groups(cloud: AlibabaCloud, used: Used, pools: Sequence[Looked]) -> str:
    """All are there, in the VPC of their pool's vSwitches; one lets the broker in for SSH, and not the world."""
    told, doubts = set[str](), list[tuple[str, str]]()
    for one in pools:
        key = f"pools.{one.name}.security_groups"
        if gone := [name for name in one.options.security_groups if name not in one.groups]:
            hint = f"known: agentbroker discover ali security-groups; set {key}"
            raise Wrong(f"pool {one.name}: no security group {gone[0]} in this account and region", hint)
        vpcs = {str(switch["VpcId"]) for switch in one.vswitches.values()}
        for name, group in one.groups.items():
            if vpcs and group.get("VpcId") not in vpcs:
                where = ", ".join(sorted(vpcs))
                raise Wrong(
                    f"pool {one.name}: {name} is in {group.get('VpcId')}, its vSwitches are in {where}", f"mend {key}"
                )
        if one.groups and one.wish.over_ssh:
            said, doubt = await _door(cloud, used, one)
            told.add(said)
            doubts += doubt
    if not any(one.groups for one in pools):
        raise Skipped("none yet: auto_network makes one with the first host")
    text = "; ".join(sorted(told)) or "there, in the VPC of their vSwitches"
    if doubts:
        raise Doubtful("; ".join(dict.fromkeys([*(words for words, _ in doubts), *sorted(told)])), doubts[0][1])
    return text


async def _door(cloud: AlibabaCloud, used: Used, one: Looked) -> tuple[str, list[tuple[str, str]]]:
    """How the broker gets in, in words, and what is doubtful of it. `Wrong` if it does not."""
    rules = list[Mapping[str, Any]]()
    for name in one.groups:
        asked = {"SecurityGroupId": name, "Direction": "ingress"}
        rules += await cloud.pages("ecs:DescribeSecurityGroupAttribute", asked)
    port, names = one.wish.ssh_port, ", ".join(one.groups)
    doubts = list[tuple[str, str]]()
    if any(_is_open(rule, port) and _source(rule) in _WORLD for rule in rules):
        hint = f"let only the broker in: narrow the rule to its address, and leave tcp {port} shut for all others"
        doubts.append((f"{names} let the whole world in to tcp {port}", hint))
    if one.wish.jump_host:
        return f"by way of {one.wish.jump_host}: not checkable from here", doubts
    sources = await _broker(used, one)
    if not sources:
        unknown = f"{names}: the broker's public address is not known, so whether it is let in is not"
        return "", [*doubts, (unknown, f"say it in backends.{used.name}.network.ssh_from")]
    shut = [block for block in sources if not lets_in(rules, block, port)]
    if shut:
        where = f"{shut[0]} to tcp {port}"
        if any(_is_open(rule, port) and not _source(rule) for rule in rules):
            return "", [*doubts, (f"{names} let in groups or lists: whether {where} is among them is not known", "")]
        hint = f"allow it in one of pools.{one.name}.security_groups: the broker dials its hosts there"
        raise Wrong(f"pool {one.name}: {names} do not let in {where}", hint)
    return f"{names} let in {', '.join(sources)} to tcp {port}", doubts


async def _broker(used: Used, one: Looked) -> tuple[str, ...]:
    """The blocks from which the broker comes: of the config, else the address of the route; empty: not known."""
    network = NetworkOf.of(used.definition, "", str)
    if network.sources:
        return network.sources
    inside = [ipaddress.ip_network(str(told["CidrBlock"]), strict=False) for told in one.vswitches.values()]
    toward = network.endpoint if one.wish.by_public else str(next(inside[0].hosts())) if inside else ""
    try:
        found = await local_address(toward) if toward else ""
    except (OSError, TimeoutError):
        return ()
    if not found or (one.wish.by_public and not ipaddress.ip_address(found).is_global):
        return ()
    return (f"{found}/32",)


def lets_in(rules: Iterable[Mapping[str, Any]], block: str, port: int) -> bool:
    """Whether rules let a block in to a TCP port: the one of the smallest number counts, of these a drop."""
    fitting = [rule for rule in rules if _is_open(rule, port, any_policy=True) and _covers(_source(rule), block)]
    ordered = sorted(fitting, key=lambda rule: (int(rule.get("Priority") or 1), _accepts(rule)))
    return bool(ordered) and _accepts(ordered[0])


def _accepts(rule: Mapping[str, Any]) -> bool:
    return str(rule.get("Policy") or "accept").lower() == "accept"


def _is_open(rule: Mapping[str, Any], port: int, *, any_policy: bool = False) -> bool:
    if str(rule.get("IpProtocol")).upper() not in {"TCP", "ALL"} or not (any_policy or _accepts(rule)):
        return False
    low, _, high = str(rule.get("PortRange") or "").partition("/")
    return low == "-1" or (low.isdecimal() and high.isdecimal() and int(low) <= port <= int(high))


def _source(rule: Mapping[str, Any]) -> str:
    return str(rule.get("SourceCidrIp") or rule.get("Ipv6SourceCidrIp") or "")


def _covers(source: str, block: str) -> bool:
    try:
        theirs, ours = ipaddress.ip_network(source, strict=False), ipaddress.ip_network(block, strict=False)
    except ValueError:
        return False
    if isinstance(theirs, ipaddress.IPv4Network) and isinstance(ours, ipaddress.IPv4Network):
        return ours.subnet_of(theirs)
    if isinstance(theirs, ipaddress.IPv6Network) and isinstance(ours, ipaddress.IPv6Network):
        return ours.subnet_of(theirs)
    return False


async def check_made(cloud: AlibabaCloud, used: Used, pools: Sequence[Looked]) -> str:
    """What auto_network has made, by its tags."""
    vpcs = [one for one in await cloud.pages("vpc:DescribeVpcs") if is_made(used, Kind.VPC, one)]
    names = [f"VPC {id_of(Kind.VPC, one)} {one.get('CidrBlock')}" for one in vpcs]
    switches = {
        name: told for one in pools for name, told in one.vswitches.items() if is_made(used, Kind.VSWITCH, told)
    }
    names += [f"{name} {told.get('CidrBlock')} in {told.get('ZoneId')}" for name, told in sorted(switches.items())]
    names += sorted({name for one in pools for name, told in one.groups.items() if is_made(used, Kind.GROUP, told)})
    if not names:
        raise Skipped("nothing is made yet: the first host of a pool makes what it leaves out")
    return ", ".join(names)
