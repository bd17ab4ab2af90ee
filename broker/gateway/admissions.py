"""Decides, for the control plane, whether an agent at a gateway's door may come in."""

import asyncio
import math
from collections.abc import Callable
from typing import Final

from broker.domain.ids import ControllerName
from broker.domain.reason import Reason
from broker.gateway.churn import Churn
from broker.gateway.keeping import Cookies
from broker.gateway.link import Admission, Admit, Refusal
from broker.gateway.register import CLAIM_LASTS_S, Claim, Held, Occupied, Register
from broker.inbound.websocket import derived_cookie
from broker.ports import Admitted, Clock, Doorkeeper, Knock, Refused
from broker.telemetry.events import ADMISSION_FAILED, HANDSHAKE_REFUSED

_LONGEST_S: Final = 60.0
_MARGIN_S: Final = 1.0
"""So much sooner than the gateway gives up, it has an answer with a reason."""


class Admissions:
    """The doorkeeper's word, and one session a name."""

    def __init__(
        self,
        doorkeeper: Doorkeeper,
        register: Register,
        clock: Clock,
        displace: Callable[[Held], bool],
        churn: Churn,
        cookies: Cookies,
    ) -> None:
        """`displace` has a session closed for its agent's next one; False if nobody need wait for that."""
        self._doorkeeper = doorkeeper
        self._register = register
        self._clock = clock
        self._displace = displace
        self._churn = churn
        self._cookies = cookies
        self._ending: dict[str, asyncio.Event] = {}

    def closed(self, session_id: str) -> None:
        """A session has ended: who waits to take it over may go on."""
        if session_id in self._ending:
            self._ending[session_id].set()

    def unlinked(self) -> None:
        """A gateway is away: who waits for the end of a session there need not."""
        for news in self._ending.values():
            news.set()

    async def decide(self, gateway: str, question: Admit) -> Admission | Refusal:
        """Never raises: whatever goes wrong is a refusal to be retried. An admission holds the agent's name."""
        try:
            patience = min(max(question.within_s - _MARGIN_S, _MARGIN_S), _LONGEST_S)
            async with asyncio.timeout(patience):
                held_until = self._clock.monotonic() + patience - _MARGIN_S
                while (answer := await self._answer(gateway, question, held_until)) is None:
                    pass
                return answer
        except TimeoutError:
            return _later(question, "the broker has not decided in time")
        except Exception as error:
            ADMISSION_FAILED.emit(agent=question.name, error=type(error).__name__, message=str(error))
            return _later(question, "the broker could not decide")

    async def _answer(self, gateway: str, question: Admit, held_until: float) -> Admission | Refusal | None:
        """None if it has to be asked again: the agent's last session has just been ended by its controller."""
        verdict = await self._doorkeeper.admit(_knock(question), held_until)
        if isinstance(verdict, Refused):
            reason, message = verdict.reason, verdict.message
            return Refusal(id=question.id, reason=reason, message=message, retry=verdict.retry, over=verdict.over)
        if await self._held(verdict):
            return None
        return self._too_often(question, verdict) or await self._hold(gateway, question, verdict)

    async def _held(self, verdict: Admitted) -> bool:
        """Whether it was too early to decide; now it is not."""
        until = self._churn.held_until(verdict.agent_id, self._clock.monotonic())
        if until is not None:
            await self._clock.sleep_until(until)
        return until is not None

    def _too_often(self, question: Admit, verdict: Admitted) -> Refusal | None:
        now = self._clock.monotonic()
        until = self._churn.refused_until(verdict.agent_id, now)
        if until is None:
            return None
        message = f"{self._churn.words(verdict.agent_id)}; try again in {math.ceil(until - now)} s"
        return _told(question, _later(question, message, until - now))

    async def _hold(self, gateway: str, question: Admit, verdict: Admitted) -> Admission | Refusal | None:
        shown = self._register.controller_cookie(verdict.agent_id) or await self._cookies.kept(verdict.agent_id)
        now = self._clock.monotonic()
        claim = Claim(
            id=question.id,
            gateway=gateway,
            attempt=verdict.attempt,
            cookie=question.cookie,
            until=now + CLAIM_LASTS_S,
            foreseen=frozenset({shown, derived_cookie(question.name, verdict.secret)}),
        )
        try:
            former = self._register.claim(verdict.agent_id, claim, now)
        except Occupied:
            message = f"{question.name} is already connected to this controller. Rejecting this connection."
            return _told(question, Refusal(id=question.id, reason=Reason.HANDSHAKE_REJECTED, message=message))
        admission: Admission | None = None
        try:
            if former is not None:
                await self._ended(former)
                if await self._held(verdict):
                    return None
            admission = Admission(
                id=question.id,
                agent_id=verdict.agent_id,
                attempt=verdict.attempt,
                secret=verdict.secret,
                controller=verdict.controller or question.controller,
                controller_cookie=self._register.controller_cookie(verdict.agent_id) or shown,
            )
            return admission
        finally:
            if admission is None:
                self._register.release(verdict.agent_id, question.id)

    async def _ended(self, former: Held) -> None:
        """Returns when a session has ended, or its gateway cannot be asked."""
        news = self._ending.setdefault(former.session.id, asyncio.Event())
        try:
            while self._register.held(former.session.agent_id) is former and self._displace(former):
                news.clear()
                await news.wait()
        finally:
            self._ending.pop(former.session.id, None)


def _knock(question: Admit) -> Knock:
    return Knock(
        controller=ControllerName(question.controller) if question.controller else None,
        name=question.name,
        secret=question.secret,
        cookie=question.cookie,
        protocol=question.protocol,
        peer=question.peer,
    )


def _later(question: Admit, message: str, wait_s: float = 0.0) -> Refusal:
    reason = Reason.HANDSHAKE_REJECTED
    return Refusal(id=question.id, reason=reason, message=message, retry=True, wait_s=wait_s)


def _told(question: Admit, refusal: Refusal) -> Refusal:
    told = {"why": refusal.reason, "message": refusal.message, "retry": refusal.retry}
    HANDSHAKE_REFUSED.emit(agent=question.name, controller=question.controller, peer=question.peer, **told)
    return refusal
