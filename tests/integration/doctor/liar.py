"""A server that answers each page as a test wants it, and what a doctor makes of it."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from broker.demo.sim.controller import SimController
from broker.doctor.controller import ControllerVisit, Node
from broker.doctor.gateway import GatewayVisit
from broker.doctor.report import Check, Status
from broker.domain.definitions import Controller
from broker.domain.ids import ControllerName
from broker.domain.pool import Pool
from broker.inbound.discovery import Page, split_target
from broker.inbound.http import HeadBuffer, parse_request, text_reply
from broker.inbound.identity import Identity

IDENTITY = Identity.new()
OTHER = Identity.new()


class Liar:
    """Answers by page; a page without an answer is 404. `heard` is all that was asked, headers included."""

    def __init__(self, answers: dict[Page, bytes], tls: ssl.SSLContext | None = None) -> None:
        self.answers = answers
        self.heard: list[bytes] = []
        self.url = ""
        self._tls = tls

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Liar"]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        scheme = "https" if self._tls else "http"
        self.url = f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}/jenkins/"
        async with server:
            yield self

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        buffer, raw = HeadBuffer(), None
        while raw is None:
            data = await reader.read(65536)
            if not data:
                writer.close()
                return
            self.heard.append(data)
            if not data.startswith(b"GET "):
                writer.write(said(400))
                writer.close()
                return
            raw = buffer.feed(data)
        page = (split_target(parse_request(raw).target) or ("", None))[1]
        writer.write(self.answers.get(page, text_reply(404, "nothing here")) if page else text_reply(404, "no page"))
        writer.close()


def said(status: int, text: str = "", fields: Iterable[tuple[str, str]] = (), phrase: str | None = None) -> bytes:
    return text_reply(status, text, fields=fields, phrase=phrase or "Whatever")


HEALTHY = {
    Page.LOGIN: said(200, "log in", [("X-Jenkins", "2.568.2")]),
    Page.WEBSOCKET: said(400, "<html><p>no such agent</p></html>"),
}


def controller_at(url: str, **keys: Any) -> Controller:
    return Controller(name=ControllerName("main"), url=url, token_sha256=(), **keys)


async def visit(
    url: str,
    *,
    trust: ssl.SSLContext | None = None,
    pools: tuple[Pool, ...] = (),
    node: Node | None = None,
    **keys: Any,
) -> dict[str, Check]:
    """The checks of a controller by name; `keys` are more of it."""
    context = trust or ssl.create_default_context()
    visited = controller_at(url, **keys)
    async with asyncio.timeout(60):
        checks = await ControllerVisit(controller=visited, trust=context, pools=pools, node=node).checks()
    return {check.name: check for check in checks}


async def visit_gateway(
    url: str, *, trust: ssl.SSLContext | None = None, ca_file: Path | None = None
) -> dict[str, Check]:
    """The checks of a gateway with one controller, by name."""
    context = trust or ssl.create_default_context()
    given = GatewayVisit(url=url, controllers=(controller_at("http://x/"),), trust=context, ca_file=ca_file)
    async with asyncio.timeout(60):
        return {check.name: check for check in await given.checks()}


def failed(checks: dict[str, Check]) -> dict[str, str]:
    """What failed, with its words and its hint."""
    return {name: f"{c.message} | {c.hint}" for name, c in checks.items() if c.status is Status.FAILED}


def controller(**changes: object) -> SimController:
    return SimController(identity=IDENTITY, **changes)  # type: ignore[arg-type]
