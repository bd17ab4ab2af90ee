"""The machines of a pool, as its config lists them, and what a pool offers of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from broker.backends.ssh.options import HostKeyMode, Reach, reach_from, section
from broker.domain.host_order import HostPlace
from broker.domain.ids import HostRef, PoolName
from broker.domain.offer import Offer
from broker.domain.pool import Pool
from broker.domain.resources import Resources

_NO_BOUND: Final = 1 << 40
"""Of a machine whose size nobody has said: any agent fits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """One machine of the list."""

    name: str
    pool: PoolName
    address: str
    zone: str = ""
    size: Resources
    slots: int | None = None

    @property
    def ref(self) -> HostRef:
        """What the backend calls it."""
        return HostRef(f"{self.pool}/{self.name}")

    def offer(self) -> Offer:
        """It as a host that could be made: of an offering of its own, so that it is taken once."""
        return Offer(pool=self.pool, zone=self.zone, type=self.name, shape=self.size, slots=self.slots, room=1)


def machines_of(pool: Pool) -> list[Machine]:
    """In the order of the config."""
    return [_machine(pool, str(name), told) for name, told in section(pool, "hosts").items()]


def reach_of(place: HostPlace) -> Reach:
    """A machine's own address, user, port and keys over those of the pool."""
    ssh = section(place.pool, "ssh")
    machine = section(place.pool, "hosts").get(place.ref.rpartition("/")[2], {})
    own: dict[str, Any] = {name: machine[name] for name in ("user", "port") if machine.get(name)}
    if machine.get("host_keys"):
        own |= {"host_keys": machine["host_keys"], "host_key": HostKeyMode.PINNED, "known_hosts_file": ""}
    return reach_from(place.address, {"host_key": HostKeyMode.ACCEPT_NEW, **ssh, **own})


def _machine(pool: Pool, name: str, told: Mapping[str, Any]) -> Machine:
    cpu, memory = told.get("cpu"), told.get("memory")
    size = Resources(
        cpu_milli=round(float(cpu) * 1000) if cpu is not None else _NO_BOUND,
        memory_mib=int(memory) if memory is not None else _NO_BOUND,
    )
    return Machine(
        name=name,
        pool=pool.name,
        address=str(told["address"]),
        zone=str(told.get("zone") or ""),
        size=size,
        slots=int(told["slots"]) if told.get("slots") else None,
    )
