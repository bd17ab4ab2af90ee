"""Where a fake backend's instances are: hosts, zones, types and capacities, each of which may be out of stock."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from broker.domain.ids import PoolName
from broker.domain.offer import Offer, Offering
from broker.domain.resources import Resources
from broker.errors import BackendError, InsufficientCapacity
from broker.ports import LaunchSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeHost:
    """A host of a pool and what it has; `slots` are the agents that it takes, whatever their size."""

    id: str
    pool: PoolName
    size: Resources
    zone: str = ""
    type: str = ""
    capacity: str = ""
    slots: int | None = None

    @property
    def offering(self) -> Offering:
        """What it is a part of."""
        return Offering(self.pool, self.zone, self.type, self.capacity)


@dataclass(slots=True)
class Places:
    """What each pool has. A pool of which nothing is said offers just agents.

    `offers` are what can be made: agents in a zone, of a type or capacity, or hosts with a shape; their `room` counts
    down with what is there. `errors` are what launches in an offering come to, until they are taken away.
    """

    hosts: list[FakeHost] = field(default_factory=list)
    offers: list[Offer] = field(default_factory=list)
    errors: dict[Offering, BackendError] = field(default_factory=dict)
    stock: dict[Offering, int] = field(default_factory=dict)
    """How many there really can be, where that is less than what is offered."""

    def of(self, pool: PoolName, exist: Callable[[], Iterable[LaunchSpec]]) -> list[Offer] | None:
        """What a pool offers beside what runs; None if nothing is said of it."""
        hosts, offers = [h for h in self.hosts if h.pool == pool], [o for o in self.offers if o.pool == pool]
        if not hosts and not offers:
            return None
        running = [spec for spec in exist() if spec.pool.name == pool]
        answer = [_offer_of(host, [s for s in running if s.host == host.id]) for host in hosts]
        for offer in offers:
            made = sum(1 for h in hosts if h.offering == offer.offering)
            taken = made if offer.shape is not None else sum(1 for s in running if _offering_of(s) == offer.offering)
            room = None if offer.room is None else max(0, offer.room - taken)
            answer.append(replace(offer, room=room))
        return answer

    def admit(self, spec: LaunchSpec, exist: Callable[[], Iterable[LaunchSpec]]) -> None:
        """Raises what the offering's launches come to, or `InsufficientCapacity`; makes the host if it must."""
        offering = _offering_of(spec)
        if (error := self.errors.get(offering)) is not None:
            raise error
        if offering in self.stock and sum(_offering_of(s) == offering for s in exist()) >= self.stock[offering]:
            raise InsufficientCapacity("NoStock", f"only {self.stock[offering]} left")
        told = self.of(spec.pool.name, exist)
        if told is None:
            return
        mine = [offer for offer in told if offer.offering == offering]
        here = [offer for offer in mine if spec.host and offer.host == spec.host]
        made = [offer for offer in mine if not offer.host and not here]
        if not any(_fits(offer, spec.template.resources) for offer in (*here, *made)):
            raise InsufficientCapacity("NoStock", f"no room in {'/'.join(filter(None, _words(offering, spec.host)))}")
        if not here and made[0].shape is not None:
            self._make_host(spec, made[0].shape, made[0].slots)

    def _make_host(self, spec: LaunchSpec, shape: Resources, slots: int | None) -> None:
        of = _offering_of(spec)
        name = spec.host or f"host-{len(self.hosts) + 1}"
        host = FakeHost(
            id=name, pool=of.pool, size=shape, zone=of.zone, type=of.type, capacity=of.capacity, slots=slots
        )
        self.hosts.append(host)


def make_hosts(pool: str, size: Resources, zones: Mapping[str, int]) -> list[FakeHost]:
    """So many hosts of one size in each zone."""
    return [
        FakeHost(id=f"{zone or pool}-{n + 1}", pool=PoolName(pool), size=size, zone=zone)
        for zone, count in zones.items()
        for n in range(count)
    ]


def _offering_of(spec: LaunchSpec) -> Offering:
    return spec.offering or Offering(spec.pool.name)


def _offer_of(host: FakeHost, on_it: Sequence[LaunchSpec]) -> Offer:
    free = Resources(
        cpu_milli=host.size.cpu_milli - sum(s.template.resources.cpu_milli for s in on_it),
        memory_mib=host.size.memory_mib - sum(s.template.resources.memory_mib for s in on_it),
    )
    slots = None if host.slots is None else host.slots - len(on_it)
    of = host.offering
    return Offer(
        pool=of.pool,
        zone=of.zone,
        type=of.type,
        capacity=of.capacity,
        host=host.id,
        free=free,
        shape=host.size,
        slots=slots,
        of_slots=host.slots,
    )


def _fits(offer: Offer, size: Resources) -> bool:
    has = offer.free if offer.host else offer.shape
    fits = has is None or (size.cpu_milli <= has.cpu_milli and size.memory_mib <= has.memory_mib)
    return fits and offer.room != 0 and offer.slots != 0


def _words(offering: Offering, host: str) -> tuple[str, ...]:
    return (offering.pool, offering.zone, offering.type, offering.capacity, host)
