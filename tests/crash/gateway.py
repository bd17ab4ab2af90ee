"""A gateway that relays nothing: it asks for agents, holds their sessions, and lives on when the broker dies."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from broker.errors import GatewayError
from broker.gateway.link import (
    Admission,
    Admit,
    Closed,
    End,
    Hello,
    LinkedSession,
    Opened,
    Refusal,
    encode,
    from_control,
)
from broker.gateway.sockets import process_started


class StandIn:
    """The gateway's end of the control link, by hand."""

    def __init__(self, socket: Path, controller: str) -> None:
        """Nobody is connected, and the link is down."""
        self._socket = socket
        self._controller = controller
        self._writer: asyncio.StreamWriter | None = None
        self._asked: dict[str, str] = {}
        self.sessions: dict[str, LinkedSession] = {}
        """By the agent's id."""

    @asynccontextmanager
    async def running(self) -> AsyncIterator["StandIn"]:
        """Keeps the link up within the block, as far as a broker listens."""
        async with asyncio.TaskGroup() as group:
            task = group.create_task(self._run(), name="gateway")
            try:
                yield self
            finally:
                task.cancel()

    def knock(self, name: str, secret: str) -> None:
        """An agent asks to come in; `sessions` tells when it is in."""
        question = Admit(id=f"{name}-{os.urandom(8).hex()}", controller=self._controller, name=name, secret=secret)
        self._asked[question.id] = name
        self._send(question)

    def lose(self, agent_id: str) -> None:
        """The agent is no more."""
        if (session := self.sessions.pop(agent_id, None)) is not None:
            over = Closed(agent_id=agent_id, session=session.id, why="agent", received_bytes=0, sent_bytes=0)
            self._send(over)

    async def _run(self) -> None:
        while True:
            with suppress(OSError, GatewayError, ValueError):
                reader, self._writer = await asyncio.open_unix_connection(str(self._socket))
                pid = os.getpid()
                self._send(
                    Hello(
                        gateway="stand-in",
                        pid=pid,
                        started=process_started(pid) or 0,
                        version="test",
                        listen="-",
                        sessions=tuple(self.sessions.values()),
                    )
                )
                while line := await reader.readline():
                    self._take(from_control(line))
            if self._writer is not None:
                self._writer.transport.abort()
                self._writer = None
            await asyncio.sleep(0.02)

    def _take(self, message: object) -> None:
        match message:
            case Admission():
                self._open(message)
            case Refusal():
                self._asked.pop(message.id, None)
            case End():
                self.lose(message.agent_id)

    def _open(self, admission: Admission) -> None:
        session = LinkedSession(
            id=admission.id,
            agent_id=admission.agent_id,
            controller=self._controller,
            name=self._asked.pop(admission.id),
            attempt=admission.attempt,
            peer="127.0.0.1:1",
            since=datetime.now(UTC),
            cookie="cookie",
            controller_cookie="cookie",
        )
        self.sessions[admission.agent_id] = session
        self._send(Opened(id=admission.id, session=session))

    def _send(self, message: Hello | Admit | Opened | Closed) -> None:
        if self._writer is not None:
            self._writer.write(encode(message))
