"""A controller, a control plane and agents around a real gateway, all over real sockets."""

import asyncio
import base64
import os
import secrets
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from broker.clock import SystemClock
from broker.domain.ids import AgentId, HostId
from broker.domain.reason import Reason
from broker.gateway.control import ControlServer
from broker.gateway.process import Gateway
from broker.gateway.settings import GatewaySettings, Limits
from broker.inbound.capability import USUAL
from broker.inbound.discovery import MINIMUM_VERSION
from broker.inbound.headers import NODE_NAME, SECRET_KEY
from broker.inbound.http import HeadBuffer, RequestHead, ResponseHead, parse_request, parse_response, render, text_reply
from broker.inbound.websocket import CAPABILITY, COOKIE, accept_value
from broker.ports import Admitted, Knock, Refused

QUICK = Limits(head_s=1.0, admit_s=1.0, dial_s=2.0, unknown_name_s=1.5, unknown_name_every_s=0.05)


async def read_head(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    buffer = HeadBuffer()
    while True:
        data = await reader.read(4096)
        if not data:
            raise EOFError
        head = buffer.feed(data)
        if head is not None:
            return head, buffer.rest


@dataclass
class FakeController:
    """Answers `wsagents/` as Jenkins does, then echoes what it gets in capitals."""

    nodes: dict[str, str] = field(default_factory=dict)
    live: dict[str, str] = field(default_factory=dict)
    requests: list[RequestHead] = field(default_factory=list)
    greeting: bytes = b""
    status: int = 0
    pauses: asyncio.Event = field(default_factory=asyncio.Event)
    writers: list[asyncio.StreamWriter] = field(default_factory=list)
    received: bytearray = field(default_factory=bytearray)
    deaf: str = ""
    """The agent to which it does not listen until `hears` is set."""
    hears: asyncio.Event = field(default_factory=asyncio.Event)
    port: int = 0
    tls: ssl.SSLContext | None = None

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}/jenkins/"

    @asynccontextmanager
    async def running(self) -> AsyncIterator["FakeController"]:
        self.pauses.set()
        server = await asyncio.start_server(self._connected, "127.0.0.1", self.port, ssl=self.tls)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for writer in self.writers:
                with suppress(AttributeError):  # Python 3.11.2, of a TLS transport that is no more
                    writer.transport.abort()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        try:
            raw, rest = await read_head(reader)
            request = parse_request(raw)
            self.requests.append(request)
            await self.pauses.wait()
            reply, name = self._reply(request)
            writer.write(reply)
            if not name:
                writer.close()
                return
            await self._echo(reader, writer, rest, name)
            if self.live.get(name) == request.fields.one(COOKIE):
                del self.live[name]
        except (OSError, EOFError):
            pass
        finally:
            writer.close()

    async def _echo(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, data: bytes, name: str) -> None:
        if name == self.deaf:
            await self.hears.wait()
        while True:
            self.received += data
            if name != self.deaf:
                writer.write(data.upper())
                await writer.drain()
            data = await reader.read(65536)
            if not data:
                return

    def _reply(self, request: RequestHead) -> tuple[bytes, str]:
        if request.target == "/jenkins/jnlpJars/agent.jar":
            return text_reply(200, "jar " * 50_000, media_type="application/java-archive"), ""
        name, secret = request.fields.one(NODE_NAME) or "", request.fields.one(SECRET_KEY)
        cookie = request.fields.one(COOKIE)
        if self.status:
            return text_reply(self.status, "<html><body>busy with other things</body></html>", phrase="Made Up"), ""
        if name not in self.nodes:
            return text_reply(400, "<html>\n<p>no such agent</p></html>"), ""
        if self.nodes[name] != secret:
            return text_reply(403, "no"), ""
        if name in self.live and self.live[name] != cookie:
            return text_reply(400, f"{name} is already connected to this controller."), ""
        self.live[name] = cookie or secrets.token_hex(32)
        fields = [
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Accept", accept_value(request.fields.one("Sec-WebSocket-Key") or "")),
            (CAPABILITY, USUAL),
            (MINIMUM_VERSION, "3176.v207ec082a_8c0"),
            (COOKIE, self.live[name]),
        ]
        return render("HTTP/1.1 101 Switching Protocols", fields) + self.greeting, name


@dataclass
class FakeDoorkeeper:
    """Lets in whom it was told of."""

    agents: dict[str, tuple[str, Admitted]] = field(default_factory=dict)
    knocks: list[Knock] = field(default_factory=list)
    refusal: Refused | None = None
    fault: Exception | None = None
    decides: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.decides.set()

    async def admit(self, knock: Knock, until: float = 0.0) -> Admitted | Refused:
        self.knocks.append(knock)
        await self.decides.wait()
        if self.fault is not None:
            raise self.fault
        if self.refusal is not None:
            return self.refusal
        minted, admitted = self.agents.get(knock.name, ("", None))
        if admitted is None or minted != knock.secret:
            return Refused(reason=Reason.HANDSHAKE_REJECTED, message=f"{knock.name} is not expected with this secret")
        return admitted


@dataclass
class Nudges:
    agents: list[AgentId] = field(default_factory=list)

    def agent(self, agent_id: AgentId) -> None:
        self.agents.append(agent_id)

    def placement(self) -> None:
        pass

    def host(self, host_id: HostId) -> None:
        pass

    def hosts(self) -> None:
        pass


@dataclass
class Connection:
    """What a simulated agent has after its upgrade, or the refusal in its place."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    head: ResponseHead
    rest: bytes

    @property
    def cookie(self) -> str:
        return self.head.fields.one(COOKIE) or ""

    async def say(self, data: bytes) -> bytes:
        self.writer.write(data)
        return await self.hear(len(data))

    async def hear(self, size: int) -> bytes:
        while len(self.rest) < size:
            data = await asyncio.wait_for(self.reader.read(65536), 5)
            if not data:
                raise EOFError(self.rest)
            self.rest += data
        heard, self.rest = self.rest[:size], self.rest[size:]
        return heard

    async def body(self) -> str:
        return (self.rest + await asyncio.wait_for(self.reader.read(), 5)).decode()

    async def ended(self) -> bool:
        """Waits until the other side has closed."""
        try:
            return await asyncio.wait_for(self.reader.read(), 5) is not None
        except ConnectionError:
            return True


class World:
    """A gateway with its surroundings. `mint` makes an agent that may come in."""

    def __init__(self, directory: Path, limits: Limits = QUICK) -> None:
        self.controller = FakeController()
        self.doorkeeper = FakeDoorkeeper()
        self.nudges = Nudges()
        self.socket = directory / "control" / "gateway.sock"
        self.limits = limits
        self.control = self.new_control()
        self.gateway: Gateway | None = None
        self.running_gateway: asyncio.Task[None] | None = None
        self.connections: list[Connection] = []

    def new_control(self) -> ControlServer:
        return ControlServer(self.socket, self.doorkeeper, self.nudges, SystemClock())

    @asynccontextmanager
    async def running(self, **changes: object) -> AsyncIterator["World"]:
        async with self.controller.running(), asyncio.timeout(60):
            await self.control.start()
            settings = GatewaySettings(
                control=self.socket, controllers={"main": self.controller.url}, paths={"/c/main/": "main"}
            )
            settings = replace(settings, limits=self.limits, **changes)  # type: ignore[arg-type]
            self.gateway = Gateway(settings)
            async with asyncio.TaskGroup() as group:
                running = self.running_gateway = group.create_task(self.gateway.run())
                await until(self.control.known)
                try:
                    yield self
                finally:
                    for connection in self.connections:
                        connection.writer.transport.abort()
                    running.cancel()
                    await self.control.close()

    def mint(self, name: str = "a1", *, attempt: int = 1, known: bool = True) -> str:
        minted, real = secrets.token_hex(32), secrets.token_hex(32)
        admitted = Admitted(agent_id=AgentId(f"id-{name}"), attempt=attempt, secret=real)
        self.doorkeeper.agents[name] = (minted, admitted)
        if known:
            self.controller.nodes[name] = real
        return minted

    @property
    def address(self) -> tuple[str, int]:
        assert self.gateway is not None
        host, port = self.gateway.address.rsplit(":", 1)
        return host, int(port)

    async def connect(self, raw: bytes, tail: bytes = b"") -> Connection:
        reader, writer = await asyncio.open_connection(*self.address)
        writer.write(raw + tail)
        head, rest = await asyncio.wait_for(read_head(reader), 10)
        connection = Connection(reader, writer, parse_response(head), rest)
        self.connections.append(connection)
        return connection

    async def knock(self, name: str, secret: str, cookie: str = "", tail: bytes = b"") -> Connection:
        return await self.connect(upgrade(name, secret, cookie), tail)

    async def get(self, target: str) -> Connection:
        return await self.connect(f"GET {target} HTTP/1.1\r\nHost: gw\r\n\r\n".encode())


def upgrade(name: str, secret: str, cookie: str = "", changes: Mapping[str, str | None] | None = None) -> bytes:
    fields: dict[str, str | None] = {
        "Host": "gw",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Origin": "http://gw",
        "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
        "Sec-WebSocket-Version": "13",
        NODE_NAME: name,
        SECRET_KEY: secret,
        CAPABILITY: USUAL,
        COOKIE: cookie or None,
    }
    fields |= changes or {}
    present = [(key, value) for key, value in fields.items() if value is not None]
    return render("GET /c/main/wsagents/ HTTP/1.1", present)


async def until(condition: Callable[[], object], seconds: float = 10) -> None:
    """Waits, within bounds, for something that another task brings about."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - the other task is the code under test and has no event for tests
            await asyncio.sleep(0.01)
