"""Makes what a pool leaves out, where `auto_network` is true: VPC, vSwitches, a security group, zones and types."""

import asyncio
import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import urlsplit

from broker.backends.alibaba_ecs.asking import Ask, Item, pages
from broker.backends.alibaba_ecs.network_blocks import USUAL
from broker.backends.alibaba_ecs.network_kept import Door, KeptNetwork
from broker.backends.alibaba_ecs.network_make import VPC_BLOCK, Maker
from broker.backends.alibaba_ecs.network_marks import NetworkMarks
from broker.backends.alibaba_ecs.network_route import block_of, checked, local_address
from broker.backends.alibaba_ecs.network_stock import Stock, choose_types, choose_zones, fitting, stock_of
from broker.backends.alibaba_ecs.network_wish import COMPLETED, Wish
from broker.domain.ids import BackendName
from broker.domain.pool import BackendDefinition, Pool
from broker.domain.reason import Reason
from broker.errors import BackendRejected, InsufficientCapacity
from broker.ports import Clock, Memory

_KEPT_S: Final = 1800.0
_MOST_ZONES: Final = 3
"""So many zones of a pool that names none get a vSwitch: the next one is there when the first has no stock."""


def memory_key(backend: str) -> str:
    """Where a backend keeps what it has made: the key for `BackendContext.memory`."""
    return f"alibaba:{backend}:network"


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkOf:
    """Whose network it is, and what the config says of it: one backend's of one broker.

    `sources` are the blocks from which hosts are reached over SSH; empty: the local address of the route to them.
    `endpoint` is the host name of the cloud's API, to which that route is looked up for hosts with public addresses.
    """

    backend: BackendName
    installation: str
    sign: Callable[[str], str]
    region: str
    vpc: str = ""
    """The VPC to use; empty: our own, else the default one, else a new one."""
    vpc_block: str = VPC_BLOCK
    """Of a new VPC."""
    prefix: int = USUAL
    sources: tuple[str, ...] = ()
    endpoint: str = ""

    @classmethod
    def of(cls, definition: BackendDefinition, installation: str, sign: Callable[[str], str]) -> "NetworkOf":
        """Reads `region`, `network` and `endpoints` of a backend's options."""
        said: Mapping[str, Any] = definition.options
        network, region = said.get("network") or {}, str(said.get("region") or "")
        url = str((said.get("endpoints") or {}).get("ecs") or f"https://ecs.{region}.aliyuncs.com")
        return cls(
            backend=definition.name,
            installation=installation,
            sign=sign,
            region=region,
            vpc=str(network.get("vpc") or ""),
            vpc_block=str(network.get("vpc_cidr") or VPC_BLOCK),
            prefix=int(network.get("vswitch_prefix") or USUAL),
            sources=tuple(str(one) for one in network.get("ssh_from") or ()),
            endpoint=urlsplit(url).hostname or "",
        )

    @property
    def marks(self) -> NetworkMarks:
        """What tells its things from those of others."""
        return NetworkMarks(backend=self.backend, installation=self.installation, sign=self.sign)


class Network:
    """What one backend has made, and makes. Safe to ask from many tasks at once, and after a restart."""

    def __init__(self, of: NetworkOf, ask: Ask, memory: Memory, clock: Clock) -> None:
        """Nothing is asked yet. `memory` is `BackendContext.memory(memory_key(NAME))`."""
        self._of = of
        self._ask = ask
        self._clock = clock
        kept = KeptNetwork(memory, of.backend, of.region)
        self._maker = Maker(marks=of.marks, ask=ask, kept=kept, clock=clock, vpc_block=of.vpc_block, prefix=of.prefix)
        self._turn = asyncio.Lock()
        self._known: dict[str, tuple[Pool, Pool]] = {}
        self._until: dict[str, float] = {}

    @staticmethod
    def lacks(pool: Pool) -> tuple[str, ...]:
        """The keys of `COMPLETED` that a pool leaves out."""
        return tuple(key for key in COMPLETED if not pool.options.get(key))

    def known(self, pool: Pool) -> Pool | None:
        """What `complete` last said of just this pool, however long ago; None if it has not been asked."""
        asked, completed = self._known.get(pool.name, (None, None))
        return completed if asked == pool else None

    def doubt(self) -> None:
        """The cloud has said that something is not there, or not in stock: the next `complete` looks anew."""
        self._until.clear()

    async def complete(self, pool: Pool) -> Pool:
        """The pool with all keys of `COMPLETED`; what is missing is chosen or made first, which may take a minute.

        The same answer is given again without a call for half an hour. Raises `Throttled` while the cloud is still
        making something, `InsufficientCapacity` where no zone has stock, `BackendRejected` with what to set where the
        cloud or the config does not allow it; what is made by then stays, and the next call goes on with it.
        """
        if not self.lacks(pool):
            return pool
        async with self._turn:
            known = self.known(pool)
            if known is not None and self._clock.monotonic() < self._until.get(pool.name, float("-inf")):
                return known
            found = await self._complete(pool)
            self._known[pool.name] = (pool, found)
            self._until[pool.name] = self._clock.monotonic() + _KEPT_S
            return found

    async def _complete(self, pool: Pool) -> Pool:
        wish = Wish.of(pool)
        given = await self._given(wish)
        wish = replace(wish, zones=tuple(dict.fromkeys(str(one["ZoneId"]) for one in given)) or wish.zones)
        types, zones = await self._types_and_zones(wish)
        made: dict[str, Any] = {"instance_types": list(types)}
        vpc_id = str(given[0]["VpcId"]) if given else await self._vpc_of_groups(wish) or self._of.vpc
        switches = given
        if not given:
            vpc = await self._maker.vpc(vpc_id)
            vpc_id = str(vpc["VpcId"])
            switches = [await self._maker.vswitch(vpc, zone) for zone in zones[: len(wish.zones) or _MOST_ZONES]]
        made["vswitches"] = [str(one["VSwitchId"]) for one in switches]
        if not wish.security_groups:
            group = await self._maker.group(vpc_id)
            await self._maker.open(group, str(pool.name), await self._doors(wish, switches))
            made["security_groups"] = [group]
        return replace(pool, options={**pool.options, **{key: made[key] for key in self.lacks(pool)}})

    async def _given(self, wish: Wish) -> list[Item]:
        """The vSwitches that the pool names, in their order; none if it names none."""
        found = []
        for name in wish.vswitches:
            one = await pages(self._ask, "vpc:DescribeVSwitches", {"VSwitchId": name})
            if not one:
                raise BackendRejected(
                    "InvalidVSwitchId.NotFound",
                    f"no vSwitch {name}; set pools.{wish.pool}.vswitches",
                    Reason.SETUP_FAILED,
                )
            found += one
        return found

    async def _vpc_of_groups(self, wish: Wish) -> str:
        if not wish.security_groups:
            return ""
        asked = {"SecurityGroupId": wish.security_groups[0]}
        found = await pages(self._ask, "ecs:DescribeSecurityGroups", asked)
        if not found:
            name, key = wish.security_groups[0], f"pools.{wish.pool}.security_groups"
            raise BackendRejected(
                "InvalidSecurityGroupId.NotFound", f"no security group {name}; set {key}", Reason.SETUP_FAILED
            )
        return str(found[0].get("VpcId") or "")

    async def _types_and_zones(self, wish: Wish) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """What can be had now; with types and vSwitches in the config nothing is asked."""
        if wish.instance_types and wish.vswitches:
            return wish.instance_types, wish.zones
        wanted = await wish.wanted(self._ask)
        stock = await stock_of(self._ask, wanted)
        types = wish.instance_types or choose_types(await fitting(self._ask, wanted), stock, wish.zones)
        zones = choose_zones(types, stock, wish.zones)
        if not types or not zones:
            raise InsufficientCapacity("NoStock", _no_stock(wish, stock, types))
        return types, zones

    async def _doors(self, wish: Wish, switches: list[Item]) -> tuple[Door, ...]:
        """Who may come in at which port: the broker, and nobody where nobody goes over SSH."""
        if not wish.over_ssh:
            return ()
        key = f"backends.{self._of.backend}.network.ssh_from"
        if self._of.sources:
            return tuple((wish.ssh_port, block) for block in checked(self._of.sources, key))
        if wish.jump_host:
            raise BackendRejected(
                "SourceNotKnown",
                f"pools.{wish.pool}.ssh.jump_host reaches the hosts, not the broker: say its block in {key}",
                Reason.SETUP_FAILED,
            )
        return ((wish.ssh_port, block_of(await self._address(wish, switches, key))),)

    async def _address(self, wish: Wish, switches: list[Item], key: str) -> str:
        inside = str(next(ipaddress.IPv4Network(str(switches[0]["CidrBlock"]), strict=False).hosts()))
        toward = self._of.endpoint if wish.by_public and self._of.endpoint else inside
        try:
            found = await local_address(toward)
        except (OSError, TimeoutError) as error:
            told = f"no route to {toward}, so the broker's address is not known: say its block in {key}"
            raise BackendRejected("SourceNotKnown", told, Reason.SETUP_FAILED) from error
        if wish.by_public and not ipaddress.ip_address(found).is_global:
            told = f"hosts with public addresses do not see the broker as {found}: say its public block in {key}"
            raise BackendRejected("SourceNotKnown", told, Reason.SETUP_FAILED)
        return found


def _no_stock(wish: Wish, stock: Stock, types: tuple[str, ...]) -> str:
    where = ", ".join(wish.zones) or f"all {len(stock)} zones"
    what = ", ".join(types) if types else f"a type with {wish.cpu:g} vCPU and {wish.memory_mib / 1024:g} GiB or more"
    return f"{what} is not in stock in {where} ({wish.spot_strategy})"
