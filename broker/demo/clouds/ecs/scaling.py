"""Managed scaling: machines that come because tasks wait for them.

https://docs.aws.amazon.com/AmazonECS/latest/developerguide/managed-scaling-behavior.html, without scaling in.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from broker.demo.clouds.ecs.instances import Need


@dataclass(slots=True, kw_only=True)
class Group:
    """An auto-scaling group: what its machines are, how long one takes to come, how many there may be."""

    provider: str
    cluster: str
    machine: Mapping[str, Any]
    """As `FakeEcs.add_instance` takes it; it has cpu and memory."""
    comes_after_s: float = 90.0
    most: int = 100
    size: int = 0
    """Machines that are there or on their way."""
    coming: int = 0

    def missing(self, needs: list[Need]) -> int:
        """How many machines more the waiting tasks want, beside those that come: first fit, by CPU and memory."""
        rooms: list[tuple[int, int]] = [(int(self.machine["cpu"]), int(self.machine["memory"]))] * self.coming
        more = 0
        for need in needs:
            index = next(
                (n for n, (cpu, memory) in enumerate(rooms) if need.cpu <= cpu and need.memory <= memory), None
            )
            if index is None:
                if need.cpu > self.machine["cpu"] or need.memory > self.machine["memory"]:
                    continue  # no machine of this group will ever do
                if self.size + more >= self.most:
                    break
                more += 1
                rooms.append((int(self.machine["cpu"]), int(self.machine["memory"])))
                index = len(rooms) - 1
            cpu, memory = rooms[index]
            rooms[index] = cpu - need.cpu, memory - need.memory
        return more
