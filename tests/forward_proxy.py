"""A small HTTP proxy: passes requests on, and tunnels CONNECT, to wherever a test says a name is."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

_HEAD = 64 * 1024


@dataclass(slots=True)
class ForwardProxy:
    """`asked` has each request's method and host, as `CONNECT sts.eu-west-1.amazonaws.com:443`, in order."""

    url: str = ""
    asked: list[str] = field(default_factory=list)
    places: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    """Where `HOST:PORT` really is; what is not here is there where it says."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client and its one request, then whatever comes from both sides."""
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
            where = target if method == "CONNECT" else target.split("/")[2]
            self.asked.append(f"{method} {where}")
            host, _, port = where.rpartition(":")
            far_reader, far = await asyncio.open_connection(*self.places.get(where, (host, int(port))))
            if method == "CONNECT":
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                path = "/" + target.split("/", 3)[3]
                head = head.replace(target.encode(), path.encode(), 1)
                far.write(head.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
            async with asyncio.TaskGroup() as group:
                group.create_task(_pass_on(reader, far), name="proxy: there")
                group.create_task(_pass_on(far_reader, writer), name="proxy: back")
        finally:
            writer.close()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(_HEAD):
            writer.write(data)
            await writer.drain()
    writer.close()


@asynccontextmanager
async def forwarding(places: Mapping[str, tuple[str, int]] | None = None) -> AsyncIterator[ForwardProxy]:
    """Serves one on loopback while it is entered. A connection is good for one request, or one tunnel."""
    proxy = ForwardProxy(places=places or {})
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0, limit=_HEAD)
    proxy.url = "http://{}:{}".format(*server.sockets[0].getsockname()[:2])
    try:
        yield proxy
    finally:
        server.close()
        await server.wait_closed()
