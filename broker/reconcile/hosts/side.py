"""What the reconciler knows of hosts: their rows, what was seen of them, and where each is."""

from dataclasses import dataclass, field

from broker.domain.definitions import Definitions
from broker.domain.host import Host
from broker.domain.host_order import HostPlace
from broker.domain.ids import HostId, PoolName
from broker.domain.pool import Pool
from broker.ports import Clock
from broker.reconcile.hosts.calls import Calls
from broker.reconcile.hosts.known import Key, Known
from broker.reconcile.queue import WorkQueue
from broker.store.engine import Database
from broker.store.hosts import Hosts


@dataclass(slots=True, kw_only=True)
class HostSide:
    """The part of the context that is about hosts. `definitions` is replaced whole by a reload."""

    database: Database
    clock: Clock
    definitions: Definitions
    retired: dict[PoolName, Pool] = field(default_factory=dict)
    """Pools that a reload has removed, for as long as agents or hosts of theirs live."""
    host_work: WorkQueue[Key]
    """What the driver of hosts is to look at."""
    hosts: Hosts = field(init=False)
    known: Known = field(init=False)
    host_calls: Calls = field(init=False)

    def open_hosts(self) -> None:
        """Makes what is made of the rest; of no host is anything known yet."""
        self.hosts, self.known = Hosts(self.database), Known(began=self.clock.monotonic())
        self.host_calls = Calls(self.clock.monotonic)

    def host_pool(self, host: Host) -> Pool | None:
        """The pool of a host, also one that a reload has removed; None if it is not known."""
        return self.definitions.pools.get(host.pool) or self.retired.get(host.pool)

    def place_of(self, host: str) -> HostPlace | None:
        """Where a host of ours is; None for one that is gone, or has no machine yet: nothing runs there."""
        row = self.known.rows.get(HostId(host))
        pool = self.host_pool(row) if row is not None else None
        if row is None or pool is None or row.ref is None:
            return None
        return HostPlace(id=row.id, pool=pool, ref=row.ref, address=row.address, host_key=row.host_key, facts=row.facts)
