"""The pools of a backend on Alibaba Cloud as hosts would be made of them now: what they leave out is looked up.

Nothing is made: of what `auto_network` makes, that is taken which is there.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from broker.backends.alibaba_ecs.asking import Item
from broker.backends.alibaba_ecs.network_marks import AGENTBROKER, BACKEND, KIND, MANAGED_BY, Kind, id_of, tags_of
from broker.backends.alibaba_ecs.network_stock import Stock, choose_types, fitting, stock_of
from broker.backends.alibaba_ecs.network_wish import Wish
from broker.backends.alibaba_ecs.options import ON_DEMAND, SPOT, PoolOptions
from broker.backends.alibaba_ecs.used import Used
from broker.doctor.alibaba_ask import AlibabaCloud
from broker.domain.pool import Pool
from broker.errors import BackendError


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """One pool. `vswitches` and `groups` are what the cloud tells of those that it has or would get, by id."""

    pool: Pool
    options: PoolOptions
    wish: Wish
    vswitches: Mapping[str, Item]
    groups: Mapping[str, Item]
    stock: Mapping[str, Stock]
    """By `Offering.capacity`; empty where the cloud does not tell."""

    @property
    def name(self) -> str:
        """The pool's."""
        return str(self.pool.name)

    @property
    def zones(self) -> tuple[str, ...]:
        """Those of its vSwitches, else those that the config names."""
        found = dict.fromkeys(str(one.get("ZoneId")) for one in self.vswitches.values())
        return tuple(found) or self.wish.zones


async def look(cloud: AlibabaCloud, used: Used) -> list[Looked]:
    """All pools of a backend. Raises `Refused` if the cloud cannot be asked for vSwitches and groups."""
    vswitches = {id_of(Kind.VSWITCH, one): one for one in await cloud.pages("vpc:DescribeVSwitches")}
    groups = {id_of(Kind.GROUP, one): one for one in await cloud.pages("ecs:DescribeSecurityGroups")}
    found = list[Looked]()
    for pool in used.pools.values():
        wish = Wish.of(pool)
        stock = await _stock(cloud, wish, PoolOptions.of(pool))
        whole = await _whole(cloud, used, pool, wish, (vswitches, groups, stock))
        options = PoolOptions.of(whole)
        found.append(
            Looked(
                pool=whole,
                options=options,
                wish=Wish.of(whole),
                vswitches={name: vswitches[name] for name in options.vswitches if name in vswitches},
                groups={name: groups[name] for name in options.security_groups if name in groups},
                stock=stock,
            )
        )
    return found


async def _stock(cloud: AlibabaCloud, wish: Wish, options: PoolOptions) -> dict[str, Stock]:
    """What the cloud says for each way in which the pool pays."""
    found = dict[str, Stock]()
    try:
        wanted = await wish.wanted(cloud.call)
        for capacity in options.charge.capacities:
            strategy = options.charge.spot_strategy if capacity == SPOT else "NoSpot"
            found[capacity] = await stock_of(cloud.call, replace(wanted, spot_strategy=strategy))
    except BackendError:
        return {}
    return found


async def _whole(
    cloud: AlibabaCloud, used: Used, pool: Pool, wish: Wish, there: tuple[Mapping[str, Item], Mapping[str, Item], Any]
) -> Pool:
    """The pool with what it would get of what is there."""
    if not used.definition.options.get("auto_network"):
        return pool
    vswitches, groups, stock = there
    options = dict(pool.options)
    if not wish.vswitches:
        options["vswitches"] = [name for name, one in vswitches.items() if is_made(used, Kind.VSWITCH, one)]
    if not wish.security_groups:
        options["security_groups"] = [name for name, one in groups.items() if is_made(used, Kind.GROUP, one)]
    if not wish.instance_types and (first := stock.get(SPOT) or stock.get(ON_DEMAND)):
        try:
            fits = await fitting(cloud.call, await wish.wanted(cloud.call))
            options["instance_types"] = list(choose_types(fits, first, wish.zones))
        except BackendError:
            options["instance_types"] = []
    return replace(pool, options=options)


def is_made(used: Used, kind: Kind, one: Item) -> bool:
    """Whether it says to be made by a backend of that name; whether by this broker, only its key could tell."""
    said = tags_of(one)
    return (said.get(MANAGED_BY), said.get(BACKEND), said.get(KIND)) == (AGENTBROKER, used.name, kind)
