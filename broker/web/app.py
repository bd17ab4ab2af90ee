"""What monitoring asks over HTTP: /metrics, /healthz (the process lives), /readyz (it can do its work)."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from broker.errors import BrokerError
from broker.telemetry.metrics import Metrics
from broker.telemetry.readings import Readings

ANSWER_S: Final = 5.0
"""How long a probe or a scrape waits for the parts it asks; Prometheus itself gives up after 10 s."""
MOST_AT_ONCE: Final = 64
"""Requests that are being answered; streams, which have a bound of their own, and /healthz beside them."""
STREAMS: Final = "/api/v1/events"
"""What answers with a stream where one is asked for; whatever else is asked so is answered, and counted, as ever."""
_RETRY_S: Final = 1
_CLOSE_S: Final = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """Whether one part works; `detail` is for a person: what is wrong and what to do, or what it serves."""

    name: str
    ok: bool
    detail: str = ""

    def __str__(self) -> str:
        """One line, such as `store: ok` or `gateway: not ready: no gateway is linked`."""
        return f"{self.name}: {'ok' if self.ok else 'not ready'}{': ' if self.detail else ''}{self.detail}"


Readiness = Callable[[], Awaitable[Sequence[Check]]]
"""Looks at every part that the process needs for its work; a cloud or a controller that is away is none of them."""
Read = Callable[[], Awaitable[Readings]]
"""What the running broker counts now; a `BrokerError` fails the scrape, as old numbers would lie."""


class CannotListen(BrokerError):
    """The address cannot be listened on; the text names it and says why."""


class _Pages:
    """The three pages of one process."""

    def __init__(self, metrics: Metrics, readiness: Readiness, read: Read | None) -> None:
        self._metrics = metrics
        self._readiness = readiness
        self._read = read

    async def metrics(self, request: web.Request) -> web.Response:
        if self._read is not None:
            try:
                async with asyncio.timeout(ANSWER_S):
                    self._metrics.read(await self._read())
            except (BrokerError, TimeoutError) as error:
                text = str(error) or f"no answer in {ANSWER_S:g} s"
                return web.Response(status=503, text=f"metrics cannot be read: {text}\n")
        body, content_type = self._metrics.exposition(request.headers.get(hdrs.ACCEPT, ""))
        response = web.Response(body=body, headers={hdrs.CONTENT_TYPE: content_type})
        response.enable_compression()
        return response

    async def healthz(self, _request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def readyz(self, _request: web.Request) -> web.Response:
        try:
            async with asyncio.timeout(ANSWER_S):
                checks = list(await self._readiness())
        except TimeoutError:
            checks = [Check(name="readiness", ok=False, detail=f"no answer in {ANSWER_S:g} s")]
        text = "".join(f"{check}\n" for check in checks)
        return web.Response(status=200 if all(check.ok for check in checks) else 503, text=text)


def create_app(metrics: Metrics, readiness: Readiness, read: Read | None = None) -> web.Application:
    """The pages; `read` is asked at each scrape for what only the running broker knows."""
    pages = _Pages(metrics, readiness, read)
    app = web.Application(middlewares=[_bounded()])
    app.add_routes(
        [web.get("/metrics", pages.metrics), web.get("/healthz", pages.healthz), web.get("/readyz", pages.readyz)],
    )
    return app


def _bounded() -> Middleware:
    """Refuses at once what would have to wait behind too many others."""
    running = 0

    @web.middleware
    async def bounded(request: web.Request, handler: Handler) -> web.StreamResponse:
        nonlocal running
        streams = request.path == STREAMS and "text/event-stream" in request.headers.get(hdrs.ACCEPT, "")
        if streams or request.path == "/healthz":
            return await handler(request)
        if running >= MOST_AT_ONCE:
            return _busy()
        running += 1
        try:
            return await handler(request)
        finally:
            running -= 1

    return bounded


def _busy() -> web.Response:
    """In the words of the operators' API, whatever was asked for."""
    message = f"{MOST_AT_ONCE} requests are being answered, the most at once"
    body = {"code": "busy", "message": message, "hint": f"try again in {_RETRY_S} s"}
    return web.json_response(body, status=503, headers={hdrs.RETRY_AFTER: str(_RETRY_S)})


@asynccontextmanager
async def serving(
    app: web.Application, host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None
) -> AsyncIterator[int]:
    """Listens while the block runs and gives the port, which the system chooses for 0. Raises `CannotListen`."""
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=_CLOSE_S)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port, ssl_context=tls)
        try:
            await site.start()
        except OSError as error:
            why = error.strerror or str(error)
            raise CannotListen(f"cannot listen on {host}:{port} for HTTP: {why}") from error
        yield int(runner.addresses[0][1])
    finally:
        await asyncio.shield(runner.cleanup())
