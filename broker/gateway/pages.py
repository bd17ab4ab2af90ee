"""What a gateway answers under which path to agents."""

import asyncio

from broker.gateway.door_ws import WebSocketDoor
from broker.gateway.port import Discovery
from broker.gateway.settings import Limits
from broker.gateway.upstream import Upstream
from broker.gateway.word import Declined
from broker.inbound.descriptor import Descriptor
from broker.inbound.discovery import Page, split_target, websocket_only_reply
from broker.inbound.exchange import reply
from broker.inbound.http import RequestHead, render, text_reply

_NOWHERE = "agents connect under the path of their controller here; this is not a page of it, or of no controller\n"


class AgentPages:
    """The pages under each controller's path."""

    def __init__(self, limits: Limits, upstream: Upstream, door: WebSocketDoor, discovery: Discovery | None) -> None:
        """Uses them; owns none. Without `discovery` agents are told that there is no TCP port."""
        self._limits = limits
        self._upstream = upstream
        self._door = door
        self._discovery = discovery
        self._downloads = asyncio.Semaphore(limits.downloads)

    async def serve(self, connection: Descriptor, request: RequestHead) -> bool:
        """Answers one request; True if the connection is a session now, which closes it."""
        path, page = split_target(request.target) or ("", None)
        controller = self._upstream.under(path)
        if page is None or controller is None:
            await reply(connection, text_reply(404, _NOWHERE), self._limits.reply_s)
        elif request.method != "GET":
            await reply(connection, text_reply(405, "only GET is answered here\n"), self._limits.reply_s)
        else:
            match page:
                case Page.WEBSOCKET:
                    return await self._door.enter(connection, controller, request)
                case Page.AGENT_JAR:
                    await self._download(connection, controller)
                case Page.DISCOVERY:
                    await reply(
                        connection, await self._discovered(connection, controller, request), self._limits.reply_s
                    )
                case Page.LOGIN:
                    await reply(connection, text_reply(200, "agents may come in\n"), self._limits.reply_s)
        return False

    async def _discovered(self, connection: Descriptor, controller: str, request: RequestHead) -> bytes:
        if self._discovery is None:
            return websocket_only_reply()
        waits = "wait=0" not in request.fields.all("Prefer")  # RFC 7240
        return await self._discovery.reply(connection, controller, waits=waits)

    async def _download(self, connection: Descriptor, controller: str) -> None:
        """A few at a time; the others wait their turn for as long as an agent is held at the door."""
        try:
            async with asyncio.timeout(self._limits.admit_s):
                await self._downloads.acquire()
        except TimeoutError:
            text = "too many want the agent.jar: try again\n"
            await reply(connection, text_reply(503, text), self._limits.reply_s)
            return
        try:
            async with asyncio.timeout(self._limits.download_s):
                await self._agent_jar(connection, controller)
        finally:
            self._downloads.release()

    async def _agent_jar(self, connection: Descriptor, controller: str) -> None:
        """Streams the controller's own agent.jar: never an older one than it wants."""
        got = await self._upstream.get(controller, Page.AGENT_JAR)
        if isinstance(got, Declined):
            text = f"{controller} is away, so its agent.jar cannot be had: {got.message}\n"
            await reply(connection, text_reply(503, text), self._limits.reply_s)
            return
        source, head = got
        try:
            if head.status != 200:
                text = f"{controller} answered {head.status} for its agent.jar\n"
                await reply(connection, text_reply(503, text), self._limits.reply_s)
                return
            passed = ("Content-Type", "Content-Length", "Transfer-Encoding", "ETag", "Last-Modified")
            fields = [(name, value) for name in passed for value in head.fields.all(name)]
            await self._copy(render("HTTP/1.1 200 OK", [*fields, ("Connection", "close")]), source, connection)
        finally:
            source.close()

    async def _copy(self, head: bytes, source: Descriptor, sink: Descriptor) -> None:
        loop, idle_s, data = asyncio.get_running_loop(), self._limits.download_idle_s, head
        while data:
            await sink.send(data, loop.time() + idle_s)
            data = await source.read_some(loop.time() + idle_s)
            await asyncio.sleep(0)  # two quick ends must not hold the loop
        await reply(sink, b"", self._limits.reply_s)
