"""The sizes that a task on Fargate may have.

Source: RegisterTaskDefinition, `cpu` and `memory` (botocore's ecs model of 2014-11-13, version 1.43).
"""

from collections.abc import Mapping
from typing import Final

from broker.domain.resources import Resources

_GIB: Final = 1024
SIZES: Final[Mapping[int, tuple[int, ...]]] = {
    250: (512, _GIB, 2 * _GIB),
    500: tuple(range(_GIB, 4 * _GIB + 1, _GIB)),
    1_000: tuple(range(2 * _GIB, 8 * _GIB + 1, _GIB)),
    2_000: tuple(range(4 * _GIB, 16 * _GIB + 1, _GIB)),
    4_000: tuple(range(8 * _GIB, 30 * _GIB + 1, _GIB)),
    8_000: tuple(range(16 * _GIB, 60 * _GIB + 1, 4 * _GIB)),
    16_000: tuple(range(32 * _GIB, 120 * _GIB + 1, 8 * _GIB)),
}
"""Thousandths of a vCPU → MiB of memory that go with it."""
LEAST_OF_WINDOWS: Final = 1_000
MOST_OF_WINDOWS: Final = 4_000


def is_size(size: Resources) -> bool:
    """Whether Fargate has it, on Linux."""
    return size.memory_mib in SIZES.get(size.cpu_milli, ())


def cpu_with(memory_mib: int) -> list[int]:
    """The vCPU, in thousandths, that go with a memory; none if no size has it."""
    return [cpu for cpu, sizes in SIZES.items() if memory_mib in sizes]


def smallest_with(size: Resources) -> Resources | None:
    """The smallest size that has at least this much of both; None if there is none so large."""
    for cpu, sizes in SIZES.items():
        enough = [memory for memory in sizes if memory >= size.memory_mib]
        if cpu >= size.cpu_milli and enough:
            return Resources(cpu_milli=cpu, memory_mib=enough[0])
    return None
