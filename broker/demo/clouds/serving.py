"""A fake's endpoint on loopback."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, Protocol

from aiohttp import web

_MOST_LINE: Final = 1 << 20
"""Bytes of a request's line: some clouds' SDKs put all parameters there, with scripts of tens of thousands of bytes."""


class Fake(Protocol):
    """A cloud with one endpoint for all its services."""

    @property
    def application(self) -> web.Application:
        """The endpoint."""
        ...


@asynccontextmanager
async def serving(fake: Fake, port: int = 0) -> AsyncIterator[str]:
    """Serves a fake on loopback while it is entered; gives its URL."""
    runner = web.AppRunner(fake.application, access_log=None, shutdown_timeout=1, max_line_size=_MOST_LINE)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", port)
        await site.start()
        host, bound = runner.addresses[0][:2]
        yield f"http://{host}:{bound}"
    finally:
        await runner.cleanup()
