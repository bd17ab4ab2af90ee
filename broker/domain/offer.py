"""What a pool could hold now."""

from dataclasses import dataclass
from typing import Final

from broker.domain.ids import PoolName
from broker.domain.money import Micros
from broker.domain.resources import Resources

NEW_HOST: Final = "new-"
"""What the id of a host begins with that placement has made up, and that is still to be made; a number follows."""

_LARGEST: Final = 1 << 53
_LONGEST: Final = 256
"""Of a text, in characters."""


@dataclass(frozen=True, slots=True, order=True)
class Offering:
    """What runs out of stock on its own and then is left alone for a time: empty where it does not count."""

    pool: PoolName
    zone: str = ""
    type: str = ""
    capacity: str = ""
    """How it is paid for, in the cloud's word, such as FARGATE_SPOT."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A place in a pool: a host with room (`host`), a host that could be made (`shape`), or just agents (neither)."""

    pool: PoolName
    zone: str = ""
    type: str = ""
    capacity: str = ""
    host: str = ""
    """The id of an existing host."""
    free: Resources | None = None
    """What is free on that host; None: size does not matter."""
    shape: Resources | None = None
    """What a host that would be made has; of an existing one all that it has, free or not, where that is known."""
    slots: int | None = None
    """Agents that the host still takes, whatever their size; None: no bound."""
    of_slots: int | None = None
    """Agents that it takes when it is empty, where others are on it already."""
    room: int | None = None
    """How many more such agents, or hosts of this shape, there can be; None: no bound."""
    price: Micros | None = None
    """An hour's price where the cloud says it itself; None: the pool's."""

    @property
    def offering(self) -> Offering:
        """What it is a part of."""
        return Offering(self.pool, self.zone, self.type, self.capacity)

    def flaw(self) -> str:
        """What of it cannot be, in words; empty where all can: what one backend says wrong must stop no placement."""
        sizes = {"free": self.free, "shape": self.shape}
        numbers: dict[str, object] = {
            "slots": self.slots,
            "of_slots": self.of_slots,
            "room": self.room,
            "price": self.price,
        }
        for name, size in sizes.items():
            if size is not None:
                numbers |= {f"{name}.cpu_milli": size.cpu_milli, f"{name}.memory_mib": size.memory_mib}
        for name, number in numbers.items():
            if number is not None and not (type(number) is int and 0 <= number <= _LARGEST):
                return f"{name} is {number!r}"[:_LONGEST]
        for name in ("zone", "type", "capacity", "host"):
            text: object = getattr(self, name)
            if not (isinstance(text, str) and len(text) <= _LONGEST and text.isprintable()):
                return f"{name} is {text!r}"[:_LONGEST]
        return ""


def is_new_host(host: str) -> bool:
    """Whether a host's id is that of one still to be made."""
    return host.startswith(NEW_HOST) and host[len(NEW_HOST) :].isdecimal()
