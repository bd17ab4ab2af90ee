"""Who is driven out when too many wait."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from broker.gateway.handshakes import Handshakes
from broker.inbound.descriptor import Descriptor


@contextmanager
def leg(*, waits: bool) -> Iterator[Descriptor]:
    near, far = socket.socketpair()
    with near, far:
        made = Descriptor(near)
        made.waits = waits
        yield made


@asynccontextmanager
async def one_more(handshakes: Handshakes, *, waits: bool) -> AsyncIterator[asyncio.Task[None]]:
    async def handshake(leg: Descriptor) -> None:
        with handshakes.waiting(leg):
            await asyncio.Event().wait()

    with leg(waits=waits) as its:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(handshake(its), name="handshake")
            await asyncio.sleep(0)
            yield task
            task.cancel()


async def test_a_newcomer_drives_out_the_oldest() -> None:
    dropped = list[str]()
    handshakes = Handshakes(2, dropped.append)
    async with (
        one_more(handshakes, waits=True) as first,
        one_more(handshakes, waits=True) as second,
        one_more(handshakes, waits=True) as third,
    ):
        await asyncio.wait({first}, timeout=5)
        assert (first.cancelled(), second.done(), third.done()) == (True, False, False)
    assert len(dropped) == 1


async def test_one_whose_turn_it_is_not_stays() -> None:
    dropped = list[str]()
    handshakes = Handshakes(2, dropped.append)
    async with (
        one_more(handshakes, waits=False) as first,
        one_more(handshakes, waits=True) as second,
        one_more(handshakes, waits=False) as third,
    ):
        await asyncio.wait({second}, timeout=5)
        assert (first.done(), second.cancelled(), third.done()) == (False, True, False)
        async with one_more(handshakes, waits=True) as fourth:  # nobody is to blame: it comes in all the same
            await asyncio.sleep(0)
            assert not any(task.done() for task in (first, third, fourth))
    assert len(dropped) == 1


async def test_a_rush_drives_out_nobody_before_there_are_twice_as_many_as_may_be() -> None:
    handshakes = Handshakes(1, newcomer_s=60.0)
    async with (
        one_more(handshakes, waits=True) as first,
        one_more(handshakes, waits=True) as second,
    ):
        await asyncio.sleep(0)
        assert not first.done()
        async with one_more(handshakes, waits=True) as third:
            await asyncio.wait({first}, timeout=5)
            assert (first.cancelled(), second.done(), third.done()) == (True, False, False)


async def test_who_is_no_newcomer_any_more_is_driven_out() -> None:
    handshakes = Handshakes(1, newcomer_s=0.05)
    async with one_more(handshakes, waits=True) as first:
        await asyncio.sleep(0.1)
        async with one_more(handshakes, waits=True) as second:
            await asyncio.wait({first}, timeout=5)
            assert (first.cancelled(), second.done()) == (True, False)
