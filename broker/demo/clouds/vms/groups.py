"""Control groups of the machine: one for all virtual machines of a runner, one below it for each of them."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

_ROOT: Final = Path("/sys/fs/cgroup")
_MOUNTS: Final = Path("/proc/self/mounts")
_PLAIN: Final = {"rw", "ro", "nosuid", "nodev", "noexec", "relatime", "xattr", "clone_children"}


def hierarchies() -> dict[str, str]:
    """The hierarchies of version 1 by directory, with the options that mount them; none: version 2, or nothing."""
    found = {}
    for line in _MOUNTS.read_text().splitlines():
        _, place, kind, options, *_ = line.split()
        path = Path(place)
        if kind == "cgroup" and path.parent == _ROOT:
            said = [one for one in options.split(",") if one not in _PLAIN and not one.startswith("release_agent=")]
            if any(one.startswith("name=") for one in said):
                said.insert(0, "none")
            found[path.name] = ",".join(said)
    return found


def make(group: str, found: dict[str, str]) -> None:
    """Makes it in every hierarchy; what its processors and memory nodes are is its parent's."""
    for place in _places(group, found):
        place.mkdir(exist_ok=True)
        for name in ("cpuset.cpus", "cpuset.mems") if found else ():
            if (place / name).exists() and not (place / name).read_text().strip():
                (place / name).write_text((place.parent / name).read_text())


def delegate(group: str) -> None:
    """In version 2: gives those below it all controllers that the machine's root group has."""
    _give(_ROOT)
    _give(_ROOT / group)


def move_down(group: str) -> None:
    """In version 2: moves its processes to one below it, for one that has any gives no controllers; then gives them."""
    below = _ROOT / group / "init"
    below.mkdir(exist_ok=True)
    while pids := (_ROOT / group / "cgroup.procs").read_text().split():  # they fork meanwhile
        for pid in pids:
            with suppress(OSError):  # it has ended
                (below / "cgroup.procs").write_text(pid)
    _give(_ROOT / group)


def _give(place: Path) -> None:
    for name in (place / "cgroup.controllers").read_text().split():
        with suppress(OSError):  # a controller that is busy with another hierarchy, or not to be given on
            (place / "cgroup.subtree_control").write_text(f"+{name}")


def remove(group: str, found: dict[str, str]) -> bool:
    """Removes it and all below; whether nothing is left, for a group's last processes may be on their way out."""
    for place in _places(group, found):
        for folder, _, _ in os.walk(place, topdown=False):
            with suppress(OSError):
                Path(folder).rmdir()
    return not any(place.exists() for place in _places(group, found))


def _places(group: str, found: dict[str, str]) -> list[Path]:
    return [_ROOT / name / group for name in found] or [_ROOT / group]
