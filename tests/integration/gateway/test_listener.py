"""What a listener does with connections when it is to accept no more."""

import asyncio

from broker.gateway.listener import Listener, listen
from broker.gateway.settings import Limits
from broker.inbound.descriptor import Descriptor, dial
from broker.inbound.exchange import reply
from broker.inbound.http import RequestHead, text_reply


async def test_who_waits_in_the_queue_when_it_stops_is_served_still() -> None:
    async def serve(connection: Descriptor, _request: RequestHead) -> bool:
        await reply(connection, text_reply(200, "served\n"), 1.0)
        return False

    sock, loop = listen("127.0.0.1", 0), asyncio.get_running_loop()
    address, until = sock.getsockname(), loop.time() + 10
    listener = Listener(sock, None, Limits(), serve)
    waiting = [await dial(address, until) for _ in range(100)]
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        running = group.create_task(listener.run())
        listener.stop()
        for connection in waiting:
            await connection.send(b"GET / HTTP/1.1\r\n\r\n", until)
            assert (await connection.read_some(until)).startswith(b"HTTP/1.1 200 ")
            connection.close()
        await running
    assert sock.fileno() == -1


async def test_one_that_is_given_away_is_not_closed() -> None:
    given = list[Descriptor]()

    async def serve(connection: Descriptor, _request: RequestHead) -> bool:
        given.append(connection)
        return True

    sock, loop = listen("127.0.0.1", 0), asyncio.get_running_loop()
    address, until = sock.getsockname(), loop.time() + 10
    listener = Listener(sock, None, Limits(), serve)
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        running = group.create_task(listener.run())
        agent = await dial(address, until)
        await agent.send(b"GET / HTTP/1.1\r\n\r\nmore", until)
        while not given:  # noqa: ASYNC110 - the listener tells nobody
            await asyncio.sleep(0.01)
        listener.stop()
        await running
        await given[0].send(b"still here", until)
        assert await agent.read_some(until) == b"still here"
    assert (given[0].surplus, listener.ended) == (b"more", 0)
    given[0].close()
    agent.close()
