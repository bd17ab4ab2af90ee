"""Processes that are measured: on one core, with the time that they took of it and the memory that is theirs."""

import os
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any


def cores() -> tuple[int, int]:
    """One for what is measured, one for all else; the same one where there is no second."""
    mine = sorted(os.sched_getaffinity(0))
    return mine[0], mine[min(1, len(mine) - 1)]


def start(command: Sequence[str | Path], core: int, **given: Any) -> subprocess.Popen[bytes]:
    """As `Popen`; the process and its children stay on that core, before all else there if that is allowed."""
    cores_before, nice_before = os.sched_getaffinity(0), os.getpriority(os.PRIO_PROCESS, 0)
    os.sched_setaffinity(0, {core})
    try:
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, 0, -10)
        return subprocess.Popen(command, **given)
    finally:
        os.setpriority(os.PRIO_PROCESS, 0, nice_before)
        os.sched_setaffinity(0, cores_before)


def tree(pid: int) -> list[int]:
    """A process and its children, if it still runs."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [pid, *(found for child in children for found in tree(int(child)))]


def cpu_s(pid: int) -> float:
    """Seconds of processor time of a process tree, to the nanosecond (clock_getcpuclockid(3), the kernel's id)."""
    return sum(time.clock_gettime((~one << 3) | 2) for one in tree(pid))


def pss_kib(pid: int) -> int:
    """Memory of a process tree, shared pages by their share (proc(5), smaps_rollup)."""
    found = 0
    for one in tree(pid):
        lines = Path(f"/proc/{one}/smaps_rollup").read_text().splitlines()
        found += next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return found


def load_average() -> str:
    """Of the last minute: what else this machine did."""
    return Path("/proc/loadavg").read_text().split()[0]
