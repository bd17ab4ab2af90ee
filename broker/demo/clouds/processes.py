"""Processes that stand for containers: started, told to end, killed when they do not, and never left behind."""

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final

from broker.demo.clouds.images import Process, process_of

_KEPT: Final = ("PATH", "LANG", "PYTHONPATH", "PYTHONUNBUFFERED", "JAVA_HOME", "VIRTUAL_ENV")
"""What a container has of this machine's environment."""
_LINE: Final = 1 << 16
_LAST_WORDS_S: Final = 2.0
"""For what was written and not read yet when a process has ended; one of its children may hold its output open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """A container to run. `log` gets its lines; `ended` is awaited with its exit code: 128 + N for a signal N."""

    name: str
    environment: Mapping[str, str] = field(repr=False)
    entry_point: Sequence[str] = ()
    command: Sequence[str] = field(default=(), repr=False)
    log: Callable[[str], None] = lambda line: None
    ended: Callable[[int], Awaitable[None]]


@dataclass(slots=True)
class _Container:
    process: asyncio.subprocess.Process | None = None
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once it has a process, or cannot have one."""
    killer: asyncio.Task[None] | None = None

    def signal(self, number: signal.Signals) -> None:
        """To its first process; one that kills goes to all that are left of its session's group."""
        if self.process is None:
            return
        with suppress(ProcessLookupError):
            if number is signal.SIGKILL:
                os.killpg(self.process.pid, number)
            elif self.process.returncode is None:
                self.process.send_signal(number)


class Processes:
    """Runs work in directories of its own below `root`; entered, it is ready, and left, all of it has ended."""

    def __init__(self, root: Path, agent: Sequence[str]) -> None:
        """`agent` is the command that stands for `java -jar agent.jar`."""
        self._root, self._agent = root, tuple(agent)
        self._group = asyncio.TaskGroup()
        self._closing = False
        self._running: dict[str, _Container] = {}

    async def __aenter__(self) -> "Processes":
        """Makes the directory."""
        self._root.mkdir(parents=True, exist_ok=True, mode=0o700)
        await self._group.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Kills what runs, and returns when it has ended."""
        self._closing = True
        for container in self._running.values():
            container.signal(signal.SIGKILL)
            if container.killer:
                container.killer.cancel()
        await self._group.__aexit__(kind, error, trace)

    @property
    def running(self) -> list[str]:
        """The names of what runs."""
        return list(self._running)

    def start(self, work: Work) -> None:
        """Starts it; a name that runs already is left alone."""
        if work.name not in self._running:
            self._running[work.name] = container = _Container()
            self._group.create_task(self._run(work, container), name=f"container {work.name}")

    def stop(self, name: str, grace_s: float) -> None:
        """SIGTERM, and SIGKILL after the grace; a second call changes nothing, one that has ended is a success."""
        container = self._running.get(name)
        if container and not container.killer:
            container.killer = self._group.create_task(_stop(container, grace_s), name=f"stop {name}")

    async def _run(self, work: Work, container: _Container) -> None:
        home = self._root / work.name
        try:
            code = await self._process(work, container, home)
        except OSError as error:
            work.log(f"exec: {error}")
            code = 127
        finally:
            container.begun.set()
            del self._running[work.name]
            if container.killer:
                container.killer.cancel()
            shutil.rmtree(home, ignore_errors=True)
        await work.ended(code)

    async def _process(self, work: Work, container: _Container, home: Path) -> int:
        planned = self._planned(work, home)
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        read, write = os.pipe()  # not asyncio's: that would wait for all who hold the output, not for the process
        try:
            container.process = process = await asyncio.create_subprocess_exec(
                *planned.argv,
                cwd=home,
                env={**kept, **planned.environment},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=write,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
            )
        except BaseException:
            os.close(read)
            raise
        finally:
            os.close(write)
        container.begun.set()
        if self._closing:
            container.signal(signal.SIGKILL)
        async with _lines(read, work.log) as lines:
            try:
                code = await process.wait()
            finally:  # of a container nothing is left when its first process has ended
                container.signal(signal.SIGKILL)
            await asyncio.wait([lines], timeout=_LAST_WORDS_S)
        return code if code >= 0 else 128 - code

    def _planned(self, work: Work, home: Path) -> Process:
        home.mkdir(mode=0o700)
        return process_of(
            entry_point=work.entry_point,
            command=work.command,
            environment=work.environment,
            agent=self._agent,
            home=home,
        )


async def _stop(container: _Container, grace_s: float) -> None:
    await container.begun.wait()
    container.signal(signal.SIGTERM)
    await asyncio.sleep(grace_s)
    container.signal(signal.SIGKILL)


@asynccontextmanager
async def _lines(descriptor: int, log: Callable[[str], None]) -> AsyncIterator[asyncio.Task[None]]:
    """Hands the lines of a pipe on while it is entered; the task ends with the pipe."""
    reader = asyncio.StreamReader(limit=_LINE)
    pipe = os.fdopen(descriptor, "rb", buffering=0)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), pipe
    )
    try:
        async with asyncio.TaskGroup() as group:
            following = group.create_task(_follow(reader, log), name="lines of a container")
            yield following
            following.cancel()
    finally:
        transport.close()


async def _follow(reader: asyncio.StreamReader, log: Callable[[str], None]) -> None:
    with suppress(ValueError):  # a line longer than any log takes: the rest is dropped
        while line := await reader.readline():
            log(line.decode(errors="replace").rstrip("\r\n"))
    while await reader.read(_LINE):
        pass
