"""The hosts that a pool keeps although nothing runs: `limits.min_hosts`."""

from dataclasses import replace
from typing import Final

from broker.domain.host import HOSTS_WITH_ROOM, Host, host_in
from broker.domain.ids import PoolName
from broker.domain.offer import Offer, Offering
from broker.errors import BackendError, LimitReached
from broker.reconcile.context import Again, Context
from broker.telemetry import events

NO_BOUND: Final = 1 << 30
_LOOK_AGAIN_S: Final = 5.0
_AT_LIMIT_S: Final = 30.0


async def keep_fewest(ctx: Context, name: PoolName) -> Again | None:
    """Asks for the hosts that a pool lacks, in its first offering that does not rest."""
    pool = ctx.definitions.pools.get(name)
    rules = pool.hosts if pool is not None else None
    if rules is None or rules.fewest == 0:
        return None
    living = [host for host in await ctx.hosts.living() if host.pool == name]
    missing = rules.fewest - sum(host.phase in HOSTS_WITH_ROOM for host in living)
    if missing <= 0:
        return None
    wait = ctx.known.not_before.get(name, float("-inf")) - ctx.clock.monotonic()
    if wait > 0:
        return Again(wait)
    offer = await first_offer(ctx, name, living)
    if offer is None:
        return Again(_LOOK_AGAIN_S)
    room = min(missing, room_left(offer, living))
    if rules.most is not None:  # those that drain or are deleted count, too; one too many is refused, and told
        room = min(room, max(1, rules.most - len(living)))
    try:
        await ctx.hosts.add([empty_host(ctx, offer) for _ in range(room)], ctx.clock.now(), most=rules.most)
    except LimitReached as error:
        if ctx.known.fewest_failed.get(name) != str(error):
            events.HOST_STEP_FAILED.emit(pool=name, message=str(error))
        ctx.known.fewest_failed[name] = str(error)
        return Again(_AT_LIMIT_S)
    ctx.known.fewest_failed.pop(name, None)
    ctx.nudge.hosts()
    return Again(_LOOK_AGAIN_S)


async def first_offer(ctx: Context, name: PoolName, living: list[Host]) -> Offer | None:
    """The pool's first offering of which there can be another host now."""
    now, offers = ctx.clock.now(), ctx.board.offers(ctx.definitions).get(name, ())
    lever = ctx.levers.get(name)
    if isinstance(offers, BackendError) or (lever is not None and (lever.until is None or lever.until > now)):
        return None
    rest = (await ctx.cooldowns.read(now)).get(name)
    if rest is not None and rest.until is not None and rest.until > now:
        return None
    cooled = await ctx.cooldowns.cooled(now)
    for offer in offers:
        of = offer.offering
        wider = {of, Offering(of.pool, capacity=of.capacity), Offering(of.pool)}
        if not wider & cooled.keys() and (offer.room is None or _of(living, of) < offer.room):
            return offer
    return None


def room_left(offer: Offer, living: list[Host]) -> int:
    """How many more hosts of an offering there can be."""
    return NO_BOUND if offer.room is None else max(0, offer.room - _of(living, offer.offering))


def _of(living: list[Host], offering: Offering) -> int:
    return sum(host.offering == offering for host in living)


def empty_host(ctx: Context, offer: Offer, asked_by: str = "") -> Host:
    """A host that is still to be made for no agent; `asked_by` is the operator who wants it."""
    now = ctx.clock.now()
    return replace(host_in(offer, now), empty_since=now, asked_by=asked_by)
