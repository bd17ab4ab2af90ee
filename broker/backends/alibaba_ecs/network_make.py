"""Makes a VPC, vSwitches and a security group, each looked for before it is made, and each by a token of its own."""

import ipaddress
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from broker.backends.alibaba_ecs.asking import Ask, Item, pages
from broker.backends.alibaba_ecs.network_blocks import USUAL, Block, free_block
from broker.backends.alibaba_ecs.network_kept import Door, KeptNetwork, Made
from broker.backends.alibaba_ecs.network_marks import Kind, NetworkMarks, id_of
from broker.domain.reason import Reason
from broker.errors import BackendRejected, Throttled
from broker.ports import Clock
from broker.telemetry import events

VPC_BLOCK: Final = "172.16.0.0/12"
"""What the plugin's documentation promises of the VPC that is made."""
RULE: Final = "agentbroker: SSH from the broker"
"""The description of our rules, by which they are known in a group of ours."""
_PATIENCE_S: Final = 60.0
_LOOK_S: Final = 1.5
_TRIES: Final = 20
_AGAIN_S: Final = (0.2, 1.0)
_OVERLAPS: Final = frozenset({"InvalidCidrBlock.Overlapped"})
"""Another vSwitch was made there since the look (VPC API reference, CreateVSwitch, error codes)."""
_DOUBLE: Final = frozenset({"InvalidPermission.Duplicate", "AuthorizationExist"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Maker:
    """One backend's in one region; asked by one task at a time."""

    marks: NetworkMarks
    ask: Ask
    kept: KeptNetwork
    clock: Clock
    vpc_block: str = VPC_BLOCK
    prefix: int = USUAL

    async def vpc(self, named: str = "") -> Item:
        """The VPC that is named; else the one that is ours, the default one, or a new one; it is Available."""
        if named:
            return await self._available(Kind.VPC, named)
        for made in await self._made(Kind.VPC):
            if await pages(self.ask, "vpc:DescribeVpcs", {"VpcId": made.id}):
                return await self._available(Kind.VPC, made.id)
            await self._lost(Kind.VPC, made.id)
        found = await pages(self.ask, "vpc:DescribeVpcs", {"Tag": self.marks.searched})
        ours = [one for one in found if self.marks.are_ours(Kind.VPC, one)]
        there = ours or await pages(self.ask, "vpc:DescribeVpcs", {"IsDefault": True})
        if there:
            first = min(there, key=lambda one: id_of(Kind.VPC, one))
            if ours:
                await self._note(Kind.VPC, first)
            return await self._available(Kind.VPC, id_of(Kind.VPC, first))
        facts = {"CidrBlock": self.vpc_block}
        request = {**facts, "VpcName": self.marks.name(Kind.VPC), "Description": _told(self.marks)}
        return await self._make(Kind.VPC, "vpc:CreateVpc", request, facts)

    async def vswitch(self, vpc: Item, zone: str) -> Item:
        """The vSwitch of ours in that zone, the default one of a default VPC, or a new one; it is Available."""
        vpc_id = id_of(Kind.VPC, vpc)
        for _ in range(_TRIES):
            there = await pages(self.ask, "vpc:DescribeVSwitches", {"VpcId": vpc_id})
            await self._miss(Kind.VSWITCH, vpc_id, there)
            if (found := self._usable(there, zone)) is not None:
                if self.marks.are_ours(Kind.VSWITCH, found):
                    await self._note(Kind.VSWITCH, found)
                return await self._available(Kind.VSWITCH, id_of(Kind.VSWITCH, found))
            block = free_block(_blocks(vpc), _taken(there), self.prefix)
            if block is None:
                raise BackendRejected(
                    "NoFreeBlock",
                    f"{vpc_id} has no free block for a vSwitch in {zone}: give it a secondary block, or set vswitches",
                    Reason.QUOTA_EXCEEDED,
                )
            facts = {"VpcId": vpc_id, "ZoneId": zone, "CidrBlock": str(block)}
            named = {"VSwitchName": self.marks.name(Kind.VSWITCH, zone), "Description": _told(self.marks)}
            try:
                return await self._make(Kind.VSWITCH, "vpc:CreateVSwitch", {**facts, **named}, facts)
            except BackendRejected as error:
                if error.code not in _OVERLAPS:
                    raise
            pause_s = random.uniform(*_AGAIN_S)  # noqa: S311 -- who asks in step with others gets out of it
            await self.clock.sleep_until(self.clock.monotonic() + pause_s)
        raise Throttled("BlocksTaken", f"{vpc_id}: others take the blocks as fast as they are found free")

    def _usable(self, there: Sequence[Item], zone: str) -> Item | None:
        here = [one for one in there if one.get("ZoneId") == zone]
        ours = [one for one in here if self.marks.are_ours(Kind.VSWITCH, one)]
        default = [one for one in here if one.get("IsDefault")]
        return min(ours or default, key=lambda one: id_of(Kind.VSWITCH, one), default=None)

    async def group(self, vpc_id: str) -> str:
        """The security group of ours in a VPC, or a new one. Nothing is opened yet."""
        request = {"VpcId": vpc_id, "Tag": self.marks.searched}
        found = await pages(self.ask, "ecs:DescribeSecurityGroups", request)
        ours = [one for one in found if self.marks.are_ours(Kind.GROUP, one)]
        await self._miss(Kind.GROUP, vpc_id, ours)
        if ours:
            first = min(ours, key=lambda one: id_of(Kind.GROUP, one))
            await self._note(Kind.GROUP, first)
            return id_of(Kind.GROUP, first)
        facts = {"VpcId": vpc_id}
        named = {"SecurityGroupName": self.marks.name(Kind.GROUP), "Description": _told(self.marks)}
        return id_of(Kind.GROUP, await self._make(Kind.GROUP, "ecs:CreateSecurityGroup", {**facts, **named}, facts))

    async def open(self, group: str, pool: str, doors: tuple[Door, ...]) -> None:
        """A group of ours lets in what the pools need, and what a pool needs no longer is closed again."""
        before = await self.kept.doors()
        wanted = {door for other, known in before.items() if other != pool for door in known} | set(doors)
        rules = await pages(
            self.ask, "ecs:DescribeSecurityGroupAttribute", {"SecurityGroupId": group, "Direction": "ingress"}
        )
        open_now = {door: str(one.get("SecurityGroupRuleId") or "") for one in rules if (door := door_of(one))}
        for port, source in doors:
            if (port, source) not in open_now:
                await self._authorize(group, port, source)
        await self.kept.open(pool, doors)
        old = set(before.get(pool, ())) - wanted
        for port, source in sorted(old & open_now.keys()):
            rule = {"SecurityGroupId": group, "SecurityGroupRuleId": [open_now[port, source]]}
            await self.ask("ecs:RevokeSecurityGroup", rule)
            events.NETWORK_DOOR_CLOSED.emit(backend=self.marks.backend, group=group, port=port, source=source)

    async def _authorize(self, group: str, port: int, source: str) -> None:
        rule = {
            "IpProtocol": "TCP",
            "PortRange": f"{port}/{port}",
            "Ipv6SourceCidrIp" if ":" in source else "SourceCidrIp": source,
            "Policy": "accept",
            "Priority": "1",
            "Description": RULE,
        }
        try:
            await self.ask("ecs:AuthorizeSecurityGroup", {"SecurityGroupId": group, "Permissions": [rule]})
        except BackendRejected as error:
            if error.code not in _DOUBLE:
                raise
        events.NETWORK_DOOR_OPENED.emit(backend=self.marks.backend, group=group, port=port, source=source)

    async def _make(self, kind: Kind, action: str, request: Mapping[str, Any], facts: Mapping[str, Any]) -> Item:
        generation = await self.kept.generation()
        token = self.marks.token(kind, str(generation), *(str(facts[name]) for name in sorted(facts)))
        answer = await self.ask(action, {**request, "Tag": self.marks.tags(kind, facts), "ClientToken": token})
        made = {**facts, kind_id(kind): id_of(kind, answer)}
        await self._note(kind, made)
        return made if kind is Kind.GROUP else await self._available(kind, id_of(kind, answer))

    async def _note(self, kind: Kind, described: Mapping[str, Any]) -> None:
        """Written down once, and told once."""
        name = id_of(kind, described)
        if any(one.id == name for one in await self._made(kind)):
            return
        zone, block = str(described.get("ZoneId") or ""), str(described.get("CidrBlock") or "")
        vpc = str(described.get("VpcId") or "")
        at = self.clock.now().isoformat(timespec="seconds")
        await self.kept.add(Made(kind=kind, id=name, vpc=vpc, zone=zone, block=block, at=at))
        told = {"zone": zone, "block": block, "vpc": vpc if kind is not Kind.VPC else ""}
        events.NETWORK_MADE.emit(
            backend=self.marks.backend, kind=kind.value, id=name, **{key: value for key, value in told.items() if value}
        )

    async def _available(self, kind: Kind, name: str) -> Item:
        """Waits until it can be used. Throttled if that takes long: the next call goes on waiting."""
        action = "vpc:DescribeVpcs" if kind is Kind.VPC else "vpc:DescribeVSwitches"
        until, seen = self.clock.monotonic() + _PATIENCE_S, "not there"
        while True:
            found = await pages(self.ask, action, {kind_id(kind): name})
            seen = str(found[0].get("Status")) if found else "not there"
            if seen == "Available":
                return found[0]
            if not found and not any(one.id == name for one in await self._made(kind)):
                raise BackendRejected("NotThere", f"no {kind} {name} in this account and region", Reason.SETUP_FAILED)
            if (now := self.clock.monotonic()) >= until:
                break
            await self.clock.sleep_until(min(until, now + _LOOK_S))
        if seen == "not there":
            await self._lost(kind, name)
        raise Throttled("NotAvailableYet", f"{kind} {name} is {seen}")

    async def _made(self, kind: Kind) -> list[Made]:
        return [one for one in await self.kept.made() if one.kind is kind]

    async def _miss(self, kind: Kind, vpc_id: str, there: Sequence[Item]) -> None:
        """What we have made in a VPC, and is not there."""
        seen = {id_of(kind, one) for one in there}
        for made in await self._made(kind):
            if made.vpc == vpc_id and made.id not in seen:
                await self._lost(kind, made.id)

    async def _lost(self, kind: Kind, name: str) -> None:
        """Somebody has taken it away: it is made anew next time, by another token."""
        events.NETWORK_LOST.emit(backend=self.marks.backend, kind=kind.value, id=name)
        await self.kept.drop([name])


def kind_id(kind: Kind) -> str:
    """What the API calls the id of such a thing."""
    return {Kind.VPC: "VpcId", Kind.VSWITCH: "VSwitchId", Kind.GROUP: "SecurityGroupId"}[kind]


def door_of(rule: Mapping[str, Any]) -> Door | None:
    """The port and the block of a rule of ours; None for any other rule."""
    low, _, high = str(rule.get("PortRange") or "").partition("/")
    own = rule.get("Description") == RULE and str(rule.get("IpProtocol")).upper() == "TCP"
    source = str(rule.get("SourceCidrIp") or rule.get("Ipv6SourceCidrIp") or "")
    return (int(low), source) if own and low == high and low.isdecimal() else None


def _blocks(vpc: Item) -> list[Block]:
    """The primary block and the secondary ones."""
    more = (vpc.get("SecondaryCidrBlocks") or {}).get("SecondaryCidrBlock") or []
    return [ipaddress.IPv4Network(one, strict=False) for one in (vpc["CidrBlock"], *more)]


def _taken(there: Sequence[Item]) -> list[Block]:
    return [ipaddress.IPv4Network(str(one["CidrBlock"]), strict=False) for one in there if one.get("CidrBlock")]


def _told(marks: NetworkMarks) -> str:
    """A description for people."""
    return f"Made by agentbroker for its backend {marks.backend}; agentbroker cleanup alibaba removes it"
