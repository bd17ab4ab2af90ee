"""Hosts of ours as offers: what is free on those that live, beside the ones that could be made."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from broker.domain.host import HOSTS_WITH_ROOM, Host, HostInUse, HostPhase, HostRules
from broker.domain.limits import Usage
from broker.domain.money import Micros
from broker.domain.offer import Offer, Offering
from broker.domain.pool import Pool
from broker.domain.resources import Resources
from broker.placement.hosts import NO_BOUND, Free, free_of, less

_SOONEST_FIRST: Final = (HostPhase.READY, HostPhase.PREPARING, HostPhase.CREATING, HostPhase.REQUESTED)
_NOT_MADE_YET: Final = frozenset({HostPhase.REQUESTED, HostPhase.CREATING})


def with_living(pool: Pool, told: Sequence[Offer], usage: Usage) -> Sequence[Offer]:
    """What a pool could hold: `told` by its backend, and for a pool with hosts the room on those that live.

    Of what could be made the living hosts are taken off, and the rules of the pool say how many agents one takes.
    """
    rules = pool.hosts
    if rules is None:
        return told
    living = usage.hosts.get(pool.name, ())
    counts = Counter(use.host.offering for use in living)
    prices: dict[Offering, Micros | None] = {}
    for offer in told:
        prices.setdefault(offer.offering, offer.price)
    given = [offer if offer.host else _opening(offer, rules, counts[offer.offering]) for offer in told]
    takers = [use for use in living if _takes(use.host, rules, usage)]
    takers.sort(key=lambda use: _SOONEST_FIRST.index(use.host.phase))
    return [*given, *(_existing(use, rules, prices.get(use.host.offering)) for use in takers)]


def may_open(pool: Pool, usage: Usage) -> int | None:
    """How many more hosts a pool may have; None: no bound, or a pool without hosts."""
    if pool.hosts is None or pool.hosts.most is None:
        return None
    return max(0, pool.hosts.most - usage.living_hosts[pool.name])


def _takes(host: Host, rules: HostRules, usage: Usage) -> bool:
    """One that is only asked for waits with its offering while that is left alone."""
    if host.phase not in HOSTS_WITH_ROOM or host.is_spent(rules, usage.now):
        return False
    return host.phase not in _NOT_MADE_YET or usage.cooled_at(host.offering) is None


def _opening(offer: Offer, rules: HostRules, living: int) -> Offer:
    room = None if offer.room is None else max(0, offer.room - living)
    return replace(offer, room=room, slots=_least((offer.slots, rules.agents_per_host, rules.max_uses)))


def _existing(use: HostInUse, rules: HostRules, price: Micros | None) -> Offer:
    host = use.host
    of_slots = _least((host.slots, rules.agents_per_host))
    cpu, memory, slots = _left(free_of(host.size, of_slots), use)
    uses = None if rules.max_uses is None else rules.max_uses - host.uses
    return Offer(
        pool=host.pool,
        zone=host.zone,
        type=host.type,
        capacity=host.capacity,
        host=host.id,
        free=None if host.size is None else Resources(cpu_milli=max(0, cpu), memory_mib=max(0, memory)),
        shape=host.size,
        slots=_least((None if slots >= NO_BOUND else max(0, slots), uses)),
        of_slots=_least((of_slots, rules.max_uses)),
        price=price,
    )


def _left(free: Free, use: HostInUse) -> Free:
    """Those that say no size share what the others leave, as when they were placed."""
    for size, count in sorted(
        use.taken.items(), key=lambda item: (item[0].cpu_milli, item[0].memory_mib), reverse=True
    ):
        for _ in range(count):
            if free[2] < 1:
                return (0, 0, 0)
            free = less(free, (size.cpu_milli, size.memory_mib))
    return free


def _least(bounds: Iterable[int | None]) -> int | None:
    return min((bound for bound in bounds if bound is not None), default=None)
