"""Processes as /proc shows them (proc(5)): who carries our markers, who lives, and a signal that cannot hit another."""

import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

AGENT_MARK: Final = "AGENTBROKER_AGENT"
INSTALLATION_MARK: Final = "AGENTBROKER_INSTALLATION"
_DEAD: Final = frozenset("ZXx")


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A process; `start` is its start in clock ticks since boot, which with the pid tells it from any other."""

    pid: int
    start: int
    session: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Census:
    """All living processes of one moment, and which of them carry which agent's marker."""

    processes: tuple[Process, ...]
    marked: Mapping[str, tuple[Process, ...]]

    def of(self, agent: str, leader: Process | None) -> tuple[Process, ...]:
        """The processes of an agent: those with its marker, and those in its session as long as its leader lives.

        A dead leader's number may be another's by now, so it says nothing.
        """
        found = {p.pid: p for p in self.marked.get(agent, ())}
        if leader is not None and any(p.pid == leader.pid and p.start == leader.start for p in self.processes):
            found |= {p.pid: p for p in self.processes if p.session == leader.pid}
        return tuple(found.values())


def parse_stat(text: str) -> Process | None:
    """Reads a line of /proc/PID/stat; None for a dead process or anything else. The name may hold blanks and `)`."""
    pid, _, rest = text.partition(" (")
    fields = rest.rpartition(")")[2].split()
    if len(fields) < 20 or fields[0] in _DEAD:
        return None
    try:
        return Process(pid=int(pid), start=int(fields[19]), session=int(fields[3]))
    except ValueError:
        return None


def find(pid: int) -> Process | None:
    """The living process of this number."""
    try:
        return parse_stat(Path(f"/proc/{pid}/stat").read_text(errors="replace"))
    except OSError:
        return None


def is_alive(process: Process) -> bool:
    """Whether this very process lives, not another one with its number."""
    now = find(process.pid)
    return now is not None and now.start == process.start


def take_census(installation: str) -> Census:
    """Looks at every process that this user may read. The caller itself is left out."""
    processes: list[Process] = []
    marked: dict[str, tuple[Process, ...]] = {}
    for pid in _pids():
        if (process := find(pid)) is None:
            continue
        processes.append(process)
        agent = _agent_of(pid, installation)
        if agent is not None:
            marked[agent] = (*marked.get(agent, ()), process)
    return Census(processes=tuple(processes), marked=marked)


def send(process: Process, number: signal.Signals) -> None:
    """Signals this very process; one that is gone is a success. The descriptor holds it fast between look and blow."""
    try:
        descriptor = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return
    try:
        if is_alive(process):
            with suppress(ProcessLookupError, PermissionError):  # a set-user-id program of a build is not ours to end
                signal.pidfd_send_signal(descriptor, number)
    finally:
        os.close(descriptor)


def boot_id() -> str:
    """Random, made anew at each boot of the machine: start times of another boot mean nothing."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _pids() -> Iterator[int]:
    own = os.getpid()
    with os.scandir("/proc") as entries:
        numbers = [int(entry.name) for entry in entries if entry.name.isdigit()]
    return (pid for pid in numbers if pid != own)


def _agent_of(pid: int, installation: str) -> str | None:
    try:
        environ = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return None
    if f"{INSTALLATION_MARK}={installation}".encode() not in environ:
        return None
    prefix = f"{AGENT_MARK}=".encode()
    return next((entry[len(prefix) :].decode() for entry in environ if entry.startswith(prefix)), None)
