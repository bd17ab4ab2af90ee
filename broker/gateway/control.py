"""The control plane's end of the control link: decides who may come in, and knows who is connected."""

import asyncio
from pathlib import Path
from typing import Final

from broker.domain.ids import AgentId, AgentName, ControllerName
from broker.domain.reason import Reason
from broker.errors import StoreError
from broker.gateway.admissions import Admissions
from broker.gateway.churn import Churn
from broker.gateway.expected import ExpectedGateways
from broker.gateway.keeping import Keeping
from broker.gateway.link import (
    Admit,
    Closed,
    Controllers,
    Counts,
    Draining,
    End,
    Failed,
    FromGateway,
    Hello,
    Leaving,
    Opened,
    Ping,
    Pong,
    Refusal,
)
from broker.gateway.linkserver import GatewayLink, LinkedGateway, greeted
from broker.gateway.linktls import ControlAddress, listen
from broker.gateway.register import Held, Register
from broker.ports import Clock, Doorkeeper, Nudge, Session
from broker.telemetry.events import COOKIE_NOT_KEPT, GATEWAY_DRAINING, GATEWAY_LINKED, GATEWAY_UNLINKED
from broker.telemetry.readings import GatewayCounts

_KEEP_S: Final = 5.0
_CAME_BACK: Final = "the same agent has come back"
_DECISIONS: Final = 4096
"""Knocks of one gateway that are decided at once: all agents of a controller come back when that restarts."""


class ControlServer:
    """Listens for gateways; implements `broker.ports.Sessions`."""

    def __init__(
        self, at: ControlAddress, doorkeeper: Doorkeeper, nudge: Nudge, clock: Clock, keeping: Keeping | None = None
    ) -> None:
        """Does nothing yet. The directory of a socket's path is made with 0700.

        `keeping` is what the next control plane finds again.
        """
        self._at = at
        self._nudge = nudge
        self._clock = clock
        self._register = Register()
        self._churn = Churn()
        keeping = keeping or Keeping()
        self._expected = ExpectedGateways(keeping.gateways, clock)
        self._cookies = keeping.cookies
        self._links: dict[str, GatewayLink] = {}
        self._to_end: dict[str, dict[str, str]] = {}  # gateway that is away → session → message
        self._controllers: Controllers | None = None
        self._admissions = Admissions(doorkeeper, self._register, clock, self._displace, self._churn, self._cookies)
        self._tasks: set[asyncio.Task[object]] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listens, in place of a socket that a killed process left. Raises `GatewayError` if another one listens.

        `TlsUnusable`: certificate, key or CA of the link cannot be used; `StoreError`: nor the memory of gateways.
        """
        await self._expected.recall()
        self._server = await listen(self._at, self._connected)

    @property
    def port(self) -> int:
        """Of the listener over TCP."""
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    def tell_controllers(self, told: Controllers) -> None:
        """What all gateways, also those that link later, are to know of controllers; the same again is nothing."""
        if told == self._controllers:
            return
        self._controllers = told
        for link in self._links.values():
            link.send(told)

    async def close(self) -> None:
        """Lets go of the links; gateways relay on. Safe to repeat."""
        if self._server is None:
            return
        self._server.close()
        self._server = None
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=5)
        if isinstance(self._at, Path):
            self._at.unlink(missing_ok=True)

    def known(self) -> bool:
        """See `ports.Sessions`: not while one that may have sessions has no link, nor while none accepts agents."""
        return any(link.accepting for link in self._links.values()) and not self._expected.missing()

    def live(self, agent_id: AgentId) -> Session | None:
        """The live session of an agent."""
        held = self._register.held(agent_id)
        return held.session if held else None

    def of_name(self, controller: ControllerName, name: AgentName) -> Session | None:
        """See `ports.Sessions`."""
        return self._register.of_name(controller, name)

    def turned_away(self, agent_id: AgentId, attempt: int) -> tuple[Reason, str] | None:
        """Why the last knock of this attempt got no session, as the gateway told."""
        return self._register.turned_away(agent_id, attempt)

    def churned(self, agent_id: AgentId) -> str:
        """See `ports.Sessions`."""
        return self._churn.words(agent_id) if self._churn.given_up(agent_id) else ""

    async def end(self, agent_id: AgentId, message: str) -> None:
        """Closes the agent's session. A gateway that is away is told when it is back. Never raises."""
        held = self._register.held(agent_id)
        if held is not None and not self._send_end(held, message):
            self._end_later(held, message)

    def counts(self) -> GatewayCounts:
        """The sum of what all gateways have counted since this control plane started."""
        return self._register.counts()

    def linked_gateways(self) -> tuple[LinkedGateway, ...]:
        """The gateways whose link is up."""
        return tuple(link.gateway for link in self._links.values())

    def _send_end(self, held: Held, message: str) -> bool:
        link = self._links.get(held.gateway)
        if link is None:
            return False
        link.send(End(agent_id=held.session.agent_id, session=held.session.id, message=message))
        return True

    def _end_later(self, held: Held, message: str) -> None:
        self._to_end.setdefault(held.gateway, {})[held.session.id] = message

    def _displace(self, held: Held) -> bool:
        """Ends a session whose agent has come back. False if its gateway is away: it counts as ended, and will be."""
        if self._send_end(held, _CAME_BACK):
            return True
        self._end_later(held, _CAME_BACK)
        self._register.closed(held.session.agent_id, held.session.id)
        return False

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            link = await greeted(reader, writer)
            if link is not None:
                await self._serve(link)
                await self._forget_later(link)
        except asyncio.CancelledError:
            pass  # by `close`, at the very end of this task; the streams' own callback would log it as an error
        finally:
            writer.transport.abort()
            self._tasks.discard(task)

    async def _serve(self, link: GatewayLink) -> None:
        self._expected.expect(link.hello)
        await self._expected.save()
        self._linked(link)
        try:
            await self._converse(link)
        finally:
            link.writer.transport.abort()
            self._unlinked(link)

    async def _converse(self, link: GatewayLink) -> None:
        """Until the link ends, and with it what is being decided: its gateway asks again."""
        async with asyncio.TaskGroup() as group:
            deciding: set[asyncio.Task[None]] = set()
            async for message in link.messages():
                if isinstance(message, Admit) and link.deciding >= _DECISIONS:
                    link.send(_not_now(message))
                elif isinstance(message, Admit):
                    link.deciding += 1
                    task = group.create_task(self._answer(link, message), name="link:admit")
                    deciding.add(task)
                    task.add_done_callback(deciding.discard)
                else:
                    if isinstance(message, Opened) and self._register.must_keep(message.id, message.session):
                        group.create_task(self._keep_cookie(message), name="link:cookie")
                    self._take(link, message)
            for task in deciding:
                task.cancel()

    async def _keep_cookie(self, opened: Opened) -> None:
        """Without it an agent whose gateway and control plane have both died would be refused by its controller."""
        try:
            async with asyncio.timeout(_KEEP_S):
                await self._cookies.keep(AgentId(opened.session.agent_id), opened.session.controller_cookie)
        except (TimeoutError, StoreError) as error:
            told = str(error) or f"nothing was written for {_KEEP_S:g} s"
            COOKIE_NOT_KEPT.emit(agent=opened.session.name, message=told)

    async def _answer(self, link: GatewayLink, question: Admit) -> None:
        try:
            link.send(await self._admissions.decide(link.hello.gateway, question))
        finally:
            link.deciding -= 1

    def _linked(self, link: GatewayLink) -> None:
        former = self._links.pop(link.hello.gateway, None)
        if former is not None:
            former.writer.transport.abort()
            self._register.unlinked(link.hello.gateway)
        hello = link.hello
        to_end = self._to_end.pop(hello.gateway, {})
        for held in self._register.overtaken(hello, ending=to_end):
            if not self._send_end(held, _CAME_BACK):
                self._end_later(held, _CAME_BACK)
        changed, surplus = self._register.hello(hello, ending=to_end)
        self._links[hello.gateway] = link
        self._expected.linked(hello.gateway)
        GATEWAY_LINKED.emit(gateway=hello.gateway, pid=hello.pid, sessions=len(hello.sessions))
        if self._controllers is not None:
            link.send(self._controllers)
        for linked in surplus:
            message = to_end.get(linked.id, "the name has another session")
            link.send(End(agent_id=linked.agent_id, session=linked.id, message=message))
        for agent_id in changed:
            self._nudge.agent(agent_id)

    def _unlinked(self, link: GatewayLink) -> None:
        gateway = link.hello.gateway
        if self._links.get(gateway) is not link:
            return  # it has linked anew already
        del self._links[gateway]
        self._register.unlinked(gateway)
        self._expected.unlinked(gateway)
        self._admissions.unlinked()
        GATEWAY_UNLINKED.emit(gateway=gateway, pid=link.hello.pid)

    async def _forget_later(self, link: GatewayLink) -> None:
        """Drops the sessions of a gateway that has died or left, or that stays away although it may live."""
        gateway = link.hello.gateway
        while not self._expected.given_up(gateway):
            if gateway in self._links:
                return
            await self._clock.sleep_until(self._clock.monotonic() + 0.1)
        if gateway in self._links:
            return
        self._to_end.pop(gateway, None)
        for agent_id in self._register.forget(gateway):
            self._nudge.agent(agent_id)
        await self._expected.save()

    def _closed(self, message: Closed) -> None:
        agent_id = AgentId(message.agent_id)
        held = self._register.held(agent_id)
        if held is not None and self._register.closed(agent_id, message.session):
            age_s = (self._clock.now() - held.session.since).total_seconds()
            lasted_s = age_s if message.lasted_s is None else message.lasted_s
            self._churn.ended(agent_id, lasted_s, message.why, self._clock.monotonic())
            self._nudge.agent(agent_id)
        self._admissions.closed(message.session)

    def _take(self, link: GatewayLink, message: FromGateway) -> None:
        gateway = link.hello.gateway
        match message:
            case Opened():
                agent_id = AgentId(message.session.agent_id)
                if self._register.opened(gateway, message.id, message.session):
                    self._nudge.agent(agent_id)
                else:
                    link.send(End(agent_id=agent_id, session=message.session.id, message="the name is held"))
            case Closed():
                self._closed(message)
            case Failed():
                self._register.failed(AgentId(message.agent_id), message.id, message.reason, message.message)
            case Counts():
                self._register.count(gateway, message.counts())
            case Ping():
                link.send(Pong())
            case Draining():
                link.draining = True
                GATEWAY_DRAINING.emit(gateway=gateway, pid=link.hello.pid)
            case Leaving():
                self._expected.gone(gateway)
            case Hello() | Admit():
                pass


def _not_now(question: Admit) -> Refusal:
    message = f"{_DECISIONS} agents are being let in, the most at once; try again"
    return Refusal(id=question.id, reason=Reason.HANDSHAKE_REJECTED, message=message, retry=True)
