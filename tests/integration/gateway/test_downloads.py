"""Anybody may ask a gateway for agent.jar; that must not keep a controller's threads busy."""

import asyncio
from dataclasses import replace
from pathlib import Path

from tests.integration.gateway.world import QUICK, World, until

REQUEST = b"GET /c/main/jnlpJars/agent.jar HTTP/1.1\r\nHost: x\r\n\r\n"


async def test_who_does_not_read_keeps_few_of_the_controllers_connections_and_not_for_ever(tmp_path: Path) -> None:
    open_now, most, served = 0, 0, 0

    async def jar_without_end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal open_now, most, served
        open_now, served = open_now + 1, served + 1
        most = max(most, open_now)
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        try:
            while True:
                writer.write(bytes(65_536))
                await writer.drain()
        except OSError:
            open_now -= 1
            writer.close()

    limits = replace(QUICK, downloads=2, download_s=0.2)
    controller = await asyncio.start_server(jar_without_end, "127.0.0.1", 0)
    urls = {"main": f"http://127.0.0.1:{controller.sockets[0].getsockname()[1]}/"}
    async with World(tmp_path, limits).running(controllers=urls) as world:
        readers = []
        for _ in range(5):
            _, writer = await asyncio.open_connection(*world.address, limit=1024)
            writer.write(REQUEST)
            readers.append(writer)
        await until(lambda: served == 5, 20)
        assert most == 2
        await until(lambda: open_now == 0, 20)
        for writer in readers:
            writer.close()
    controller.close()
