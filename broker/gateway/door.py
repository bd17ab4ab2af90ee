"""Lets an agent in: its request, the control plane's word, the controller's word, then the relay."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field, replace
from typing import Any, Final

from broker.domain.reason import Reason
from broker.gateway.link import Admission, Admit, Closed, Failed, Opened, Refusal
from broker.gateway.linkclient import ControlLink, LinkAway, new_id
from broker.gateway.live import LiveSession, LiveSessions
from broker.gateway.mixed import MixedRelay
from broker.gateway.presence import Presence
from broker.gateway.relay import Relay
from broker.gateway.settings import Limits
from broker.gateway.upstream import Upstream
from broker.gateway.waiting import Reactor
from broker.gateway.word import Accepted, Declined, Protocol
from broker.inbound.descriptor import Descriptor
from broker.inbound.websocket import AgentRequest, Answer, derived_cookie, new_cookie
from broker.telemetry.events import HANDSHAKE_REFUSED, SESSION_CLOSED, SESSION_OPENED

_LONGEST_S: Final = 600.0
"""Beyond what all steps of a controller's decision may take together."""
_LEFT: Final = "the agent left before it was decided on"


class TurnedAway(Exception):
    """An agent does not get in. 403 is for ever, 503 for now; an agent backs off from either."""

    def __init__(self, status: int, reason: Reason, message: str, *, logged: bool = False, over: bool = False) -> None:
        """`message` is for people, in the log and in the reply; `logged` if the control plane has told it already.

        `over`: the agent is who it says, and is to leave.
        """
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.message = message
        self.logged = logged
        self.over = over


@dataclass(slots=True, kw_only=True)
class Admitted:
    """An agent whom the control plane takes, and whose name it holds."""

    controller: str
    request: AgentRequest
    protocol: Protocol
    admission: Admission


@dataclass(slots=True, kw_only=True)
class Entry(Admitted):
    """An agent whom control plane and controller take, and who does not know it yet."""

    accepted: Accepted
    cookie: str = field(repr=False)
    """What the agent is to show next time."""


Settle = Callable[[Entry], Awaitable[bytes]]
"""Lets the agent know, and gives what its session begins with. Raises `TurnedAway`, OSError, EOFError, `Malformed`."""


class Door:
    """What agents of either protocol pass: the control plane's word, then the controller's, then their session."""

    def __init__(
        self,
        limits: Limits,
        upstream: Upstream,
        link: ControlLink,
        live: LiveSessions,
        reactor: Reactor,
        presence: Presence,
    ) -> None:
        """Uses them all; owns none."""
        self._presence = presence
        self._limits = limits
        self._upstream = upstream
        self._link = link
        self._live = live
        self._reactor = reactor

    async def let_in(
        self, leg: Descriptor, controller: str, request: AgentRequest, protocol: Protocol, settle: Settle
    ) -> None:
        """The agent's session begins, which closes the leg. `controller` is empty where the agent has not said it.

        Raises `TurnedAway`, and what `settle` raises; then the leg is as it was.
        """
        entry = await self._while_there(leg, self._decided(leg, controller, request, protocol))
        settled = False
        failed = TurnedAway(503, Reason.HANDSHAKE_REJECTED, "the handshake was given up")
        try:
            first = await settle(entry)
            settled = True
        except TurnedAway as away:
            failed = away
            raise
        finally:
            if not settled:
                entry.accepted.leg.close()
                self._give_up(entry, failed)
        self._relay(leg, entry, first)

    async def ask_again(self, leg: Descriptor, entry: Entry, capability: str) -> None:
        """Asks the controller anew, for an agent that says something else of its channel than was told."""
        entry.accepted.leg.close()
        entry.request = replace(entry.request, capability=capability)
        cookie = entry.accepted.cookie
        entry.admission = entry.admission.model_copy(update={"controller_cookie": cookie})
        until = asyncio.get_running_loop().time() + self._limits.whole_s
        entry.accepted = (await self._while_there(leg, self._accepted(entry, until))).accepted

    def refused(
        self, protocol: Protocol, leg: Descriptor, away: TurnedAway, *, controller: str = "", name: str = ""
    ) -> None:
        """Counts an agent that does not get in, and tells of it."""
        self._live.refused(protocol, away.reason)
        if not away.logged:
            told = {"status": away.status, "why": away.reason, "message": away.message}
            HANDSHAKE_REFUSED.emit(controller=controller, agent=name, peer=leg.peer, **told)

    async def _while_there(self, leg: Descriptor, deciding: Coroutine[Any, Any, Entry | TurnedAway]) -> Entry:
        """What is decided; raises `TurnedAway` for a refusal, or if the agent leaves, which stops the deciding."""
        async with asyncio.TaskGroup() as group:
            decision = group.create_task(deciding, name="door:decide")
            gone = group.create_task(leg.gone(asyncio.get_running_loop().time() + _LONGEST_S), name="door:gone")
            await asyncio.wait({decision, gone}, return_when=asyncio.FIRST_COMPLETED)
            left = gone.done()
            decision.cancel()
            gone.cancel()
        decided = None if decision.cancelled() else decision.result()
        if isinstance(decided, TurnedAway):
            raise decided
        if decided is None or left:
            away = TurnedAway(408, Reason.HANDSHAKE_REJECTED, _LEFT)
            if decided is not None:
                decided.accepted.leg.close()
                self._give_up(decided, away)
            raise away
        return decided

    async def _decided(
        self, leg: Descriptor, controller: str, request: AgentRequest, protocol: Protocol
    ) -> Entry | TurnedAway:
        loop = asyncio.get_running_loop()
        asked = loop.time()
        try:
            admission = await self._admission(leg, controller, request, protocol)
        except TurnedAway as away:
            return away
        whose = admission.controller or controller
        admitted = Admitted(controller=whose, request=request, protocol=protocol, admission=admission)
        held_s = loop.time() - asked
        decided: Entry | TurnedAway = TurnedAway(408, Reason.HANDSHAKE_REJECTED, _LEFT)
        try:
            decided = await self._accepted(admitted, leg.since + self._limits.whole_s + held_s)
        finally:
            if isinstance(decided, TurnedAway):
                self._give_up(admitted, decided)
        return decided

    async def _admission(
        self, leg: Descriptor, controller: str, request: AgentRequest, protocol: Protocol
    ) -> Admission:
        question = Admit(
            id=new_id(),
            controller=controller,
            name=request.name,
            secret=request.secret,
            cookie=request.cookie,
            protocol=protocol,
            peer=leg.peer,
        )
        try:
            answer = await self._link.admit(question, self._limits.admit_s)
        except LinkAway as error:
            raise TurnedAway(503, Reason.HANDSHAKE_REJECTED, f"try again: {error}") from error
        if isinstance(answer, Refusal):
            status = 503 if answer.retry else 403
            raise TurnedAway(status, answer.reason, answer.message, logged=True, over=answer.over)
        return answer

    async def _accepted(self, admitted: Admitted, until: float) -> Entry | TurnedAway:
        """The controller's word."""
        admission, request = admitted.admission, admitted.request
        cookie = admission.controller_cookie or derived_cookie(request.name, admission.secret)
        ends = admitted.protocol is Protocol.WEBSOCKET
        try:
            async with asyncio.timeout_at(until):
                answer = await self._upstream.open(
                    admitted.controller, request, secret=admission.secret, cookie=cookie, ends=ends
                )
        except TimeoutError:
            message = f"{admitted.controller} has not decided within {self._limits.whole_s:g} s: try again"
            return TurnedAway(503, Reason.CONTROLLER_UNREACHABLE, message)
        if isinstance(answer, Declined):
            return _declined(request.name, admitted.controller, answer)
        return Entry(
            controller=admitted.controller,
            request=request,
            protocol=admitted.protocol,
            admission=admission,
            accepted=answer,
            cookie=request.cookie or new_cookie(),
        )

    def _give_up(self, admitted: Admitted, failed: TurnedAway) -> None:
        """Lets go of the agent's name."""
        admission = admitted.admission
        told = Failed(id=admission.id, agent_id=admission.agent_id, reason=failed.reason, message=failed.message)
        self._link.tell(told)

    def _relay(self, leg: Descriptor, entry: Entry, first: bytes) -> None:
        """Begins the session; from here on it needs no task."""
        accepted, admission, name = entry.accepted, entry.admission, entry.request.name
        live = LiveSession(
            id=new_id(),
            agent_id=admission.agent_id,
            controller=entry.controller,
            name=name,
            attempt=admission.attempt,
            protocol=entry.protocol,
            peer=leg.peer,
            since=time.time(),
            cookie=entry.cookie,
            controller_cookie=accepted.cookie,
            relay=self._between(leg, entry),
        )
        for connection in (leg, accepted.leg):
            self._presence.be_patient(connection.sock)
        self._live.opened(live, time.monotonic() - leg.since)
        self._link.tell(Opened(id=admission.id, session=live.linked()))
        SESSION_OPENED.emit(session=live.id, controller=live.controller, agent=name, peer=live.peer)
        if first:
            live.relay.give(live.relay.agent, first)
        live.relay.start()

    def _between(self, leg: Descriptor, entry: Entry) -> Relay:
        agents = entry.protocol is Protocol.WEBSOCKET
        if agents == (entry.accepted.head is not None):
            return Relay(leg, entry.accepted.leg, self._reactor, self._over)
        return MixedRelay(leg, entry.accepted.leg, self._reactor, self._over, agents=agents, presence=self._presence)

    def _over(self, relay: Relay) -> None:
        live = self._live.closed(relay)
        received, sent = relay.received_bytes, relay.sent_bytes
        closed = Closed(
            agent_id=live.agent_id,
            session=live.id,
            why=relay.why,
            received_bytes=received,
            sent_bytes=sent,
            lasted_s=max(0.0, time.time() - live.since),
        )
        self._link.tell(closed)
        told = closed.model_dump(include={"why", "received_bytes", "sent_bytes"})
        SESSION_CLOSED.emit(session=live.id, agent=live.name, message=live.message, **told)


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
