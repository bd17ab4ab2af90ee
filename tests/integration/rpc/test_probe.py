"""What /readyz says of the listener for controllers."""

import asyncio
import socket

import pytest

from broker.rpc.probe import what_is_wrong


@pytest.mark.parametrize("listens_on", ["127.0.0.1", "0.0.0.0", "::1", "::"])
async def test_one_that_takes_connections_is_well_wherever_it_listens(listens_on: str) -> None:
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), listens_on, 0)
    async with server:
        assert await what_is_wrong(listens_on, server.sockets[0].getsockname()[1]) == ""


async def test_one_that_takes_none_is_named_with_the_cause() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        assert f"127.0.0.1:{port} takes no connection" in await what_is_wrong("127.0.0.1", port)
