"""The command line as a process, asking an API that runs in this one."""

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

_END_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Its output as one JSON text."""
        return json.loads(self.out)


async def start(*arguments: str, port: int | None = None, **environment: str) -> Process:
    """Starts a command; it asks the broker on `port`."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("AGENTBROKER_")}
    if port is not None:
        clean["AGENTBROKER_URL"] = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "broker", *arguments]
    return await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, stdout=PIPE, stderr=PIPE, env={**clean, **environment}
    )


async def run(*arguments: str, port: int | None = None, **environment: str) -> Done:
    """Runs a command without a terminal to its end."""
    process = await start(*arguments, port=port, **environment)
    try:
        async with asyncio.timeout(_END_S):
            out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode is not None
    return Done(code=process.returncode, out=out.decode(), err=err.decode())


@asynccontextmanager
async def running(*arguments: str, port: int, **environment: str) -> AsyncIterator[Process]:
    """A command that goes on while the block runs."""
    process = await start(*arguments, port=port, **environment)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def line(process: Process) -> str:
    """The next line of its output."""
    assert process.stdout is not None
    async with asyncio.timeout(_END_S):
        return (await process.stdout.readline()).decode().rstrip("\n")


async def told(process: Process) -> str:
    """Fails with what a command said that has ended too early."""
    assert process.stderr is not None
    raise AssertionError((await process.stderr.read()).decode())


class Cable:
    """What lies between a command and the broker, and can be cut."""

    def __init__(self) -> None:
        self.port = 0
        self._writers: list[asyncio.StreamWriter] = []

    def cut(self) -> None:
        """Ends every connection at once; the next ones are let through."""
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def connect(self, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", port)
        self._writers += [writer, back]
        async with asyncio.TaskGroup() as group:
            group.create_task(_copy(reader, back), name="cable:there")
            group.create_task(_copy(there, writer), name="cable:back")


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.transport.abort() if writer.is_closing() else writer.close()


@asynccontextmanager
async def cable(port: int) -> AsyncIterator[Cable]:
    """A cable to the broker on `port`."""
    made = Cable()
    server = await asyncio.start_server(lambda r, w: made.connect(port, r, w), "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        made.cut()
        server.close()
