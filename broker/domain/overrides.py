"""What a build asks for itself instead of what its template says, and what its policy allows of that."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """Empty and 0: not asked for. CPU in thousandths of a vCPU, memory in MiB."""

    image: str = ""
    cpu_milli: int = 0
    memory_mib: int = 0


NO_OVERRIDE = Override()


@dataclass(frozen=True, slots=True, kw_only=True)
class OverrideRules:
    """What a policy allows: keys, patterns of whole image references, and ceilings (None: without)."""

    allow: frozenset[str] = frozenset()
    images: tuple[str, ...] = ()
    max_cpu_milli: int | None = None
    max_memory_mib: int | None = None
