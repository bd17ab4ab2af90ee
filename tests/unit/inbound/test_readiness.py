"""Waits for descriptors, and turns at what takes long."""

import asyncio
import os
import socket
from collections.abc import Coroutine, Iterator
from typing import Any, TypeVar

import pytest

from broker.inbound.readiness import Turns, readiness

T = TypeVar("T")
Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    near, far = socket.socketpair()
    near.setblocking(False)
    yield near, far
    near.close()
    far.close()


def soon(seconds: float = 5.0) -> float:
    return asyncio.get_running_loop().time() + seconds


def begin(coroutine: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    return asyncio.get_running_loop().create_task(coroutine, name="test")


async def test_one_may_wait_to_read_and_one_to_write(pair: Pair) -> None:
    near, far = pair
    while near.send(b"x" * 65536, socket.MSG_DONTWAIT) == 65536:
        pass
    reads = begin(readiness().readable(near.fileno(), soon()))
    writes = begin(readiness().writable(near.fileno(), soon()))
    await asyncio.sleep(0.01)
    assert not reads.done()
    assert not writes.done()
    far.send(b"y")
    await reads
    assert not writes.done()
    far.recv(10_000_000)
    await writes


async def test_a_cancelled_wait_leaves_the_other_one_waiting(pair: Pair) -> None:
    near, far = pair
    while near.send(b"x" * 65536, socket.MSG_DONTWAIT) == 65536:
        pass
    reads = begin(readiness().readable(near.fileno(), soon()))
    writes = begin(readiness().writable(near.fileno(), soon()))
    await asyncio.sleep(0.01)
    writes.cancel()
    await asyncio.wait({writes})
    far.send(b"y")
    await reads


async def test_each_wait_ends_at_its_own_time(pair: Pair) -> None:
    others = socket.socketpair()
    loop = asyncio.get_running_loop()
    began = loop.time()

    async def waits(sock: socket.socket, seconds: float) -> float:
        with pytest.raises(TimeoutError):
            await readiness().readable(sock.fileno(), began + seconds)
        return loop.time() - began

    later = begin(waits(pair[0], 0.3))
    sooner = begin(waits(others[0], 0.1))
    assert 0.1 <= await sooner < 0.3 <= await later < 2
    for sock in others:
        sock.close()


async def test_a_closed_connections_number_serves_the_next_one(pair: Pair) -> None:
    near, _ = pair
    readable = begin(readiness().readable(near.fileno(), soon()))
    await asyncio.sleep(0)
    number = near.detach()
    other, other_far = socket.socketpair()
    socket.close(number)
    reused = socket.socket(fileno=_moved(other, number))
    again = begin(readiness().readable(reused.fileno(), soon()))
    with pytest.raises(OSError, match="closed by this side"):
        await asyncio.wait_for(readable, 5)
    other_far.send(b"x")
    await again
    reused.close()
    other_far.close()


def _moved(sock: socket.socket, to: int) -> int:
    os.dup2(sock.fileno(), to)
    sock.close()
    return to


async def test_only_so_many_have_their_turn_at_once_and_all_have_it_in_their_order() -> None:
    turns = Turns(2)
    had: list[int] = []

    async def compute(number: int) -> None:
        await turns.take()
        had.append(number)

    tasks = [begin(compute(number)) for number in range(7)]
    seen = []
    while len(had) < 7:
        await asyncio.sleep(0)
        seen.append(len(had))
    assert had == list(range(7))
    assert all(after - before <= 2 for before, after in zip([0, *seen], seen, strict=False))
    await asyncio.wait(tasks)


async def test_who_left_costs_nobody_a_turn() -> None:
    turns = Turns(1)
    await turns.take()
    first, second = (begin(turns.take()) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait_for(second, 5)
