"""How much of a machine an agent takes."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """CPU in thousandths of a vCPU, memory in MiB; 0 means "not said", which takes nothing of a limit."""

    cpu_milli: int = 0
    memory_mib: int = 0
