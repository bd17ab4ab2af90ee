"""What a scrape reads of the running control plane."""

from broker.domain.ids import PoolName
from broker.domain.limits import Scope
from broker.domain.offer import Offering
from broker.domain.resources import Resources
from broker.placement import warm
from broker.reconcile.context import Context
from broker.store.search import Search
from broker.telemetry.readings import PoolState, Readings, count_agents
from broker.views.snapshot import lever_states


async def readings(ctx: Context) -> Readings:
    """Agents and pools as they stand; nothing of gateways and certificates."""
    live = await ctx.agents.live()
    host_pools = tuple(pool.name for pool in ctx.definitions.pools.values() if pool.hosts is not None)
    hosts = tuple(await ctx.hosts.living())
    return Readings(
        host_pools=host_pools,
        hosts=hosts,
        agents_on=await ctx.hosts.agents_on() if hosts else {},
        agents=count_agents(live),
        warm=warm.counts(live, ctx.definitions, ctx.clock.now()),
        pools=await _pool_states(ctx),
        taken=await _taken(ctx),
    )


async def _pool_states(ctx: Context) -> dict[PoolName, PoolState]:
    """Every pool; an operator's word comes first."""
    now = ctx.clock.now()
    rests = (await ctx.cooldowns.read(now)).items()
    resting = {pool for pool, rest in rests if rest.until is not None and rest.until > now}
    resting |= {of.pool for of in await ctx.cooldowns.cooled(now) if of == Offering(of.pool)}
    states = dict.fromkeys(ctx.definitions.pools, PoolState.READY) | dict.fromkeys(resting, PoolState.COOLDOWN)
    return states | lever_states(ctx.levers.values(), now)


async def _taken(ctx: Context) -> dict[PoolName, Resources]:
    used = await Search(ctx.database).used()
    return {
        pool: Resources(
            cpu_milli=used.get((Scope.POOL_CPU_MILLI, pool), 0), memory_mib=used.get((Scope.POOL_MEMORY_MIB, pool), 0)
        )
        for pool in ctx.definitions.pools
    }
