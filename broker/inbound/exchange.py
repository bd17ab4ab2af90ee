"""One HTTP head each way over a connection."""

import asyncio
from typing import Final

from broker.inbound.descriptor import Descriptor
from broker.inbound.http import HeadBuffer

_LINGER_S: Final = 1.0


async def read_head(connection: Descriptor, until: float) -> bytes | None:
    """The head that the other side sends; None if it left without a byte. What came after it becomes surplus.

    Raises `broker.inbound.http.MalformedHead`, TimeoutError, EOFError or OSError.
    """
    head = HeadBuffer()
    while True:
        data = await connection.read_some(until)
        if not data:
            if not head.started:
                return None
            raise EOFError("the connection ended within its head")
        whole = head.feed(data)
        if whole is not None:
            connection.surplus = head.rest
            return whole


async def reply(connection: Descriptor, data: bytes, seconds: float) -> None:
    """Sends a last answer, and closes in a way that lets it be read. Never raises."""
    loop = asyncio.get_running_loop()
    try:
        await connection.send(data, loop.time() + seconds)
        connection.finish()
        until = loop.time() + _LINGER_S
        while loop.time() < until:
            if not await connection.read_some(until):
                break
            await asyncio.sleep(0)  # who sends without end must not hold the loop
    except OSError:
        pass
    finally:
        connection.close()
