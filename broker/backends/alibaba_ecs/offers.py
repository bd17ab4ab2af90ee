"""The hosts that could be made of a pool, the likeliest and cheapest first."""

from collections.abc import Awaitable, Callable, Sequence

from broker.backends.alibaba_ecs.market import Market
from broker.backends.alibaba_ecs.options import SPOT, PoolOptions
from broker.domain.offer import Offer
from broker.domain.pool import Pool


class Offers:
    """Answers from what the market knows."""

    def __init__(self, market: Market, completed: Callable[[Pool], Awaitable[Pool]]) -> None:
        """`completed` is a pool with what `auto_network` makes of what it leaves out."""
        self._market = market
        self._completed = completed

    async def of(self, pool: Pool) -> Sequence[Offer]:
        """Zone × type × capacity. Where there is stock first; of these spot first, types in the config's order, and
        zones by their spot price, else in the config's order.
        """
        options = PoolOptions.of(await self._completed(pool))
        sizes = await self._market.sizes(options.instance_types)
        zones = await self.zones(options)
        await self._market.look(options)
        slots = pool.hosts.agents_per_host if pool.hosts is not None else None
        ranked: list[tuple[tuple[bool, int, int, float, int], Offer]] = []
        for rank, capacity in enumerate(options.charge.capacities):
            for n, kind in enumerate(options.instance_types):
                for place, (zone, vswitches) in enumerate(zones.items()):
                    room = not all(self._market.is_full(one) for one in vswitches)
                    there = room and self._market.has(zone, kind, capacity, options.charge)
                    price = (self._market.price(zone, kind) or 0.0) if capacity == SPOT else 0.0
                    offer = Offer(
                        pool=pool.name, zone=zone, type=kind, capacity=capacity, shape=sizes[kind], slots=slots
                    )
                    ranked.append(((not there, rank, n, price, place), offer))
        return tuple(offer for _, offer in sorted(ranked, key=lambda one: one[0]))

    async def zones(self, options: PoolOptions) -> dict[str, list[str]]:
        """The zones of a pool's vSwitches, each with its vSwitches; only those that the pool names, if it does."""
        found: dict[str, list[str]] = {}
        for vswitch, zone in (await self._market.zones(options.vswitches)).items():
            if not options.zones or zone in options.zones:
                found.setdefault(zone, []).append(vswitch)
        return found
