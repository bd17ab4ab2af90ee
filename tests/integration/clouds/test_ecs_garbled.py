"""Something else answers in Amazon's place, with status 200: never a bug of the broker's, and never believed."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from broker.clock import SystemClock
from broker.demo.clouds.aws import FakeAws
from broker.domain.ids import InstanceRef
from broker.domain.instance import Listing
from broker.errors import BackendError
from tests.contract.ecs_rig import EcsRig

REF = InstanceRef("arn:aws:ecs:eu-west-1:111122223333:task/default/" + "a" * 32)
ROLE = {"assume_role_arn": [{"role_arn": "arn:aws:iam::111122223333:role/broker"}]}


@asynccontextmanager
async def answering(body: bytes) -> AsyncIterator[str]:
    """A server that says the same to everybody."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def questions(rig: EcsRig) -> list[Callable[[], Awaitable[object]]]:
    backend, spec = rig.backend, rig.spec()
    hosted = rig.spec_of(pool={"capacity_provider": "", "launch_type": "EC2"}).pool
    by_reference = rig.spec_of(2, pool={"secret_delivery": "secrets-manager"})
    return [
        lambda: backend.launch(spec),
        lambda: backend.launch(by_reference),
        lambda: backend.offers(hosted),
        lambda: backend.locate(spec.key),
        lambda: backend.describe([REF]),
        lambda: backend.terminate(REF),
    ]


@pytest.mark.parametrize("options", [{}, ROLE], ids=["keys", "role"])
@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[]", b"null", b"\xff\xfe", b'{"taskArns": 3}', b"<html><p>no</p></html>"]
)
async def test_whatever_somebody_else_answers_is_an_error_of_the_backends(body: bytes, options: dict[str, Any]) -> None:
    async with answering(body) as url:
        rig = EcsRig(FakeAws(clock=SystemClock()), url, SystemClock(), **options)
        try:
            for ask in questions(rig):
                with pytest.raises(BackendError):
                    await ask()
            assert await rig.backend.list_owned() == Listing(instances=(), complete=False)
        finally:
            await rig.backend.close()
