"""Who is connected and who holds a name: every decision of the control plane about sessions, without waiting."""

import hmac
from collections import OrderedDict
from collections.abc import Container
from dataclasses import dataclass, field
from typing import Final

from broker.domain.ids import AgentId, AgentName, ControllerName
from broker.domain.reason import Reason
from broker.gateway.link import Hello, LinkedSession
from broker.ports import Session
from broker.telemetry.readings import GatewayCounts, total

CLAIM_LASTS_S: Final = 100.0
"""How long an admitted agent holds its name without a session: longer than all that its gateway does before there is
one (`settings.Limits`): a name that the controller does not know yet, a dial with its reply, a takeover of 15 s."""
_COOKIES: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A session and the gateway that relays it."""

    gateway: str
    linked: LinkedSession
    session: Session


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """An admitted agent that has no session yet; `until` is monotonic time."""

    id: str
    gateway: str
    attempt: int
    cookie: str = field(repr=False)
    until: float
    foreseen: frozenset[str] = field(default=frozenset(), repr=False)
    """The controller's cookies that need not be kept: what is shown to it, or can be worked out."""


class Occupied(Exception):
    """Somebody else holds the name."""


class Register:
    """Sessions by agent, claims by agent, and what each gateway has counted."""

    def __init__(self) -> None:
        """Knows nobody."""
        self._held: dict[AgentId, Held] = {}
        self._claims: dict[AgentId, Claim] = {}
        self._cookies: OrderedDict[AgentId, str] = OrderedDict()
        self._turned_away: OrderedDict[AgentId, tuple[int, Reason, str]] = OrderedDict()
        self._counts: dict[str, GatewayCounts] = {}
        self._past = GatewayCounts()

    def held(self, agent_id: AgentId) -> Held | None:
        """The session of an agent."""
        return self._held.get(agent_id)

    def of_name(self, controller: ControllerName, name: AgentName) -> Session | None:
        """The session under a name; looks at all of them, since it is asked for strangers only."""
        every = (held.session for held in self._held.values())
        return next((one for one in every if (one.controller, one.name) == (controller, name)), None)

    def controller_cookie(self, agent_id: AgentId) -> str:
        """The last cookie that the controller has given for an agent; empty if it is not known."""
        return self._cookies.get(agent_id, "")

    def claim(self, agent_id: AgentId, claim: Claim, now: float) -> Held | None:
        """Holds the name for a newcomer, who may ask twice; returns the session that it takes over, which ends first.

        A newcomer of a later attempt takes over in any case, one of the same attempt only with the cookie of what
        it takes over. Raises `Occupied`.
        """
        other = self._claims.get(agent_id)
        rival = other is not None and other.id != claim.id and now < other.until
        if other is not None and rival and not _may_follow(claim, other.attempt, other.cookie):
            raise Occupied
        held = self._held.get(agent_id)
        if held is not None and not _may_follow(claim, held.session.attempt, held.session.cookie):
            raise Occupied
        self._claims[agent_id] = claim
        return held

    def release(self, agent_id: AgentId, claim_id: str) -> None:
        """Lets go of a claim; one that another has followed stays."""
        claim = self._claims.get(agent_id)
        if claim is not None and claim.id == claim_id:
            del self._claims[agent_id]

    def failed(self, agent_id: AgentId, claim_id: str, reason: Reason, message: str) -> None:
        """An admitted agent did not get its session: its claim ends, and why is kept for who asks."""
        claim = self._claims.get(agent_id)
        if claim is not None and claim.id == claim_id:
            self._turned_away[agent_id] = (claim.attempt, reason, message)
            if len(self._turned_away) > _COOKIES:
                self._turned_away.popitem(last=False)
        self.release(agent_id, claim_id)

    def turned_away(self, agent_id: AgentId, attempt: int) -> tuple[Reason, str] | None:
        """Why the last knock of an attempt got no session; None if it has got one since, or never knocked."""
        last = self._turned_away.get(agent_id)
        return last[1:] if last is not None and last[0] == attempt else None

    def opened(self, gateway: str, claim_id: str, linked: LinkedSession) -> bool:
        """A session begins. False if another one holds the name: then this one has to end."""
        agent_id = AgentId(linked.agent_id)
        held = self._held.get(agent_id)
        claim = self._claims.get(agent_id)
        if held is not None and held.linked.id != linked.id:
            return False
        if claim is not None and claim.id != claim_id:
            return False
        self.release(agent_id, claim_id)
        self._hold(gateway, linked)
        return True

    def must_keep(self, claim_id: str, linked: LinkedSession) -> bool:
        """Whether the controller gave a session that is about to open a cookie that nobody could work out again."""
        claim = self._claims.get(AgentId(linked.agent_id))
        return claim is not None and claim.id == claim_id and linked.controller_cookie not in {"", *claim.foreseen}

    def closed(self, agent_id: AgentId, session_id: str) -> bool:
        """A session is over. False if it was not the agent's."""
        held = self._held.get(agent_id)
        if held is None or held.linked.id != session_id:
            return False
        del self._held[agent_id]
        return True

    def overtaken(self, hello: Hello, ending: Container[str] = ()) -> list[Held]:
        """Lets go of sessions at other gateways whose agents have come to this one since, and returns them: they end.

        Their controllers have let the later ones in, and so the earlier ones go. Those of `ending` have to end too.
        """
        found = []
        for linked in hello.sessions:
            held = self._held.get(AgentId(linked.agent_id))
            if held is None or held.gateway == hello.gateway or linked.id in ending:
                continue
            if (linked.attempt, linked.since) > (held.linked.attempt, held.linked.since):
                del self._held[AgentId(linked.agent_id)]
                found.append(held)
        return found

    def hello(self, hello: Hello, ending: Container[str] = ()) -> tuple[set[AgentId], list[LinkedSession]]:
        """Takes a gateway's full truth: the agents for whom that is news, and sessions that have to end.

        Those of `ending` have to end in any case, and count as ended.
        """
        before = {a: h.linked.id for a, h in self._held.items() if h.gateway == hello.gateway}
        for agent_id in before:
            del self._held[agent_id]
        surplus: list[LinkedSession] = []
        for linked in sorted(hello.sessions, key=lambda s: s.since):
            agent_id = AgentId(linked.agent_id)
            if agent_id in self._held or linked.id in ending:
                surplus.append(linked)
            else:
                self._hold(hello.gateway, linked)
        after = {a: h.linked.id for a, h in self._held.items() if h.gateway == hello.gateway}
        return {agent_id for agent_id, _ in before.items() ^ after.items()}, surplus

    def unlinked(self, gateway: str) -> None:
        """A gateway's link is down: its claims end; its sessions stay until it is known whether it lives."""
        self._claims = {a: c for a, c in self._claims.items() if c.gateway != gateway}

    def forget(self, gateway: str) -> set[AgentId]:
        """A gateway is no more: the agents that were connected through it."""
        lost = {a for a, h in self._held.items() if h.gateway == gateway}
        for agent_id in lost:
            del self._held[agent_id]
        last = self._counts.pop(gateway, None)
        if last is not None:
            self._past = total([self._past, last.ended()])
        return lost

    def count(self, gateway: str, counts: GatewayCounts) -> None:
        """Replaces what a gateway has counted."""
        self._counts[gateway] = counts

    def counts(self) -> GatewayCounts:
        """The sum over all gateways, past ones included: it never goes back while this register lives."""
        return total([self._past, *self._counts.values()])

    def _hold(self, gateway: str, linked: LinkedSession) -> None:
        agent_id = AgentId(linked.agent_id)
        self._turned_away.pop(agent_id, None)
        self._held[agent_id] = Held(gateway=gateway, linked=linked, session=linked.session())
        self._cookies[agent_id] = linked.controller_cookie
        self._cookies.move_to_end(agent_id)
        if len(self._cookies) > _COOKIES:
            self._cookies.popitem(last=False)


def _may_follow(newcomer: Claim, attempt: int, cookie: str) -> bool:
    if newcomer.attempt > attempt:
        return True
    known = newcomer.cookie and hmac.compare_digest(newcomer.cookie.encode(), cookie.encode())
    return newcomer.attempt == attempt and bool(known)
