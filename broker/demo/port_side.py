"""The TCP port of a simulated controller, where agents speak JNLP4-connect; its door is `broker.demo.sim.doors`."""

import asyncio
import socket
from pathlib import Path
from typing import Final

from broker.demo.http_side import HttpSide
from broker.demo.sim.channels import Channel
from broker.demo.sim.doors import Session, by_port
from broker.demo.sim.misbehaviour import Script
from broker.demo.sim.verdicts import Verdict
from broker.demo.sim.wire import Wire
from broker.gateway.identity import load_identity
from broker.inbound.blocks import Malformed
from broker.inbound.dialogue import AgentHello
from broker.inbound.pinned import server_context

_HANDSHAKE_S: Final = 60.0
_BACKLOG: Final = 1024


class PortLine:
    """A connection as the rest of the controller sees it."""

    def __init__(self, channel: Channel) -> None:
        """Of an agent that is in."""
        self._channel = channel

    async def send_bytes(self, data: bytes) -> None:
        """Sends a chunk. Raises OSError."""
        await self._channel.wire.send(data)

    async def close(self) -> None:
        """Ends it with a FIN. Raises OSError."""
        await self._channel.leave()


class PortSide:
    """Serves agents on a port of 127.0.0.1; who they are and what they do is the HTTP side's."""

    def __init__(self, side: HttpSide, port: int, identity_file: Path) -> None:
        """The identity is made where its file is missing, so that a controller has the same one after a restart."""
        self._side = side
        self.port = port
        self.identity = load_identity(identity_file).spki
        self._tls = server_context(load_identity(identity_file))

    async def run(self) -> None:
        """Serves until it is cancelled. Raises OSError if the port cannot be had."""
        with socket.create_server(("127.0.0.1", self.port), backlog=_BACKLOG) as listening:
            listening.setblocking(False)
            async with asyncio.TaskGroup() as group:
                while True:
                    sock, _ = await asyncio.get_running_loop().sock_accept(listening)
                    group.create_task(self._visit(Wire(sock)), name="port side")

    async def _visit(self, wire: Wire) -> None:
        session = Session(wire=wire)
        try:
            async with asyncio.timeout(_HANDSHAKE_S):
                await by_port(session, self._admit, Script(None), self._tls)
            if session.channel is None:
                await wire.finish()
            else:
                await self._converse(session.name, session.cookie, session.channel)
        except (OSError, EOFError, Malformed):
            pass  # the agent will come again
        finally:
            wire.close()

    async def _admit(self, session: Session, hello: AgentHello) -> Verdict:
        session.name = hello.name
        return self._side.admit(hello.name, hello.secret, hello.cookie)

    async def _converse(self, name: str, cookie: str, channel: Channel) -> None:
        line = PortLine(channel)
        if not self._side.join(name, line, cookie):
            return
        try:
            while data := await channel.receive():
                for piece in data:
                    self._side.take(name, piece.decode().split())
        finally:
            self._side.part(name, line)
