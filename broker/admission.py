"""Who may come in through the gateway: name, minted secret, attempt, phase (design D4)."""

import hmac
from collections import Counter
from collections.abc import Callable
from typing import Final

from broker.domain.agent import Agent
from broker.domain.definitions import Definitions
from broker.domain.ids import AgentId, AgentName, ControllerName
from broker.domain.lifecycle import Goal, Phase
from broker.domain.reason import Reason
from broker.keys import Keyring
from broker.ports import Admitted, Knock, Refused
from broker.reconcile.presence import Presence
from broker.store.agents import Agents
from broker.store.cookies import SealedCookies
from broker.telemetry import events

_OPEN: Final = frozenset(
    {Phase.LAUNCHING, Phase.BOOTING, Phase.CONNECTING, Phase.ONLINE, Phase.RECONNECTING, Phase.DRAINING},
)
_NOBODY: Final = AgentId("0" * 32)
HELD: Final = 256
"""Agents of one controller that wait for it at the door at one time: a quarter of what a gateway may ask at once, so
that a controller that stays away does not keep the others' agents out."""


class Admission:
    """The doorkeeper of the gateway: `ports.Doorkeeper`."""

    def __init__(
        self,
        agents: Agents,
        presence: Presence,
        keyring: Keyring,
        definitions: Callable[[], Definitions],
    ) -> None:
        """Reads; changes nothing."""
        self._agents = agents
        self._presence = presence
        self._keyring = keyring
        self._definitions = definitions
        self._held: Counter[ControllerName] = Counter()

    async def admit(self, knock: Knock, until: float = 0.0) -> Admitted | Refused:
        """Lets in the agent whose attempt lives and whose secret is that attempt's.

        While its controller is away or has not told its nodes, it is held: an agent that is told to try again does so
        after 7 to 10 s. No more than `HELD` of one controller are.
        """
        news = self._presence.next_news()
        agent, verdict = await self._judge(knock)
        if agent is not None and _waits(verdict) and self._held[agent.controller] < HELD:
            self._held[agent.controller] += 1
            try:
                while _waits(verdict) and await self._presence.wait(news, until):
                    news = self._presence.next_news()
                    _, verdict = await self._judge(knock)
            finally:
                self._held[agent.controller] -= 1
        if isinstance(verdict, Refused):
            whose = knock.controller or (agent.controller if agent else "")
            told = {"why": verdict.reason, "message": verdict.message, "retry": verdict.retry}
            events.HANDSHAKE_REFUSED.emit(agent=knock.name[:80], controller=whose, peer=knock.peer, **told)
        return verdict

    async def _judge(self, knock: Knock) -> tuple[Agent | None, Admitted | Refused]:
        candidates = await self._candidates(knock)
        agent = self._owner_of(knock.secret, candidates)
        if agent is None:
            return None, self._wrong(knock, candidates)
        refused = self._check_life(agent)
        if refused is not None:
            return agent, refused
        secret = self._keyring.unseal(agent.sealed_secret)
        return agent, Admitted(agent_id=agent.id, attempt=agent.attempt, secret=secret, controller=agent.controller)

    async def _candidates(self, knock: Knock) -> list[Agent]:
        """The agents of that name: of the controller that the knock names, or of any."""
        if knock.controller is None:
            return await self._agents.by_any_controller(AgentName(knock.name))
        found = await self._agents.by_name(knock.controller, AgentName(knock.name))
        return [found] if found is not None else []

    def _owner_of(self, secret: str, candidates: list[Agent]) -> Agent | None:
        """Whose secret it is; looks at all of them, and at one if there is none, so that the time tells nothing."""
        if not candidates:
            hmac.compare_digest(self._keyring.mint(_NOBODY, 1).encode(), secret.encode())
        found = None
        for agent in candidates:
            if hmac.compare_digest(self._keyring.mint(agent.id, agent.attempt).encode(), secret.encode()):
                found = agent
        return found

    def _wrong(self, knock: Knock, candidates: list[Agent]) -> Refused:
        shown = knock.secret.encode()
        if not candidates:
            return Refused(reason=Reason.HANDSHAKE_REJECTED, message=f"no agent {knock.name[:80]} was asked for")
        for agent in candidates:
            earlier = (self._keyring.mint(agent.id, attempt) for attempt in range(1, agent.attempt))
            if any(hmac.compare_digest(old.encode(), shown) for old in earlier):
                over = f"the secret of {agent.name} belongs to an attempt that is over"
                words = f"{over}; attempt {agent.attempt} is on"
                return Refused(reason=Reason.HANDSHAKE_REJECTED, message=words, over=True)
        return Refused(reason=Reason.HANDSHAKE_REJECTED, message=f"wrong secret for {knock.name[:80]}")

    def _check_life(self, agent: Agent) -> Refused | None:
        if agent.goal == Goal.GONE or agent.phase not in _OPEN:
            why = f": {agent.why}" if agent.why else ""
            words = f"agent {agent.name} is over{why}"
            return Refused(reason=Reason.HANDSHAKE_REJECTED, message=words, over=True)
        if self._definitions().used_up(agent) and not agent.busy:
            return Refused(reason=Reason.HANDSHAKE_REJECTED, message=f"agent {agent.name} has done its last build")
        if self._presence.away(agent.controller):
            message = f"controller {agent.controller} is away; try again"
            return Refused(reason=Reason.CONTROLLER_UNREACHABLE, message=message, retry=True)
        if not self._presence.synced(agent.controller):
            message = f"controller {agent.controller} has not told its nodes yet; try again"
            return Refused(reason=Reason.CONTROLLER_UNREACHABLE, message=message, retry=True)
        return None


class KeptCookies:
    """The cookies that controllers gave agents, sealed at rest: who has one may take the agent's place there."""

    def __init__(self, cookies: SealedCookies, keyring: Keyring) -> None:
        """Reads and writes; owns neither."""
        self._cookies = cookies
        self._keyring = keyring

    async def keep(self, agent_id: AgentId, cookie: str) -> None:
        """Takes the place of the former one. Raises `StoreError`."""
        await self._cookies.keep(agent_id, self._keyring.seal(cookie))

    async def kept(self, agent_id: AgentId) -> str:
        """The last one; empty if there is none. Raises `StoreError`."""
        sealed = await self._cookies.of(agent_id)
        return self._keyring.unseal(sealed) if sealed is not None else ""


def _waits(verdict: Admitted | Refused) -> bool:
    """Whether it is the controller's absence alone that keeps an agent out."""
    return isinstance(verdict, Refused) and verdict.retry and verdict.reason == Reason.CONTROLLER_UNREACHABLE
