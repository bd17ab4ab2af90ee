"""Takes away what `auto_network` has made, and nothing else: the rules first, with their group, the VPC last."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from broker.backends.alibaba_ecs.asking import Ask, Item, pages
from broker.backends.alibaba_ecs.network_kept import KeptNetwork
from broker.backends.alibaba_ecs.network_make import kind_id
from broker.backends.alibaba_ecs.network_marks import Kind, NetworkMarks, id_of
from broker.errors import BackendError
from broker.ports import Clock

_ORDER: Final = (Kind.GROUP, Kind.VSWITCH, Kind.VPC)
"""A VPC goes when nothing is left in it."""
_LISTED: Final[Mapping[Kind, str]] = {
    Kind.GROUP: "ecs:DescribeSecurityGroups",
    Kind.VSWITCH: "vpc:DescribeVSwitches",
    Kind.VPC: "vpc:DescribeVpcs",
}
_DELETED: Final[Mapping[Kind, str]] = {
    Kind.GROUP: "ecs:DeleteSecurityGroup",
    Kind.VSWITCH: "vpc:DeleteVSwitch",
    Kind.VPC: "vpc:DeleteVpc",
}
_GONE: Final = frozenset(
    {"InvalidSecurityGroupId.NotFound", "InvalidVSwitchId.NotFound", "InvalidVpcID.NotFound", "InvalidVpcId.NotFound"}
)
_PATIENCE_S: Final = 60.0
_LOOK_S: Final = 2.0
_SHOWN: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Ours:
    """One thing that was made. `hinders` are the things of others that keep it: instances, vSwitches, groups."""

    kind: Kind
    id: str
    name: str = ""
    vpc: str = ""
    zone: str = ""
    block: str = ""
    hinders: tuple[str, ...] = ()
    gone: bool = False
    why: str = ""
    """Why it is still there, after it was to be removed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleanup:
    """Of one backend in one region, while its broker does not run."""

    marks: NetworkMarks
    ask: Ask
    kept: KeptNetwork
    clock: Clock

    async def find(self) -> list[Ours]:
        """All that is ours by its signed tags, in the order in which it goes, with what hinders."""
        found = list[Ours]()
        for kind in _ORDER:
            told = await pages(self.ask, _LISTED[kind], {"Tag": self.marks.searched})
            ours = [one for one in told if self.marks.are_ours(kind, one)]
            found += [_ours(kind, one) for one in sorted(ours, key=lambda one: id_of(kind, one))]
        known = {one.id for one in found}
        return [replace(one, hinders=tuple(await self._hinders(one, known))) for one in found]

    async def unmarked(self, found: list[Ours]) -> list[str]:
        """What is written down as made, is there, and carries our tags no more: it is left alone."""
        known, left = {one.id for one in found}, list[str]()
        for made in await self.kept.made():
            if made.id not in known and await self._is_there(made.kind, made.id):
                left.append(made.id)
        return left

    async def remove(self, found: list[Ours]) -> AsyncIterator[Ours]:
        """Removes them one after the other, and tells of each how it went; what is gone already is gone."""
        for one in found:
            why = await self._remove(one)
            if not why:
                await self.kept.drop([one.id])
            yield replace(one, gone=not why, why=why)

    async def _remove(self, one: Ours) -> str:
        if one.hinders:
            return f"still in use by {_some(one.hinders)}"
        try:
            await self.ask(_DELETED[one.kind], {kind_id(one.kind): one.id})
        except BackendError as error:
            return "" if error.code in _GONE else f"{error.code}: {error.message}"
        until = self.clock.monotonic() + _PATIENCE_S
        while await self._is_there(one.kind, one.id):
            if self.clock.monotonic() >= until:
                return f"it is told to go, and still there after {_PATIENCE_S:.0f} s"
            await self.clock.sleep_until(self.clock.monotonic() + _LOOK_S)
        return ""

    async def _is_there(self, kind: Kind, name: str) -> bool:
        return bool(await pages(self.ask, _LISTED[kind], {kind_id(kind): name}))

    async def _hinders(self, one: Ours, known: set[str]) -> list[str]:
        """Instances, and in a VPC what others have put there."""
        if one.kind is not Kind.VPC:
            told = await pages(self.ask, "ecs:DescribeInstances", {kind_id(one.kind): one.id})
            return [str(item["InstanceId"]) for item in told]
        there = list[str]()
        for kind in (Kind.GROUP, Kind.VSWITCH):
            told = await pages(self.ask, _LISTED[kind], {"VpcId": one.id})
            there += [name for item in told if (name := id_of(kind, item)) not in known]
        return there


def _ours(kind: Kind, told: Item) -> Ours:
    names: Mapping[Kind, str] = {Kind.GROUP: "SecurityGroupName", Kind.VSWITCH: "VSwitchName", Kind.VPC: "VpcName"}

    def said(name: str) -> str:
        value: Any = told.get(name)
        return str(value or "")

    vpc = said("VpcId") if kind is not Kind.VPC else ""
    return Ours(
        kind=kind, id=id_of(kind, told), name=said(names[kind]), vpc=vpc, zone=said("ZoneId"), block=said("CidrBlock")
    )


def _some(names: tuple[str, ...]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
