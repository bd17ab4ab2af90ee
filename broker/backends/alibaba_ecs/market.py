"""What can be had: sizes of types, zones of vSwitches, stock and spot prices, each read seldom and kept.

Who asks brings the reads along: nothing is called while nobody wants hosts. What is known is told meanwhile.
"""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any, Final

from broker.backends.alibaba_ecs.asking import Ask, items, pages
from broker.backends.alibaba_ecs.network_stock import Stock, Wanted, stock_of
from broker.backends.alibaba_ecs.options import SPOT, Charge, PoolOptions
from broker.domain.reason import Reason
from broker.domain.resources import Resources
from broker.errors import BackendError, BackendRejected, StoreUnavailable
from broker.ports import Clock, Memory

_SCARCE_S: Final = 300.0
_PLENTY_S: Final = 1800.0
"""Stock, prices and free addresses are read so often where something cannot be had, and so often where all can."""
_AGAIN_S: Final = 60.0
_NEVER: Final = float("-inf")
_TYPES_AT_ONCE: Final = 10
"""Of DescribeInstanceTypes: `InstanceTypes` (API reference)."""
_MIB: Final = 1024


@dataclass(slots=True)
class _Reading:
    """Something that is read again after a time; a failure is not repeated at once."""

    again_at: float = _NEVER
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


class Market:
    """What one account and region has."""

    def __init__(self, ask: Ask, memory: Memory, clock: Clock, region: str) -> None:
        """Nothing is read yet. `memory` is `BackendContext.memory("alibaba:NAME:market")`."""
        self._ask = ask
        self._memory = memory
        self._clock = clock
        self._region = region
        self._sizes: dict[str, Resources] = {}
        self._zones: dict[str, str] = {}
        self._free: dict[str, int] = {}
        self._stock: dict[str, Stock] = {}
        self._prices: dict[tuple[str, str], float] = {}
        self._readings: dict[str, _Reading] = {}
        self._loaded = False

    async def sizes(self, types: Sequence[str]) -> Mapping[str, Resources]:
        """vCPU and memory of each. Raises what keeps them from being known; BackendRejected names a wrong type."""
        await self._load()
        unknown = [one for one in dict.fromkeys(types) if one not in self._sizes]
        if unknown:
            async with self._reading("types").turn:  # bounded: every call below is
                await self._read_sizes([one for one in unknown if one not in self._sizes])
        return {one: self._sizes[one] for one in types}

    async def zones(self, vswitches: Sequence[str]) -> Mapping[str, str]:
        """Each vSwitch's zone, in the order of `vswitches`. Raises as `sizes`."""
        await self._load()
        if any(one not in self._zones for one in vswitches):
            async with self._reading("vswitches").turn:  # bounded: every call below is
                for one in vswitches:
                    if one not in self._zones:
                        await self._read_vswitch(one)
                await self._save()
        return {one: self._zones[one] for one in vswitches}

    async def look(self, options: PoolOptions) -> None:
        """Reads stock and prices anew if it is time; what is known stands until then. Raises nothing of the cloud's."""
        for capacity in options.charge.capacities:
            strategy = options.charge.spot_strategy if capacity == SPOT else "NoSpot"
            scarce = partial(self._is_scarce, options, capacity)
            await self._now_and_then(f"stock:{strategy}", scarce, self._read_stock, strategy)
            if capacity == SPOT:
                for one in options.instance_types:
                    await self._now_and_then(f"price:{one}", lambda: False, self._read_prices, one)
        for one in options.vswitches:
            await self._now_and_then(f"vswitch:{one}", partial(self.is_full, one), self._read_vswitch, one)

    def has(self, zone: str, kind: str, capacity: str, charge: Charge) -> bool:
        """Whether an order has a chance, as far as is known: it may be wrong both ways."""
        strategy = charge.spot_strategy if capacity == SPOT else "NoSpot"
        stock = self._stock.get(strategy)
        if stock is not None:
            state = stock.get(zone, {}).get(kind)
            if state is None or not state.can_be_had:
                return False
        price = self.price(zone, kind) if capacity == SPOT else None
        return price is None or charge.price_limit is None or price <= charge.price_limit

    def price(self, zone: str, kind: str) -> float | None:
        """The last spot price of an hour there, in the account's currency."""
        return self._prices.get((zone, kind))

    def roomiest(self, vswitches: Sequence[str]) -> str:
        """The first of these that has addresses left, as far as is known; else the first."""
        return next((one for one in vswitches if self._free.get(one, 1) > 0), vswitches[0])

    def is_full(self, vswitch: str) -> bool:
        """Whether it has no addresses left, as far as is known."""
        return self._free.get(vswitch, 1) <= 0

    def doubt(self, vswitch: str = "") -> None:
        """The cloud says otherwise: stock is read anew soon, and a vSwitch that is named is full."""
        for name, reading in self._readings.items():
            if name.startswith("stock:"):
                reading.again_at = min(reading.again_at, self._clock.monotonic() + _AGAIN_S)
        if vswitch:
            self._free[vswitch] = 0
            reading = self._reading(f"vswitch:{vswitch}")
            reading.again_at = min(reading.again_at, self._clock.monotonic() + _SCARCE_S)

    def _is_scarce(self, options: PoolOptions, capacity: str) -> bool:
        """Whether something that a pool asks for cannot be had in one of its zones, as far as is known."""
        zones = {self._zones.get(one, "") for one in options.vswitches}
        return not all(
            self.has(zone, kind, capacity, options.charge) for zone in zones for kind in options.instance_types
        )

    async def _now_and_then(self, name: str, scarce: Callable[[], bool], read: Any, what: str) -> None:
        reading = self._reading(name)
        if self._clock.monotonic() < reading.again_at or reading.turn.locked():
            return
        async with reading.turn:  # bounded: every call below is
            reading.again_at = self._clock.monotonic() + _AGAIN_S  # also if nobody waits for the answer to its end
            try:
                await read(what)
            except BackendError as error:
                if error.reason is not Reason.ACCESS_DENIED:
                    return
            reading.again_at = self._clock.monotonic() + (_SCARCE_S if scarce() else _PLENTY_S)

    def _reading(self, name: str) -> _Reading:
        return self._readings.setdefault(name, _Reading())

    async def _read_sizes(self, types: Sequence[str]) -> None:
        for start in range(0, len(types), _TYPES_AT_ONCE):
            some = list(types[start : start + _TYPES_AT_ONCE])
            found = await pages(self._ask, "ecs:DescribeInstanceTypes", {"InstanceTypes": some})
            for one in found:
                cpu, memory = float(one.get("CpuCoreCount") or 0), float(one.get("MemorySize") or 0)
                size = Resources(cpu_milli=round(cpu * 1000), memory_mib=round(memory * _MIB))
                self._sizes[str(one.get("InstanceTypeId"))] = size
            if wrong := [one for one in some if one not in self._sizes]:
                message = f"{self._region} has no instance type {', '.join(wrong)}; look at pools.POOL.instance_types"
                raise BackendRejected("InvalidInstanceType.NotFound", message, Reason.INVALID_TEMPLATE)
        if types:
            await self._save()

    async def _read_vswitch(self, vswitch: str) -> None:
        told = await self._ask("vpc:DescribeVSwitches", {"VSwitchId": vswitch})
        found = items(told, ("VSwitches", "VSwitch"))
        if not found:
            message = f"{self._region} has no vSwitch {vswitch}; look at pools.POOL.vswitches"
            raise BackendRejected("InvalidVSwitchId.NotFound", message, Reason.NETWORK_UNAVAILABLE)
        self._zones[vswitch] = str(found[0].get("ZoneId"))
        if (left := found[0].get("AvailableIpAddressCount")) is not None:
            self._free[vswitch] = int(left)

    async def _read_stock(self, strategy: str) -> None:
        self._stock[strategy] = await stock_of(self._ask, Wanted(spot_strategy=strategy))

    async def _read_prices(self, kind: str) -> None:
        since = self._clock.now() - timedelta(hours=3)
        request = {
            "InstanceType": kind,
            "NetworkType": "vpc",
            "StartTime": since.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "EndTime": self._clock.now().strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        told = await self._ask("ecs:DescribeSpotPriceHistory", request)
        for one in sorted(items(told, ("SpotPrices", "SpotPriceType")), key=lambda one: str(one.get("Timestamp"))):
            if one.get("SpotPrice") is not None:
                self._prices[str(one.get("ZoneId")), kind] = float(one["SpotPrice"])

    async def _load(self) -> None:
        if self._loaded:
            return
        try:
            told: Any = json.loads(await self._memory.recall() or "{}")
            if told.get("region") == self._region:
                sizes = {kind: Resources(cpu_milli=cpu, memory_mib=mib) for kind, (cpu, mib) in told["types"].items()}
                self._sizes = {**sizes, **self._sizes}
                self._zones = {**told["zones"], **self._zones}
        except (StoreUnavailable, ValueError, KeyError, TypeError, AttributeError):
            pass  # it is read of the cloud
        self._loaded = True

    async def _save(self) -> None:
        sizes = {kind: [size.cpu_milli, size.memory_mib] for kind, size in self._sizes.items()}
        told = {"region": self._region, "types": sizes, "zones": self._zones}
        try:
            await self._memory.remember(json.dumps(told, sort_keys=True))
        except StoreUnavailable:
            return  # the next process reads it of the cloud
