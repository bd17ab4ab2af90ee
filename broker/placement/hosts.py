"""Hosts by what is free on them: equal ones lie in one bucket, and the buckets in order, so that the best is found."""

from bisect import bisect_left, insort
from collections.abc import Iterator
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from typing import Final

from broker.domain.offer import Offer
from broker.domain.policy import PackBy
from broker.domain.resources import Resources

NO_BOUND: Final = 1 << 60

Free = tuple[int, int, int]
"""CPU in thousandths of a vCPU, memory in MiB, and agents, that a host still takes; `NO_BOUND` where none counts."""

Size = tuple[int, int]
"""CPU and memory of an agent in the same units; 0 is not said."""

_KEYS: Final[dict[PackBy, tuple[int, int, int]]] = {
    PackBy.MEMORY: (1, 0, 2),
    PackBy.CPU: (0, 1, 2),
    PackBy.AGENTS: (2, 1, 0),
}
"""Which of the three numbers of `Free` is looked at first, second and last."""

_BACK: Final[dict[PackBy, tuple[int, int, int]]] = {
    PackBy.MEMORY: (1, 0, 2),
    PackBy.CPU: (0, 1, 2),
    PackBy.AGENTS: (2, 1, 0),
}
"""Where CPU, memory and agents are found again in such a key."""


def free_of(resources: Resources | None, slots: int | None) -> Free:
    """What is free where so much is."""
    most = NO_BOUND if slots is None else slots
    if resources is None:
        return (NO_BOUND, NO_BOUND, most)
    return (resources.cpu_milli, resources.memory_mib, most)


def fits(free: Free, size: Size) -> bool:
    """Whether an agent of a size fits; nothing fits where one of the three is used up."""
    return free[0] >= (size[0] or 1) and free[1] >= (size[1] or 1) and free[2] >= 1


def less(free: Free, size: Size) -> Free:
    """What is left beside one more agent. One that says no size takes an equal part of what is free."""
    cpu, memory, slots = free
    bound = slots < NO_BOUND
    if cpu < NO_BOUND:
        cpu -= size[0] or (max(1, cpu // slots) if bound else cpu)
    if memory < NO_BOUND:
        memory -= size[1] or (max(1, memory // slots) if bound else memory)
    return (cpu, memory, slots - 1 if bound else slots)


def more(free: Free, size: Size) -> Free:
    """What is free where an agent that says its size is taken away again."""
    cpu, memory, slots = free
    return (
        cpu if cpu >= NO_BOUND else cpu + size[0],
        memory if memory >= NO_BOUND else memory + size[1],
        slots if slots >= NO_BOUND else slots + 1,
    )


@dataclass(slots=True, eq=False)
class Cap:
    """How many hosts may still be made of all openings of a pool together."""

    left: int = NO_BOUND


@dataclass(slots=True, eq=False)
class Opening:
    """Hosts that could be made (`shape`), or just agents (None)."""

    number: int
    offer: Offer
    left: int
    shape: Free | None
    cap: Cap = field(default_factory=Cap)

    def takes(self, size: Size) -> bool:
        """Whether one more fits."""
        return self.cap.left > 0 and self.would_take(size)

    def would_take(self, size: Size) -> bool:
        """The same if the pool could have as many hosts as it liked."""
        return self.left > 0 and (self.shape is None or fits(self.shape, size))


@dataclass(slots=True, eq=False)
class Host:
    """A host, existing or about to be made; of two equal ones that of the lower number is taken."""

    number: int
    offer: Offer
    free: Free
    opening: Opening | None = None
    """What it is to be made of; None: it exists."""

    @property
    def given(self) -> bool:
        """Whether it is one of the offers, and not made of one."""
        return self.opening is None


class Hosts:
    """A set of hosts, filed when the best is asked for first. One that is used up is left out of the search."""

    __slots__ = ("_buckets", "_hosts", "_keys", "looks")

    def __init__(self) -> None:
        self._hosts: dict[int, Host] = {}
        self._buckets: dict[Free, list[int]] | None = None
        self._keys: dict[PackBy, list[tuple[int, int, int]]] = {}
        self.looks = 0
        """How many buckets were compared with a size."""

    def __iter__(self) -> Iterator[Host]:
        return iter(self._hosts.values())

    def __len__(self) -> int:
        return len(self._hosts)

    def add(self, host: Host) -> None:
        """Takes in a host."""
        self._hosts[host.number] = host
        self.file(host)

    def best(self, size: Size, by: PackBy) -> Host | None:
        """The host with the least left of what `by` names that an agent of the size fits on."""
        keys = self._keys.get(by)
        if keys is None:
            keys = self._keys[by] = self._sorted(by)
        buckets = self._buckets or {}
        cpu, memory = size[0] or 1, size[1] or 1
        cpu_at, memory_at, slots_at = _BACK[by]
        start = at = 0 if by is PackBy.AGENTS else bisect_left(keys, (memory if by is PackBy.MEMORY else cpu,))
        for at in range(start, len(keys)):
            key = keys[at]
            if key[cpu_at] >= cpu and key[memory_at] >= memory:
                self.looks += at - start + 1
                return self._hosts[buckets[key[cpu_at], key[memory_at], key[slots_at]][0]]
        self.looks += len(keys) - start
        return None

    def _sorted(self, by: PackBy) -> list[tuple[int, int, int]]:
        if self._buckets is None:
            self._buckets = {}
            for host in self._hosts.values():
                self.file(host)
        first, second, third = _KEYS[by]
        return sorted((free[first], free[second], free[third]) for free in self._buckets)

    def file(self, host: Host) -> None:
        """Puts a host where it is found by what is free on it; before that changes it is taken out."""
        free = host.free
        if self._buckets is None or free[0] < 1 or free[1] < 1 or free[2] < 1:
            return
        bucket = self._buckets.get(free)
        if bucket is not None:
            heappush(bucket, host.number)
            return
        self._buckets[free] = [host.number]
        for by, keys in self._keys.items():
            first, second, third = _KEYS[by]
            insort(keys, (free[first], free[second], free[third]))

    def unfile(self, host: Host) -> None:
        """Takes a host out of where it is found, if it is found at all."""
        free = host.free
        bucket = None if self._buckets is None else self._buckets.get(free)
        if bucket is None or self._buckets is None:
            return
        if bucket[0] == host.number:
            heappop(bucket)
        else:
            bucket.remove(host.number)
            heapify(bucket)
        if bucket:
            return
        del self._buckets[free]
        for by, keys in self._keys.items():
            first, second, third = _KEYS[by]
            del keys[bisect_left(keys, (free[first], free[second], free[third]))]
