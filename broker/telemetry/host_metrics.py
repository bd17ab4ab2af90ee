"""What is counted and timed of hosts."""

from collections import Counter as Counts
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from prometheus_client import Gauge, Histogram

from broker.domain.host import Host, HostPhase
from broker.domain.ids import HostId

_STATES: Final = ("used", "free")


class HostMetrics:
    """Hosts of ours; a pool without hosts has none of these."""

    def __init__(
        self,
        gauge: Callable[..., Gauge],
        histogram: Callable[..., Histogram],
        buckets: tuple[float, ...],
        pool: Callable[[str], str],
    ) -> None:
        """Declares them; `pool` answers the value of that label."""
        self._pool = pool
        self._now = gauge("hosts", "Hosts now in a phase of their lifecycle.", "pool", "phase")
        self._slots = gauge("host_slots", "Places for agents on ready hosts; state is used or free.", "pool", "state")
        text = "From the decision to have a host until it is ready for agents."
        self._ready = histogram("host_ready_duration_seconds", text, buckets, "pool")

    def ready(self, pool: str, seconds: float) -> None:
        """A host has become ready so long after it was asked for."""
        self._ready.labels(self._pool(pool)).observe(seconds)

    def set(self, pools: Iterable[str], living: Iterable[Host], agents_on: Mapping[HostId, int]) -> None:
        """Sets the gauges, those of pools that have no hosts just now to 0."""
        phases = [phase for phase in HostPhase if phase is not HostPhase.GONE]
        hosts: Counts[tuple[str, str]] = Counts({(pool, phase): 0 for pool in pools for phase in phases})
        slots: Counts[tuple[str, str]] = Counts({(pool, state): 0 for pool, _ in hosts for state in _STATES})
        for host in living:
            hosts[host.pool, host.phase] += 1
            if host.phase is HostPhase.READY and host.slots is not None:
                used = agents_on.get(host.id, 0)
                slots[host.pool, "used"] += used
                slots[host.pool, "free"] += max(0, host.slots - used)
        for gauge, counts in ((self._now, hosts), (self._slots, slots)):
            gauge.clear()
            for (pool, what), number in counts.items():
                gauge.labels(self._pool(pool), what).set(number)
