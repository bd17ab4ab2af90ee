"""What is too much at once is refused at once, and says when to come again; nothing piles up."""

import asyncio
import os
from pathlib import Path

from broker.clock import SystemClock
from broker.domain.reason import Reason
from broker.gateway.control import _DECISIONS, ControlServer
from broker.gateway.link import Admit, Hello, Refusal, encode, from_control
from broker.gateway.listener import Listener, listen
from broker.gateway.settings import Limits
from broker.gateway.sockets import process_started
from broker.inbound.descriptor import Descriptor
from broker.inbound.exchange import reply
from broker.inbound.http import RequestHead, text_reply
from broker.ports import Admitted, Knock, Refused
from broker.testing.sessions import RecordingNudge

OPEN = 3


async def test_a_connection_above_the_bound_is_told_to_come_again_and_the_others_are_served() -> None:
    enough = asyncio.Event()

    async def serve(connection: Descriptor, _request: RequestHead) -> bool:
        await enough.wait()
        await reply(connection, text_reply(200, "served\n"), 1.0)
        return False

    sock = listen("127.0.0.1", 0)
    port = sock.getsockname()[1]

    async def get(said: bytes = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n") -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(said)
            return await reader.read()
        except ConnectionResetError:  # what was sent and not read
            return b""
        finally:
            writer.close()

    async with asyncio.TaskGroup() as group:
        listening = group.create_task(Listener(sock, None, Limits(connections=OPEN), serve).run(), name="listener")
        first = [group.create_task(get(), name=f"get:{n}") for n in range(OPEN)]
        await asyncio.sleep(0.2)
        refused = await get(b"")  # what is sent and not read would be answered with a reset
        assert refused.startswith(b"HTTP/1.1 503 ")
        assert b"\r\nRetry-After: 1\r\n" in refused
        enough.set()
        assert [(await task).partition(b" ")[2][:3] for task in first] == [b"200"] * OPEN
        async with asyncio.timeout(10):
            while not (await get()).startswith(b"HTTP/1.1 200 "):  # noqa: ASYNC110 - another process would do the same
                await asyncio.sleep(0.02)
        listening.cancel()


class Slow:
    """A doorkeeper that makes up its mind when it is told to."""

    def __init__(self) -> None:
        self.decide = asyncio.Event()
        self.deciding = self.most = 0

    async def admit(self, knock: Knock, until: float = 0.0) -> Admitted | Refused:
        self.deciding += 1
        self.most = max(self.most, self.deciding)
        try:
            await self.decide.wait()
        finally:
            self.deciding -= 1
        return Refused(reason=Reason.HANDSHAKE_REJECTED, message=f"no agent {knock.name}")


async def test_a_gateway_that_asks_for_more_than_can_be_decided_is_told_to_ask_again(tmp_path: Path) -> None:
    doorkeeper, questions = Slow(), 3 * _DECISIONS
    control = ControlServer(tmp_path / "control.sock", doorkeeper, RecordingNudge(), SystemClock())
    await control.start()
    reader, writer = await asyncio.open_unix_connection(tmp_path / "control.sock")
    try:
        pid = os.getpid()
        started = process_started(pid) or 0
        writer.write(encode(Hello(gateway="g", pid=pid, started=started, version="1", listen="-")))
        writer.write(
            b"".join(
                encode(Admit(id=f"{n}", controller="main", name="a", secret="s", within_s=60)) for n in range(questions)
            )
        )
        answers = [from_control(await reader.readline()) for _ in range(questions - _DECISIONS)]
        assert all(isinstance(answer, Refusal) and answer.retry for answer in answers)
        assert doorkeeper.most == _DECISIONS
        doorkeeper.decide.set()
        answers = [from_control(await reader.readline()) for _ in range(_DECISIONS)]
        assert all(isinstance(answer, Refusal) and not answer.retry for answer in answers)
    finally:
        writer.close()
        await control.close()
