"""A simulated controller as agents and gateways see it: discovery, both doors, and channels that carry streams.

It has Jenkins' order of checks, its texts and its cookies. It knows nodes by name, and nothing of builds.
"""

import asyncio
import socket
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Final

from broker.demo.sim.channels import Channel, Tap, pour
from broker.demo.sim.doors import OLDEST, Session, by_port, by_upgrade
from broker.demo.sim.misbehaviour import Behaviour, Kind, Script, Step, end_by_close_notify
from broker.demo.sim.plans import Transport
from broker.demo.sim.streams import Traffic, controllers_seed
from broker.demo.sim.verdicts import Verdict, judge
from broker.demo.sim.wire import Wire
from broker.inbound.blocks import Malformed
from broker.inbound.dialogue import AgentHello
from broker.inbound.discovery import Discovered, Page, discovery_reply, split_target
from broker.inbound.http import HeadBuffer, RequestHead, parse_request, text_reply
from broker.inbound.identity import Identity
from broker.inbound.pinned import server_context
from broker.inbound.secret import node_secret

BOTH: Final = frozenset(Transport)
_HOST: Final = "127.0.0.1"
_BACKLOG: Final = 4096
_HANDSHAKE_S: Final = 60.0
_TAKEOVER_S: Final = 15.0
_SHOWN_KEPT: Final = 1000
Door = Callable[[Session, Script], Awaitable[None]]
_FAILURES: Final = (OSError, EOFError, Malformed, TimeoutError)


class SimController:
    """One controller on ports of its own of 127.0.0.1, while it runs."""

    def __init__(
        self,
        *,
        identity: Identity,
        transports: frozenset[Transport] = BOTH,
        behaviour: Behaviour | None = None,
        stream_seed: str = "",
        bytes_per_s: float = 0.0,
        tls: ssl.SSLContext | None = None,
        ping_s: float = 30.0,
    ) -> None:
        """Without TCP in `transports` discovery answers 404, without WebSocket its page does.

        `stream_seed`: each agent gets the stream of it and its name, see `pour`. `tls` makes its HTTP speak TLS.
        """
        self.identity = identity
        self.nodes: dict[str, str] = {}
        """Secrets by name: who may come in."""
        self.live: dict[str, Session] = {}
        self.traffic: dict[str, Traffic] = {}
        """Of each agent's last session."""
        self.sessions: Counter[str] = Counter()
        self.shown: list[AgentHello] = []
        """What agents have shown, welcome or not; the last thousand."""
        self.echoes = False
        """Whether it answers each chunk with the same in capitals."""
        self.address = (_HOST, 0)
        self.url = ""
        self.behaviour = behaviour
        self._transports = transports
        self._seed, self._bytes_per_s = stream_seed, bytes_per_s
        self._https = tls
        self._port_tls = server_context(identity)
        self._ping_s = ping_s
        self._tap = Tap()
        self._tasks: set[asyncio.Task[None]] = set()
        self._wires: set[Wire] = set()
        self._path = "/jenkins/"

    def add(self, name: str, key: bytes = b"K" * 32) -> str:
        """A node of that name; its secret."""
        return self.nodes.setdefault(name, node_secret(key, name))

    @asynccontextmanager
    async def running(self) -> AsyncIterator["SimController"]:
        """Listens; at the end all connections are gone, with a FIN."""
        with _listening() as port, _listening() as http:
            self.address = port.getsockname()
            scheme = "https" if self._https is not None else "http"
            self.url = f"{scheme}://{_HOST}:{http.getsockname()[1]}{self._path}"
            async with asyncio.TaskGroup() as group:
                for work in (
                    self._accept(group, port, self._port),
                    self._accept(group, http, self._http),
                    self._ping(group),
                ):
                    self._begin(group, work)
                try:
                    yield self
                finally:
                    for task in self._tasks:
                        task.cancel()

    def quiet(self) -> None:
        """Sends no more of the streams; what is sent arrives still."""
        self._tap.open = False

    def hashes(self) -> dict[str, tuple[str, str]]:
        """What came from and what went to each agent in its last session. Equal to the agents' once all is quiet."""
        return {name: (t.received.digest, t.sent.digest) for name, t in self.traffic.items()}

    async def disconnect(self, name: str) -> None:
        """Ends an agent's session, as when its node is deleted. KeyError, OSError."""
        channel = self.live[name].channel
        if channel is not None:
            await channel.leave()

    def cut(self) -> None:
        """Ends all connections that are open, with a FIN, as when it restarts."""
        for wire in self._wires:
            wire.end()

    def _begin(self, group: asyncio.TaskGroup, work: Coroutine[None, None, None]) -> None:
        task = group.create_task(work, name="sim:controller")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _accept(self, group: asyncio.TaskGroup, listening: socket.socket, door: Door) -> None:
        while True:
            sock, _ = await asyncio.get_running_loop().sock_accept(listening)
            self._begin(group, self._visit(Wire(sock), door))

    async def _visit(self, wire: Wire, door: Door) -> None:
        session, script = Session(wire=wire), Script(self.behaviour)
        self._wires.add(wire)
        try:
            await script.at(Step.CONNECTED, wire)
            async with asyncio.timeout(_HANDSHAKE_S):
                await door(session, script)
            if session.channel is not None:
                await self._converse(session, session.channel, script)
            else:
                await wire.finish()
        except* _FAILURES:
            pass  # as a controller: the connection is gone, and the agent will come again
        finally:
            if self.live.get(session.name) is session:
                del self.live[session.name]
            session.over.set()
            self._wires.discard(wire)
            wire.close()

    async def _port(self, session: Session, script: Script) -> None:
        await by_port(session, self._admit, script, self._port_tls)

    async def _http(self, session: Session, script: Script) -> None:
        if self._https is not None:
            await session.wire.start_tls(self._https, server=True)
        buffer = HeadBuffer()
        while (raw := buffer.feed(await session.wire.read_some())) is None:
            pass
        head = parse_request(raw)
        if split_target(head.target) == (self._path, Page.WEBSOCKET) and Transport.WEBSOCKET in self._transports:
            await by_upgrade(session, self._admit, script, head, buffer.rest)
        else:
            await session.wire.send(self._page(head))

    def _page(self, head: RequestHead) -> bytes:
        match split_target(head.target):
            case (self._path, Page.LOGIN):
                return text_reply(200, "simulated controller\n", fields=[("X-Jenkins", "simulated")])
            case (self._path, Page.DISCOVERY) if Transport.TCP in self._transports:
                host, port = self.address
                protocols = ("JNLP4-connect", "Ping")
                spki = self.identity.spki
                found = Discovered(host=host, port=port, identity=spki, protocols=protocols, minimum_version=OLDEST)
                return discovery_reply(found)
            case _:
                return text_reply(404, "Not Found\n")

    async def _admit(self, session: Session, hello: AgentHello) -> Verdict:
        self.shown.append(hello)
        del self.shown[:-_SHOWN_KEPT]
        verdict = self._verdict(hello)
        if verdict is Verdict.WELCOME:
            old = self.live.get(hello.name)
            if old is not None:
                old.wire.end()
                async with asyncio.timeout(_TAKEOVER_S):
                    await old.over.wait()
            if hello.name in self.live:
                return Verdict.CONNECTED
            self.live[hello.name], session.name = session, hello.name
        return verdict

    def _verdict(self, hello: AgentHello) -> Verdict:
        script = Script(self.behaviour)
        if script.is_(Kind.WRONG_SECRET):
            return Verdict.FORBIDDEN
        if script.is_(Kind.DUPLICATE) or script.is_(Kind.REFUSES):
            return Verdict.CONNECTED
        live = self.live.get(hello.name)
        return judge(
            known=self.nodes.get(hello.name),
            shown=hello.secret,
            live_cookie=None if live is None else live.cookie,
            cookie=hello.cookie,
        )

    async def _converse(self, session: Session, channel: Channel, script: Script) -> None:
        traffic = self.traffic[session.name] = session.traffic
        self.sessions[session.name] += 1
        await script.at(Step.ACCEPTED, session.wire)
        async with asyncio.TaskGroup() as group:
            asides = [group.create_task(aside, name=f"sim:{session.name}") for aside in self._asides(session, script)]
            while data := await channel.receive():
                for piece in data:
                    traffic.received.add(piece)
                if self.echoes:
                    answers = [piece.upper() for piece in data]
                    await channel.send(*answers)
                    for answer in answers:
                        traffic.sent.add(answer)
            for aside in asides:
                aside.cancel()

    def _asides(self, session: Session, script: Script) -> Iterator[Coroutine[None, None, None]]:
        if self._seed and session.channel is not None:
            seed = controllers_seed(self._seed, session.name)
            yield pour(session.channel, seed, session.traffic.sent, self._tap, self._bytes_per_s)
        if script.is_(Kind.CLOSE_NOTIFY):
            yield end_by_close_notify(session.wire, script.pause_s)

    async def _ping(self, group: asyncio.TaskGroup) -> None:
        while True:
            await asyncio.sleep(self._ping_s)
            for session in list(self.live.values()):
                if session.channel is not None and not session.wire.busy:
                    self._begin(group, _ping_one(session.channel))


async def _ping_one(channel: Channel) -> None:
    with suppress(OSError):  # whoever receives says what has ended it
        await channel.ping()


@contextmanager
def _listening() -> Iterator[socket.socket]:
    with socket.create_server((_HOST, 0), backlog=_BACKLOG) as sock:
        sock.setblocking(False)
        yield sock
