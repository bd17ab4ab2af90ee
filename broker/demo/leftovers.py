"""What a run left behind, found without asking the broker: processes, connections, directories, nodes."""

import os
import signal
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from broker.demo.http import get_json

_ESTABLISHED: Final = "01"


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftBehind:
    """Counts. `agents` are connections to the gateway that are still open.

    `tasks` and `machines` live in the demo's clouds, if it has any.
    """

    agents: int
    processes: int
    directories: int
    nodes: int
    tasks: int | None = None
    machines: int | None = None

    def __bool__(self) -> bool:
        """Whether anything was left."""
        return any(self.counts().values())

    def counts(self) -> dict[str, int]:
        """By kind; tasks and machines only of a run that has such clouds."""
        return {kind: count for kind, count in asdict(self).items() if count is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """Where to look. `marker` is `NAME=VALUE` of an environment variable that all processes of the run carry.

    `known_nodes` were there before: the built-in one, and those of a Jenkins that has a life of its own.
    """

    marker: str
    gateway_port: int
    agents_root: Path
    controller_url: str
    known_nodes: frozenset[str] = frozenset()
    other_urls: tuple[str, ...] = ()
    """More controllers of the run."""
    tasks: Callable[[], int | None] = lambda: None
    """Counts what lives in the run's cloud; None: it has none."""
    machines: Callable[[], int | None] = lambda: None
    """The same of virtual machines."""

    def look(self, *, except_pids: Collection[int]) -> LeftBehind:
        """Counts what there is now; the servers of the run itself are excepted, and groups of processes that they lead.

        Every controller has to answer.
        """
        nodes = frozenset[str]().union(*map(nodes_of, (self.controller_url, *self.other_urls)))
        return LeftBehind(
            agents=connections_to(self.gateway_port),
            processes=len([pid for pid in marked_processes(self.marker) if not {pid, _group(pid)} & {*except_pids}]),
            directories=directories_in(self.agents_root),
            nodes=len(nodes - self.known_nodes),
            tasks=self.tasks(),
            machines=self.machines(),
        )


def marked_processes(marker: str) -> list[int]:
    """The living processes of this user whose environment at their start held `marker`; not the caller."""
    return [pid for pid in _pids() if pid != os.getpid() and _carries(pid, marker.encode())]


def end(pids: Collection[int]) -> None:
    """Kills processes; those that are gone are a success."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def connections_to(port: int) -> int:
    """How many established TCP connections of this machine go to a port of it, seen from the connecting end."""
    suffix = f":{port:04X}"
    tables = [Path("/proc/net/tcp"), Path("/proc/net/tcp6")]
    lines = [line.split() for table in tables if table.exists() for line in table.read_text().splitlines()[1:]]
    return sum(1 for line in lines if line[2].endswith(suffix) and line[3] == _ESTABLISHED)


def directories_in(root: Path) -> int:
    """How many directories are left in `root`, hidden ones too."""
    return sum(1 for path in root.iterdir() if path.is_dir()) if root.exists() else 0


def nodes_of(controller_url: str) -> frozenset[str]:
    """The names of a controller's nodes, its built-in one among them; raises OSError while it does not answer."""
    computers = get_json(controller_url + "computer/api/json")["computer"]
    return frozenset(computer["displayName"].partition(":")[0] for computer in computers)  # behind it: how far it is


def _group(pid: int) -> int:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return 0


def _pids() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def _carries(pid: int, marker: bytes) -> bool:
    try:
        return marker in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:  # gone meanwhile, or somebody else's
        return False
