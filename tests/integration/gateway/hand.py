"""A gateway's end of the link, by hand, and a process that a test may kill."""

import asyncio
import sys
from asyncio.subprocess import Process
from pathlib import Path

from broker.domain.ids import AgentId
from broker.gateway.link import Hello, LinkedSession, encode, from_control
from broker.gateway.sockets import process_started, this_host, unix_address


class HandGateway:
    """Says hello as a process would; without a pid as one that nobody here can watch."""

    def __init__(self, path: Path, name: str, pid: int | None = None) -> None:
        self.path, self.name, self.pid = path, name, pid

    async def link(self, *sessions: LinkedSession) -> None:
        with unix_address(self.path) as address:
            self.reader, self.writer = await asyncio.open_unix_connection(address)
        self.writer.write(encode(self.hello(*sessions)))

    def hello(self, *sessions: LinkedSession) -> Hello:
        if self.pid is None:
            where = {"pid": 4_000_000, "started": 1, "host": "another machine"}
        else:
            where = {"pid": self.pid, "started": process_started(self.pid), "host": this_host()}
        return Hello.model_validate(
            {"gateway": self.name, "version": "0", "listen": "", "sessions": sessions, **where}, from_attributes=True
        )

    async def hear(self) -> object:
        return from_control(await asyncio.wait_for(self.reader.readline(), 5))


async def a_process() -> Process:
    return await asyncio.create_subprocess_exec(sys.executable, "-c", "import time; time.sleep(60)")


def linked(session_id: str, agent: str = "a1", second: int = 0) -> LinkedSession:
    return LinkedSession.model_validate(
        {
            "id": session_id,
            "agent_id": f"id-{agent}",
            "controller": "main",
            "name": agent,
            "attempt": 1,
            "peer": "127.0.0.1:9",
            "since": f"2026-01-01T00:00:{second:02}Z",
            "cookie": "aa" * 32,
            "controller_cookie": "bb" * 32,
        }
    )


class Remembered:
    """A `Memory` that outlives control planes in a test."""

    def __init__(self) -> None:
        self.text: str | None = None
        self.fault: Exception | None = None

    async def recall(self) -> str | None:
        return self.text

    async def remember(self, text: str) -> None:
        if self.fault is not None:
            raise self.fault
        self.text = text


class RememberedCookies:
    """`Cookies` that outlive control planes in a test."""

    def __init__(self) -> None:
        self.by_agent: dict[str, str] = {}
        self.fault: Exception | None = None

    async def keep(self, agent_id: AgentId, cookie: str) -> None:
        if self.fault is not None:
            raise self.fault
        self.by_agent[agent_id] = cookie

    async def kept(self, agent_id: AgentId) -> str:
        return self.by_agent.get(agent_id, "")
