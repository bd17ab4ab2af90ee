"""The gateway's end of the control link: asks who may come in, tells who came and went, connects again by itself."""

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from broker.domain.reason import Reason
from broker.errors import GatewayError
from broker.gateway.link import (
    Admission,
    Admit,
    Closed,
    Controllers,
    Counts,
    Draining,
    End,
    Failed,
    FromControl,
    FromGateway,
    Hello,
    Leaving,
    Opened,
    Ping,
    Pong,
    Refusal,
    encode,
    from_control,
)
from broker.gateway.linktls import ControlAddress, dial
from broker.telemetry.events import CONTROL_LINK_FAILED, GATEWAY_LINKED, GATEWAY_UNLINKED
from broker.telemetry.readings import GatewayCounts
from broker.tls import TlsUnusable

_RETRY_FIRST_S: Final = 0.25
_RETRY_LAST_S: Final = 0.5
"""Agents wait at the door meanwhile; a control plane that is back has them within two seconds."""
_LASTED_S: Final = 5.0
"""A link that ends sooner counts as a failed try: a control plane that only accepts is not asked without pause."""
_REPORT_EVERY_S: Final = 2.0
_SILENCE_S: Final = 15.0
_MAX_UNSENT: Final = 8 * 1024 * 1024


class LinkAway(GatewayError):
    """The control plane cannot be asked now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkSource:
    """What the link asks its gateway for: the full truth, the counts, to end a session, to know its controllers."""

    hello: Callable[[], Hello]
    counts: Callable[[], GatewayCounts]
    end: Callable[[End], None]
    controllers: Callable[[Controllers], None]


class ControlLink:
    """One connection to the control plane, made again for as long as `run` runs."""

    def __init__(self, at: ControlAddress, source: LinkSource) -> None:
        """Does nothing yet."""
        self._at = at
        self._failure = ""
        self._source = source
        self._up = asyncio.Event()
        self._told = asyncio.Event()
        self._writer: asyncio.StreamWriter | None = None
        self._waiting: dict[str, asyncio.Future[Admission | Refusal | None]] = {}

    @property
    def up(self) -> bool:
        """Whether the control plane can be asked."""
        return self._up.is_set()

    async def news(self) -> None:
        """Returns when the control plane is back, or has told something of controllers."""
        await self._told.wait()

    def _tell(self) -> None:
        told, self._told = self._told, asyncio.Event()
        told.set()

    async def admit(self, question: Admit, seconds: float) -> Admission | Refusal:
        """The control plane's decision; one that is away, or goes away, is asked when it is back.

        Raises `LinkAway` without one in time.
        """
        until = asyncio.get_running_loop().time() + seconds
        try:
            async with asyncio.timeout_at(until):
                while True:
                    await self._up.wait()
                    if (answer := await self._ask(question, until)) is not None:
                        return answer
        except TimeoutError:
            raise LinkAway(f"the control plane has not answered within {seconds:g} s") from None

    async def _ask(self, question: Admit, until: float) -> Admission | Refusal | None:
        """The answer; None if the link went down before it came."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Admission | Refusal | None] = loop.create_future()
        self._waiting[question.id] = answer
        try:
            self._send(question.model_copy(update={"within_s": until - loop.time()}))
            return await answer
        finally:
            del self._waiting[question.id]

    def tell(self, message: Opened | Closed | Failed | Draining) -> None:
        """Passes a fact on; while the link is down it is dropped, for the next hello says it all."""
        self._send(message)

    async def run(self) -> None:
        """Keeps the link up until cancelled, and then tells that the gateway leaves. No failure of it is raised."""
        pause, loop = _RETRY_FIRST_S, asyncio.get_running_loop()
        while True:
            try:
                reader, writer = await dial(self._at)
            except (OSError, TlsUnusable) as error:
                self._failed(str(error) or "no answer")
                await asyncio.sleep(pause)
                pause = min(2 * pause, _RETRY_LAST_S)
                continue
            linked_at = loop.time()
            await self._serve(reader, writer)
            lasted = loop.time() - linked_at > _LASTED_S
            pause = _RETRY_FIRST_S if lasted else min(2 * pause, _RETRY_LAST_S)
            await asyncio.sleep(pause)

    def _failed(self, why: str) -> None:
        """Tells why there is no link, once for each why; that a socket is not there yet is none."""
        if why != self._failure and not isinstance(self._at, Path):
            CONTROL_LINK_FAILED.emit(control=str(self._at), message=why)
        self._failure = why

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(encode(self._source.hello()))
        self._writer = writer
        try:
            async with asyncio.TaskGroup() as group:
                report = group.create_task(self._report(), name="link:report")
                why = await self._listen(reader)
                report.cancel()
        except asyncio.CancelledError:
            self._send(Leaving())
            writer.close()  # once that is sent
            raise
        else:
            writer.transport.abort()
        finally:
            was_up = self._up.is_set()
            self._up.clear()
            self._writer = None
            for answer in self._waiting.values():
                if not answer.done():
                    answer.set_result(None)
        if was_up:
            GATEWAY_UNLINKED.emit(control=str(self._at), message=why)
        else:
            self._failed(why)

    async def _report(self) -> None:
        while True:
            self._send(Counts.of(self._source.counts()))
            self._send(Ping())
            await asyncio.sleep(_REPORT_EVERY_S)

    async def _listen(self, reader: asyncio.StreamReader) -> str:
        try:
            while True:
                async with asyncio.timeout(_SILENCE_S):
                    line = await reader.readline()
                if not line:
                    return "the control plane closed the link"
                if not self._up.is_set():  # with TLS, only an answer shows that it takes our certificate
                    self._up.set()
                    self._tell()
                    self._failure = ""
                    GATEWAY_LINKED.emit(control=str(self._at))
                message = from_control(line)
                if message is not None:
                    self._take(message)
        except TimeoutError:
            return f"the control plane was silent for {_SILENCE_S:g} s"
        except (OSError, ValueError, GatewayError) as error:
            return str(error)

    def _take(self, message: FromControl) -> None:
        match message:
            case Admission() | Refusal():
                answer = self._waiting.get(message.id)
                if answer is not None and not answer.done():
                    answer.set_result(message)
                elif isinstance(message, Admission):  # nobody waits for it any more: let go of the name
                    self._send(_late(message))
            case End():
                self._source.end(message)
            case Controllers():
                self._source.controllers(message)
                self._tell()
            case Pong():
                pass

    def _send(self, message: FromGateway) -> None:
        if self._writer is None:
            return
        self._writer.write(encode(message))
        if self._writer.transport.get_write_buffer_size() > _MAX_UNSENT:
            self._writer.transport.abort()


def _late(message: Admission) -> Failed:
    """What is told of an admission that came when its agent had gone."""
    return Failed(id=message.id, agent_id=message.agent_id, reason=Reason.HANDSHAKE_REJECTED, message="came too late")


def new_id() -> str:
    """An id for a question or a session."""
    return secrets.token_hex(16)
