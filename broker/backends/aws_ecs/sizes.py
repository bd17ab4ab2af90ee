"""How large a task is: in its definition, and what a launch says otherwise (RunTask's overrides).

Sizes are in the API's units: CPU in 1024ths of a vCPU, memory in MiB; 0 is not said. On Fargate the template's size is
that of the whole task, which is what is paid for: the agent's container gets what its sidecars leave. Elsewhere it is
the own size of the agent's container.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from broker.domain import fargate
from broker.domain.reason import Reason
from broker.domain.resources import Resources
from broker.errors import BackendRejected

_UNITS: Final = 1024
"""In a vCPU."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """Of a task, and of the agent's container in it."""

    task_cpu: int = 0
    task_memory: int = 0
    cpu: int = 0
    memory: int = 0
    reservation: int = 0
    """The soft limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeOverrides:
    """Members of RunTask's `overrides`: of the task, and of its `containerOverrides` for the agent's container."""

    task: Mapping[str, str] = field(default_factory=dict)
    container: Mapping[str, int] = field(default_factory=dict)


def cpu_units(resources: Resources) -> int:
    """CPU as ECS counts it; at least 1 of what is said at all."""
    return -(-resources.cpu_milli * _UNITS // 1000)


def fargate_size(cpu: int, memory: int) -> tuple[int, int]:
    """The smallest task of Fargate that has both. BackendRejected if there is none so large."""
    found = fargate.smallest_with(Resources(cpu_milli=cpu * 1000 // _UNITS, memory_mib=memory))
    if found is None:
        message = f"Fargate has no task of {cpu / _UNITS:g} vCPU and {memory} MiB: at most 16 vCPU and 120 GiB"
        raise BackendRejected("NoFargateSize", message, Reason.INVALID_TEMPLATE)
    return cpu_units(found), found.memory_mib


def sizes_of(resources: Resources, soft: int, sidecars: Iterable[Mapping[str, Any]], *, on_fargate: bool) -> Sizes:
    """What a template of this size means; `soft` is its memory reservation."""
    cpu, hard = cpu_units(resources), resources.memory_mib
    soft = min(soft, hard) if hard else soft
    if not on_fargate:
        return Sizes(cpu=cpu, memory=hard, reservation=soft)
    task_cpu, task_memory = fargate_size(cpu, hard or soft)
    others = list(sidecars)
    left_cpu = task_cpu - sum(one.get("cpu") or 0 for one in others)
    left_memory = task_memory - sum(max(one.get("memory") or 0, one.get("memoryReservation") or 0) for one in others)
    memory = max(0, left_memory) if hard or not soft else 0
    return Sizes(
        task_cpu=task_cpu,
        task_memory=task_memory,
        cpu=max(0, left_cpu),
        memory=memory,
        reservation=min(soft, max(0, left_memory)),
    )


def resized(defined: Sizes, cpu: int, memory: int, *, on_fargate: bool) -> Sizes:
    """A definition's sizes with another CPU or memory (0: its own).

    Where the task has a size, that is changed, and what the agent's container has of it by as much.
    """
    task_cpu = (cpu or defined.task_cpu) if defined.task_cpu else 0
    task_memory = (memory or defined.task_memory) if defined.task_memory else 0
    if on_fargate and (cpu or memory):
        task_cpu, task_memory = fargate_size(task_cpu, task_memory)
    own_cpu = _share(defined.cpu, defined.task_cpu, task_cpu) if task_cpu else cpu or defined.cpu
    own_memory = _share(defined.memory, defined.task_memory, task_memory) if task_memory else memory or defined.memory
    return Sizes(
        task_cpu=task_cpu,
        task_memory=task_memory,
        cpu=own_cpu,
        memory=own_memory,
        reservation=min(defined.reservation, own_memory or task_memory or defined.reservation),
    )


def _share(defined: int, before: int, after: int) -> int:
    """What a container has of a task that grows or shrinks; one without a size of its own has none."""
    return max(0, defined + after - before) if defined else 0


def size_overrides(defined: Sizes, wanted: Sizes) -> SizeOverrides:
    """What a launch says for a task of the size `wanted`; nothing where the definition says the same."""
    task = {"cpu": (defined.task_cpu, wanted.task_cpu), "memory": (defined.task_memory, wanted.task_memory)}
    container = {
        "cpu": (defined.cpu, wanted.cpu),
        "memory": (defined.memory, wanted.memory),
        "memoryReservation": (defined.reservation, wanted.reservation),
    }
    return SizeOverrides(
        task={name: str(new) for name, (old, new) in task.items() if new and new != old},
        container={name: new for name, (old, new) in container.items() if new and new != old},
    )
