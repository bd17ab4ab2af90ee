"""What a side says together with its last word of the handshake arrives, on every way through the gateway."""

import asyncio
import base64
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from broker.demo.sim.channels import Channel, TcpChannel, WebSocketChannel
from broker.demo.sim.controller import SimController
from broker.demo.sim.plans import Transport
from broker.demo.sim.wire import Wire
from broker.gateway.facts import Facts
from broker.inbound.blocks import BlockReader, block
from broker.inbound.capability import MAX_CAPABILITY, USUAL
from broker.inbound.chunks import chunk
from broker.inbound.dialogue import Accepted4, ClientDialogue, ServerDialogue
from broker.inbound.frames import BINARY, frame
from broker.inbound.http import HeadBuffer, parse_request
from broker.inbound.pinned import client_context, server_context
from broker.inbound.preamble import ACK, Protocol, request
from broker.inbound.websocket import new_cookie, own_reply
from tests.integration.gateway.bridge import IDENTITY, Bridge, bridge
from tests.integration.gateway.test_bridges import BRIDGES
from tests.integration.gateway.world import upgrade

OF_AGENT, OF_CONTROLLER = b"first of the agent", b"first of the controller"
Talk = Callable[[Wire], Awaitable[Channel]]


@dataclass
class Eager:
    """A controller that says its first chunk together with its yes."""

    talk: Talk
    port: int = 0
    channels: list[Channel] = field(default_factory=list)

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Eager"]:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            listening.setblocking(False)
            self.port = listening.getsockname()[1]
            async with asyncio.TaskGroup() as group:
                task = group.create_task(self._serve(listening), name="eager")
                try:
                    yield self
                finally:
                    task.cancel()

    async def _serve(self, listening: socket.socket) -> None:
        sock, _ = await asyncio.get_running_loop().sock_accept(listening)
        self.channels.append(await self.talk(Wire(sock)))


async def controller_by_port(wire: Wire) -> Channel:
    await exactly(wire, len(request(Protocol.JNLP4) + ACK))
    await wire.send(ACK)
    await wire.start_tls(server_context(IDENTITY), server=True)
    dialogue = ServerDialogue()
    while dialogue.feed(await wire.read_some()) is None:
        pass
    await wire.send(dialogue.accept(new_cookie()) + block(USUAL.encode()) + chunk(OF_CONTROLLER))
    while not dialogue.confirmed(await wire.read_some()):
        pass
    return TcpChannel(wire, await after_capability(wire, dialogue.surplus))


async def controller_by_websocket(wire: Wire) -> Channel:
    head, rest = await read_head(wire)
    key = parse_request(head).fields.one("Sec-WebSocket-Key") or ""
    reply = own_reply(key, capability=USUAL, cookie=new_cookie())
    await wire.send(reply + frame(BINARY, chunk(OF_CONTROLLER), None))
    return WebSocketChannel(wire, rest, client=False)


async def agent_by_port(there: Bridge, secret: str) -> Channel:
    wire = await Wire.dial(*there.port)
    await wire.send(request(Protocol.JNLP4) + ACK)
    await exactly(wire, len(ACK))
    await wire.start_tls(client_context(), server=False)
    dialogue = ClientDialogue()
    await wire.send(dialogue.start("a1", secret, ""))
    answer = None
    while answer is None:
        answer = dialogue.feed(await wire.read_some())
    assert isinstance(answer, Accepted4)
    await wire.send(dialogue.pending() + block(USUAL.encode()) + chunk(OF_AGENT))
    return TcpChannel(wire, await after_capability(wire, answer.surplus))


async def agent_by_websocket(there: Bridge, secret: str) -> Channel:
    host, port = there.gateway.address.rsplit(":", 1)
    wire = await Wire.dial(host, int(port))
    await wire.send(upgrade("a1", secret) + frame(BINARY, chunk(OF_AGENT), b"mask"))
    head, rest = await read_head(wire)
    assert head.startswith(b"HTTP/1.1 101")
    return WebSocketChannel(wire, rest, client=True)


async def exactly(wire: Wire, count: int) -> None:
    while count:
        count -= len(await wire.read_some(count))


async def read_head(wire: Wire) -> tuple[bytes, bytes]:
    buffer = HeadBuffer()
    while (head := buffer.feed(await wire.read_some())) is None:
        pass
    return head, buffer.rest


async def after_capability(wire: Wire, data: bytes) -> bytes:
    blocks = BlockReader(MAX_CAPABILITY)
    while blocks.feed(data) is None:
        data = await wire.read_some()
    return bytes(blocks.rest)


@BRIDGES
async def test_what_comes_with_the_last_word_of_a_handshake_arrives(
    agents: Transport, controllers: Transport, tmp_path: Path
) -> None:
    by_port = controllers is Transport.TCP
    eager = Eager(controller_by_port if by_port else controller_by_websocket)
    async with eager.running(), bridge(tmp_path, agents, controllers, SimController(identity=IDENTITY)) as there:
        there.minted.clear()
        there.plan("a1")
        urls = {"main": f"http://127.0.0.1:{eager.port}/jenkins/"}
        tcp = {"main": base64.b64encode(IDENTITY.spki).decode()} if by_port else {}
        facts = {"main": Facts(host="127.0.0.1", port=eager.port, fixed=True)}
        there.gateway._upstream.replace(urls, {"/c/main/": "main"}, tcp, facts)
        knock = agent_by_port if agents is Transport.TCP else agent_by_websocket
        async with asyncio.timeout(20):
            agent = await knock(there, there.minted["a1"])
            assert await agent.receive() == [OF_CONTROLLER]
            [controller] = eager.channels
            assert await controller.receive() == [OF_AGENT]
        agent.wire.close()
        controller.wire.close()
