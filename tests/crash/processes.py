"""Agents as processes of this machine, counted in /proc."""

import os
import secrets
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

_MARK: Final = "CRASH_RUN"
_AGENT: Final = "AGENTBROKER_AGENT"
_SCRIPT: Final = 'printf "%s\\n" "$$AGENTBROKER_AGENT" >>"$$CRASH_STARTS"; exec sleep 600'


class Processes:
    """A ground of processes, known by a mark of the test's own in their environment."""

    def __init__(self, root: Path) -> None:
        self._mark = f"run-{secrets.token_hex(8)}"
        self._starts = root / "starts"
        self._starts.touch()

    def pool(self) -> dict[str, Any]:
        return {"backend": "process", "command": ["/bin/sh", "-c", _SCRIPT, "agent"]}

    def backends(self) -> dict[str, Any]:
        return {}

    def template(self) -> dict[str, Any]:
        return {"env": {_MARK: self._mark, "CRASH_STARTS": str(self._starts)}}

    async def living(self) -> set[tuple[str, int]]:
        refs = (ref.rpartition("-") for ref, _ in self._marked())
        return {(agent_id, int(attempt)) for agent_id, _, attempt in refs}

    async def stop(self, agent_id: str, attempt: int) -> None:
        for ref, pid in self._marked():
            if ref == f"{agent_id}-{attempt}":
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue

    async def remove_all(self) -> None:
        for _, pid in self._marked():
            os.kill(pid, signal.SIGKILL)

    def starts(self) -> list[str]:
        return self._starts.read_text().split()

    def _marked(self) -> Iterator[tuple[str, int]]:
        """Reference and pid of every living process of this ground."""
        mark = f"{_MARK}={self._mark}".encode()
        for path in Path("/proc").iterdir():
            if not path.name.isdigit():
                continue
            try:
                environ = (path / "environ").read_bytes().split(b"\0")
            except OSError:
                continue
            if mark in environ:
                ref = next((e.partition(b"=")[2] for e in environ if e.startswith(f"{_AGENT}=".encode())), b"")
                yield ref.decode(), int(path.name)
