"""What a pool could hold: the zones of its subnets, and the room on its cluster's instances."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from broker.backends.aws_ecs.calls import Calls
from broker.backends.aws_ecs.hosts import HOSTED, Hosts
from broker.backends.aws_ecs.known import NEVER, Tasks
from broker.backends.aws_ecs.observe import is_ending
from broker.backends.aws_ecs.options import PoolOptions
from broker.backends.aws_ecs.rates import Family
from broker.domain.offer import Offer
from broker.domain.pool import Pool
from broker.domain.reason import Reason
from broker.errors import BackendError
from broker.ports import Clock

_ZONES_S: Final = 3600.0
_AGAIN_S: Final = 60.0
_PATIENCE_S: Final = 2.0


@dataclass(slots=True)
class _Zones:
    """The zones of subnets; a subnet that may not be read is a zone of its own."""

    by_subnet: dict[str, str] = field(default_factory=dict)
    again_at: float = NEVER


class Offers:
    """Remembers what was read for a time."""

    def __init__(self, calls: Calls, hosts: Hosts, clock: Clock, tasks: Tasks) -> None:
        """`tasks` are those that are watched: they say how full each zone is."""
        self._calls = calls
        self._hosts = hosts
        self._clock = clock
        self._tasks = tasks
        self._zones: dict[tuple[str, ...], _Zones] = {}

    async def of(self, pool: Pool) -> Sequence[Offer]:
        """One for each zone, the emptiest first; one for each instance where only those that there are can be used."""
        options = PoolOptions.of(pool)
        if options.launch_type in HOSTED:
            return await self._hosts.offers(pool, external=options.launch_type == "EXTERNAL")
        capacity = options.strategy[0].capacity_provider if len(options.strategy) == 1 else ""
        zones = await self._zones_of(options)
        return tuple(Offer(pool=pool.name, zone=zone, capacity=capacity) for zone in self._emptiest_first(zones)) or (
            Offer(pool=pool.name, capacity=capacity),
        )

    async def subnets(self, pool: Pool, zone: str) -> tuple[str, ...]:
        """Those of a zone; without a choice those of the emptiest one on Fargate, else all: ECS chooses the host."""
        options = PoolOptions.of(pool)
        zones = await self._zones_of(options)
        if not zones:
            return options.subnets
        if not zone and not options.is_fargate:
            return options.subnets
        chosen = zone if zone in zones.values() else self._emptiest_first(zones)[0]
        return tuple(subnet for subnet in options.subnets if zones.get(subnet) == chosen)

    async def _zones_of(self, options: PoolOptions) -> Mapping[str, str]:
        if not options.subnets:
            return {}
        now = self._clock.monotonic()
        known = self._zones.setdefault(options.subnets, _Zones())
        if now < known.again_at:
            return known.by_subnet
        try:
            request = {"SubnetIds": list(options.subnets)}
            told = await self._calls.call("ec2", Family.NETWORK, "DescribeSubnets", request, patience_s=_PATIENCE_S)
        except BackendError as error:
            known.again_at = now + (_ZONES_S if error.reason is Reason.ACCESS_DENIED else _AGAIN_S)
            known.by_subnet = known.by_subnet or {subnet: subnet for subnet in options.subnets}
            return known.by_subnet
        found = {str(one["SubnetId"]): str(one["AvailabilityZone"]) for one in told.get("Subnets") or ()}
        known.by_subnet = {subnet: found.get(subnet, subnet) for subnet in options.subnets}
        known.again_at = now + _ZONES_S
        return known.by_subnet

    def _emptiest_first(self, zones: Mapping[str, str]) -> list[str]:
        """Zones by how many living tasks of ours are in each, those alike in the order of the config."""
        full: Counter[str] = Counter()
        for known in self._tasks.by_ref.values():
            task = known.task
            if task is not None and not is_ending(task) and known.owned is not None:
                full[str(task.get("availabilityZone") or known.zone)] += 1
        return sorted(dict.fromkeys(zones.values()), key=lambda zone: full[zone])

    def zone_of(self, pool: Pool, subnets: Sequence[str]) -> str:
        """The zone of subnets that were chosen, as far as it is known."""
        known = self._zones.get(PoolOptions.of(pool).subnets)
        found = {known.by_subnet.get(subnet, "") for subnet in subnets} if known else set()
        return found.pop() if len(found) == 1 else ""
