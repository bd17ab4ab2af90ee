"""A `ProcessBackend` whose agents are small scripts, and what a test needs to see of the machine around it."""

import asyncio
import sys
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

from broker.backends.process.backend import ProcessBackend
from broker.backends.process.jars import AgentJars
from broker.clock import SystemClock
from broker.domain.ids import BackendName, InstanceRef
from broker.domain.instance import Instance, InstanceState
from broker.ports import LaunchSpec
from broker.testing.factories import make_pool, make_spec

AGENT = """
import pathlib, sys, time
print("agent started", sys.argv[1:], flush=True)
stop = pathlib.Path("stop")
while not stop.exists():
    time.sleep(0.02)
code, *lines = stop.read_text().splitlines()
print(*lines, sep="\\n", flush=True)
sys.exit(int(code))
"""
"""Takes agent.jar's arguments; ends when told by a file in its working directory."""

GRACE_S = 0.4


class ProcessRig:
    """Over a directory of the test's own and an installation id of its own, so that nothing else is seen."""

    def __init__(self, root: Path) -> None:
        self.root = root / "agents"
        self.installation = uuid.uuid4().hex
        self.script = root / "agent.py"
        self.script.write_text(AGENT)
        self.backend = self._open()

    def _open(self) -> ProcessBackend:
        clock = SystemClock()
        jars = AgentJars(self.root.parent / "cache", lambda _: "http://127.0.0.1:9/", clock)
        return ProcessBackend(
            BackendName("process"),
            root=self.root,
            installation=self.installation,
            jars=jars,
            clock=clock,
            grace_s=GRACE_S,
        )

    def spec(self, n: int = 1, attempt: int = 1) -> LaunchSpec:
        return self.spec_of([sys.executable, "-S", "-E", str(self.script)], n, attempt)

    def spec_of(self, command: Sequence[str], n: int = 1, attempt: int = 1) -> LaunchSpec:
        return make_spec(n, attempt, pool=make_pool(options={"command": list(command)}))

    async def reopen(self) -> ProcessBackend:
        await self.backend.close()
        self.backend = self._open()
        return self.backend

    async def stop_instance(self, ref: InstanceRef, *, exit_code: int, lines: Sequence[str]) -> None:
        written = self.root / ref / "stop.new"
        written.write_text("\n".join([str(exit_code), *lines]))
        written.rename(self.root / ref / "remote" / "stop")

    async def count_running(self) -> int:
        return sum("sh" not in words[0] for words in self.command_lines().values())

    async def let_time_pass(self) -> None:
        await asyncio.sleep(0.03)

    async def instance(self, ref: InstanceRef) -> Instance | None:
        return (await self.backend.describe([ref])).get(ref)

    async def agents(self, ref: InstanceRef) -> dict[int, list[str]]:
        """The running agents' arguments, without their wrappers, once there is one: pid → words."""
        await self.wait_for(ref, InstanceState.RUNNING)
        for _ in range(200):
            if agents := {pid: words for pid, words in self.command_lines().items() if not words[0].endswith("sh")}:
                return agents
            await self.let_time_pass()
        raise AssertionError("no agent runs")

    async def wait_for(self, ref: InstanceRef, state: InstanceState) -> Instance:
        seen: Instance | None = None
        for _ in range(200):
            if (seen := await self.instance(ref)) is not None and seen.state is state:
                return seen
            await self.let_time_pass()
        raise AssertionError(f"{ref} is not {state}: {seen}")

    async def end(self, ref: InstanceRef) -> None:
        for _ in range(200):
            await self.backend.terminate(ref)
            if await self.instance(ref) is None:
                return
            await self.let_time_pass()
        raise AssertionError(f"{ref} does not end: {await self.instance(ref)}")

    async def end_all(self) -> None:
        for instance in (await self.backend.list_owned()).instances:
            await self.end(instance.ref)
        await self.backend.close()

    def marked(self) -> dict[int, Mapping[str, str]]:
        """Living processes with this installation's marker, found without the backend: pid → environment."""
        mark = f"AGENTBROKER_INSTALLATION={self.installation}"
        found: dict[int, Mapping[str, str]] = {}
        for pid in (int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()):
            try:
                environ = Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace").split("\0")
            except OSError:
                continue
            if mark in environ:
                found[pid] = dict(entry.partition("=")[::2] for entry in environ if entry)
        return found

    def command_lines(self) -> dict[int, list[str]]:
        """The arguments of those processes."""
        lines: dict[int, list[str]] = {}
        for pid in self.marked():
            try:
                words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
            except OSError:
                continue
            if words[0]:
                lines[pid] = words[:-1]
        return lines
