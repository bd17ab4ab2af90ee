"""Lets an agent in: its request, the control plane's word, the controller's word, then the relay."""

import asyncio
from collections import OrderedDict
from datetime import UTC, datetime
from typing import Final

from broker.domain.reason import Reason
from broker.gateway.legs import Leg
from broker.gateway.link import Admission, Admit, Closed, Failed, LinkedSession, Opened, Refusal
from broker.gateway.linkclient import ControlLink, LinkAway, new_id
from broker.gateway.live import LiveSession, LiveSessions
from broker.gateway.relay import Relay
from broker.gateway.settings import Limits
from broker.gateway.upstream import Accepted, Declined, Upstream
from broker.inbound.http import MalformedHead, RequestHead, text_reply
from broker.inbound.websocket import (
    AgentRequest,
    Answer,
    agent_reply,
    controller_cookie,
    derived_cookie,
    new_cookie,
    read_agent_request,
)
from broker.telemetry.events import HANDSHAKE_REFUSED, SESSION_CLOSED, SESSION_OPENED

_PROTOCOL: Final = "websocket"
_CALM_S: Final = 1.0
_ENDED_KEPT: Final = 10_000


class TurnedAway(Exception):
    """An agent does not get in. 403 is for ever, 503 for now; an agent backs off from either."""

    def __init__(self, status: int, reason: Reason, message: str, *, logged: bool = False) -> None:
        """`message` is for people, in the log and in the reply; `logged` if the control plane has told it already."""
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.message = message
        self.logged = logged


class Door:
    """What `wsagents/` does. An agent is never accepted and then closed: it would come back at once, for ever."""

    def __init__(self, limits: Limits, upstream: Upstream, link: ControlLink, live: LiveSessions) -> None:
        """Uses them all; owns none."""
        self._limits = limits
        self._upstream = upstream
        self._link = link
        self._live = live
        self._ended: OrderedDict[tuple[str, str], float] = OrderedDict()

    async def enter(self, leg: Leg, controller: str, head: RequestHead) -> None:
        """Returns when the agent has been refused or its session is over; closes the leg."""
        name = ""
        try:
            request = _request(head)
            name = request.name
            await self._calm(controller, name)
            await self._enter(leg, controller, request)
        except TurnedAway as away:
            self._live.refused(_PROTOCOL, away.reason)
            if not away.logged:
                told = {"status": away.status, "why": away.reason, "message": away.message}
                HANDSHAKE_REFUSED.emit(controller=controller, agent=name, peer=leg.peer, **told)
            await leg.reply(text_reply(away.status, away.message + "\n"), self._limits.reply_s)

    async def _enter(self, leg: Leg, controller: str, request: AgentRequest) -> None:
        admission = await self._admission(leg, controller, request)
        accepted: Accepted | None = None
        failed = TurnedAway(503, Reason.HANDSHAKE_REJECTED, "the handshake was given up")
        try:
            accepted = await self._controllers_word(leg, controller, request, admission)
        except TurnedAway as away:
            failed = away
            raise
        finally:
            if accepted is None:
                agent_id, reason, message = admission.agent_id, failed.reason, failed.message
                self._link.tell(Failed(id=admission.id, agent_id=agent_id, reason=reason, message=message))
        await self._relay(leg, controller, request, admission, accepted)

    async def _calm(self, controller: str, name: str) -> None:
        """An agent comes back at once from a session that the controller has ended.

        If that was its last build, the word that it is over is on its way; if the controller ends all its sessions
        at once, it would come back without end.
        """
        until = self._ended.pop((controller, name), 0.0)
        await asyncio.sleep(max(0.0, until - asyncio.get_running_loop().time()))

    def _calm_down(self, controller: str, name: str) -> None:
        self._ended[controller, name] = asyncio.get_running_loop().time() + _CALM_S
        if len(self._ended) > _ENDED_KEPT:
            self._ended.popitem(last=False)

    async def _admission(self, leg: Leg, controller: str, request: AgentRequest) -> Admission:
        question = Admit(
            id=new_id(),
            controller=controller,
            name=request.name,
            secret=request.secret,
            cookie=request.cookie,
            protocol=_PROTOCOL,
            peer=leg.peer,
        )
        try:
            answer = await self._link.admit(question, self._limits.admit_s)
        except LinkAway as error:
            raise TurnedAway(503, Reason.HANDSHAKE_REJECTED, f"try again: {error}") from error
        if isinstance(answer, Refusal):
            raise TurnedAway(503 if answer.retry else 403, answer.reason, answer.message, logged=True)
        return answer

    async def _controllers_word(
        self, leg: Leg, controller: str, request: AgentRequest, admission: Admission
    ) -> Accepted:
        cookie = admission.controller_cookie or derived_cookie(request.name, admission.secret)
        async with asyncio.TaskGroup() as group:
            opening = self._upstream.open(controller, request, secret=admission.secret, cookie=cookie)
            dial = group.create_task(opening, name="door:dial")
            gone = group.create_task(leg.until_gone(), name="door:gone")
            await asyncio.wait({dial, gone}, return_when=asyncio.FIRST_COMPLETED)
            left = gone.done()
            dial.cancel()
            gone.cancel()
        answer = None if dial.cancelled() else dial.result()
        if left:
            if isinstance(answer, Accepted):
                await answer.leg.close()
            raise TurnedAway(408, Reason.HANDSHAKE_REJECTED, "the agent left before the controller had answered")
        assert answer is not None
        if isinstance(answer, Declined):
            raise _declined(request.name, controller, answer)
        return answer

    async def _relay(
        self, leg: Leg, controller: str, request: AgentRequest, admission: Admission, accepted: Accepted
    ) -> None:
        cookie = request.cookie or new_cookie()
        presented = admission.controller_cookie or derived_cookie(request.name, admission.secret)
        session = LinkedSession(
            id=new_id(),
            agent_id=admission.agent_id,
            controller=controller,
            name=request.name,
            attempt=admission.attempt,
            protocol=_PROTOCOL,
            peer=leg.peer,
            since=datetime.now(UTC),
            cookie=cookie,
            controller_cookie=controller_cookie(accepted.head, presented),
        )

        def over(why: str) -> None:
            if why == accepted.leg.name:
                self._calm_down(controller, request.name)

        live = LiveSession(session=session, relay=Relay(leg, accepted.leg, over))
        self._live.opened(live)
        self._link.tell(Opened(id=admission.id, session=session))
        SESSION_OPENED.emit(session=session.id, controller=controller, agent=session.name, peer=session.peer)
        try:
            leg.writer.write(agent_reply(accepted.head, cookie))
            await live.relay.run()
        finally:
            self._over(live)

    def _over(self, live: LiveSession) -> None:
        session, relay = live.session, live.relay
        received, sent = relay.received_bytes, relay.sent_bytes
        self._live.closed(live)
        self._link.tell(
            Closed(
                agent_id=session.agent_id,
                session=session.id,
                why=relay.why,
                received_bytes=received,
                sent_bytes=sent,
            )
        )
        SESSION_CLOSED.emit(
            session=session.id,
            agent=session.name,
            why=relay.why,
            message=live.message,
            received_bytes=received,
            sent_bytes=sent,
        )


def _request(head: RequestHead) -> AgentRequest:
    try:
        return read_agent_request(head)
    except MalformedHead as error:
        raise TurnedAway(400, Reason.NOT_AN_INBOUND_AGENT, str(error)) from error


def _declined(name: str, controller: str, declined: Declined) -> TurnedAway:
    match declined.answer:
        case Answer.FORBIDDEN:
            return TurnedAway(403, Reason.HANDSHAKE_REJECTED, f"{controller}: {declined.message}")
        case Answer.UNKNOWN_NAME:
            return TurnedAway(503, Reason.CONTROLLER_UNREACHABLE, f"{controller} does not know {name} yet: try again")
        case Answer.REFUSED:
            return TurnedAway(503, Reason.HANDSHAKE_REJECTED, f"{controller} said: {declined.message}")
        case _:
            return TurnedAway(503, Reason.CONTROLLER_UNREACHABLE, f"{controller} is away: {declined.message}")
