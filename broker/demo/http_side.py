"""What a simulated controller serves over HTTP: the agents' door as Jenkins has it, and a little API for the demo.

The door has Jenkins' own order of checks and its texts (`jenkins.agents.WebSocketAgents`, `DefaultJnlpSlaveReceiver`).
Without a TCP port (`broker.demo.port_side`) discovery answers 404, as a controller without that port does.
`/computer/api/json` and `/queue/api/json` have Jenkins' form; `/demo/builds` is ours: POST {"label", "seconds",
"count"} queues, GET lists; POST {"number"} to `/demo/builds/cancel` takes one out of the queue.
"""

import asyncio
import base64
import contextlib
import secrets
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from aiohttp import WSMsgType, web

from broker.demo.model import Controller
from broker.demo.records import Build, Node
from broker.demo.sim.verdicts import Verdict, judge, refusal_by_http
from broker.inbound.capability import USUAL
from broker.inbound.chunks import chunk
from broker.inbound.secret import node_secret

_HEADERS = ("Node-Name", "Secret-Key", "X-Remoting-Capability")
_JENKINS = {"X-Jenkins": "simulated"}


@runtime_checkable
class Line(Protocol):
    """The connection of an agent that is in. Both raise OSError."""

    async def send_bytes(self, data: bytes) -> None:
        """Sends a chunk."""
        ...

    async def close(self) -> object:
        """Ends it."""
        ...


class HttpSide:
    """The web server of one simulated controller."""

    def __init__(
        self, controller: Controller, *, secret_key: bytes, agent_jar: Path | None, changed: Callable[[], None]
    ) -> None:
        """`changed` is called after every change that this side makes to the controller's state."""
        self._controller, self._secret_key, self._agent_jar = controller, secret_key, agent_jar
        self._changed = changed
        self._wake = asyncio.Event()
        self.port_told: tuple[int, bytes] | None = None
        """The TCP port for agents and the key of it; None for none."""

    def application(self) -> web.Application:
        """What to serve; `run` has to run beside it."""
        app = web.Application()
        app.add_routes(
            [
                web.get("/login", self._login),
                web.get("/tcpSlaveAgentListener/", self._discovery),
                web.get("/jnlpJars/agent.jar", self._jar),
                web.get("/wsagents/", self._agent),
                web.get("/computer/api/json", self._computers),
                web.get("/queue/api/json", self._queue),
                web.get("/demo/builds", self._builds),
                web.post("/demo/builds", self._enqueue),
                web.post("/demo/builds/cancel", self._cancel),
            ]
        )
        return app

    async def run(self) -> None:
        """Starts builds and closes channels that are to end, until it is cancelled."""
        while True:
            self._wake.clear()
            for node, build in self._controller.start_builds():
                await self._start(node, build)
            while self._controller.to_close:
                await _end(self._controller.to_close.pop())
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.2):
                    await self._wake.wait()

    async def _start(self, node: Node, build: Build) -> None:
        assert isinstance(node.channel, Line)
        self._changed()
        try:
            await node.channel.send_bytes(chunk(f"run {build.number} {build.seconds:g}".encode()))
        except OSError:
            self._controller.disconnected(node.name, node.channel)

    async def _agent(self, request: web.Request) -> web.StreamResponse:
        name, secret, capability = (request.headers.get(header, "") for header in _HEADERS)
        if not (name and secret and capability):
            raise web.HTTPBadRequest(text="This endpoint is only for use from agent.jar in WebSocket mode")
        cookie = request.headers.get("Connection-Cookie", "")
        verdict = self.admit(name, secret, cookie)
        if verdict is not Verdict.WELCOME:
            status, text = refusal_by_http(verdict, name)
            raise web.HTTPForbidden(text=text) if status == 403 else web.HTTPBadRequest(text=text)
        socket = web.WebSocketResponse(heartbeat=15, compress=False, max_msg_size=65536)
        socket.headers["X-Remoting-Capability"] = USUAL
        socket.headers["Connection-Cookie"] = cookie = cookie or secrets.token_hex(32)
        if request.headers.get("Upgrade", "").lower() != "websocket":
            raise web.HTTPBadRequest(text="only WS connections accepted here", headers=socket.headers)
        await socket.prepare(request)
        await self._converse(name, socket, cookie)
        return socket

    async def _converse(self, name: str, socket: web.WebSocketResponse, cookie: str) -> None:
        if not self.join(name, socket, cookie):
            await socket.close()
            return
        try:
            async for message in socket:
                if message.type is WSMsgType.BINARY:
                    self.take(name, message.data[2:].decode().split())
        finally:
            self.part(name, socket)

    def admit(self, name: str, secret: str, cookie: str) -> Verdict:
        """Judges an agent. Where it is welcome, the connection ends that it had before."""
        node = self._controller.nodes.get(name)
        verdict = judge(
            known=None if node is None else node_secret(self._secret_key, name),
            shown=secret,
            live_cookie=None if node is None or node.channel is None else node.cookie,
            cookie=cookie,
        )
        if verdict is Verdict.WELCOME and node is not None and node.channel is not None:
            self._controller.to_close.append(node.channel)
            self._controller.disconnected(name, node.channel)
        return verdict

    def join(self, name: str, line: Line, cookie: str) -> bool:
        """An agent is in; False if its node was removed while it shook hands."""
        if name not in self._controller.nodes:
            return False
        self._controller.connected(name, line, cookie)
        self._tell()
        return True

    def part(self, name: str, line: Line) -> None:
        """An agent's connection is over."""
        self._controller.disconnected(name, line)
        self._tell()

    def take(self, name: str, words: list[str]) -> None:
        """What an agent says."""
        if len(words) == 2 and words[0] == "done":
            self._controller.done(name, int(words[1]))
            self._tell()

    def _tell(self) -> None:
        self._wake.set()
        self._changed()

    async def _login(self, request: web.Request) -> web.Response:
        return web.Response(text="simulated controller", headers=_JENKINS)

    async def _discovery(self, request: web.Request) -> web.Response:
        if self.port_told is None:
            raise web.HTTPNotFound(text="the TCP port for agents is disabled")
        port, identity = self.port_told
        told = {"X-Jenkins-JNLP-Port": str(port), "X-Instance-Identity": base64.b64encode(identity).decode()}
        return web.Response(text="Jenkins", headers={**_JENKINS, **told, "X-Jenkins-Agent-Protocols": "JNLP4-connect"})

    async def _jar(self, request: web.Request) -> web.StreamResponse:
        if self._agent_jar is None:
            raise web.HTTPNotFound(text="a simulated controller has no agent.jar")
        return web.FileResponse(self._agent_jar)

    async def _computers(self, request: web.Request) -> web.Response:
        nodes = self._controller.nodes.values()
        busy = sum(node.build is not None for node in nodes)
        return web.json_response(
            {"busyExecutors": busy, "totalExecutors": len(nodes), "computer": [_computer(node) for node in nodes]},
            headers=_JENKINS,
        )

    async def _queue(self, request: web.Request) -> web.Response:
        items = [
            {
                "id": build.number,
                "inQueueSince": int(build.queued_at * 1000),
                "why": self._controller.refusal_of(build)
                or f"Waiting for next available executor on {build.expression}",
                "task": {"name": f"demo-{build.number}"},
            }
            for build in self._controller.waiting()
        ]
        return web.json_response({"items": items}, headers=_JENKINS)

    async def _builds(self, request: web.Request) -> web.Response:
        controller = self._controller
        builds = [{**_build(build), "why": controller.refusal_of(build)} for build in controller.builds.values()]
        return web.json_response({"syncs": controller.syncs, "boot_id": controller.boot_id, "builds": builds})

    async def _enqueue(self, request: web.Request) -> web.Response:
        asked = await request.json()
        try:
            count = int(asked.get("count", 1))
            builds = self._controller.enqueue(str(asked.get("label", "")), float(asked.get("seconds", 1)), count)
        except (ValueError, TypeError) as error:
            raise web.HTTPBadRequest(text=str(error)) from error
        self._tell()
        return web.json_response({"builds": [build.number for build in builds]})

    async def _cancel(self, request: web.Request) -> web.Response:
        number = int((await request.json())["number"])
        self._controller.cancel(number)
        return web.json_response({"builds": [number]})


async def _end(channel: object) -> None:
    assert isinstance(channel, Line)
    with contextlib.suppress(OSError):  # TimeoutError is one
        async with asyncio.timeout(1):
            await channel.close()


def _computer(node: Node) -> dict[str, Any]:
    return {
        "displayName": node.name,
        "idle": node.build is None,
        "offline": node.channel is None,
        "offlineCauseReason": node.why,
        "temporarilyOffline": False,
        "assignedLabels": [{"name": label} for label in sorted(node.labels | {node.name})],
    }


def _build(build: Build) -> dict[str, Any]:
    return {**asdict(build), "labels": sorted(build.labels)}
