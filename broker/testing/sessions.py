"""Doubles for what the core hears and says beside the backends: who is connected, and who shall look again."""

from datetime import datetime

from broker.domain.agent import Agent
from broker.domain.ids import AgentId, AgentName, ControllerName, HostId
from broker.domain.reason import Reason
from broker.ports import Nudge, Session
from broker.testing.clock import EPOCH


class FakeSessions:
    """A `ports.Sessions` in which a test connects and disconnects agents. Changes nudge, as the real one's do."""

    def __init__(self, nudge: Nudge | None = None, *, known: bool = True) -> None:
        """Starts without any session."""
        self.ended: list[tuple[AgentId, str]] = []
        """Every session closed by `end`, with the message."""
        self._nudge = nudge
        self._known = known
        self._live: dict[AgentId, Session] = {}
        self._churned: dict[AgentId, str] = {}
        self._turned_away: dict[AgentId, tuple[int, Reason, str]] = {}

    def known(self) -> bool:
        """Whether absence means anything."""
        return self._known

    def live(self, agent_id: AgentId) -> Session | None:
        """The session that a test opened."""
        return self._live.get(agent_id)

    def of_name(self, controller: ControllerName, name: AgentName) -> Session | None:
        """The session under a name."""
        return next((s for s in self._live.values() if (s.controller, s.name) == (controller, name)), None)

    def turned_away(self, agent_id: AgentId, attempt: int) -> tuple[Reason, str] | None:
        """What a test said with `turn_away`."""
        last = self._turned_away.get(agent_id)
        return last[1:] if last is not None and last[0] == attempt else None

    def churned(self, agent_id: AgentId) -> str:
        """What a test said with `churn`."""
        return self._churned.get(agent_id, "")

    async def end(self, agent_id: AgentId, message: str) -> None:
        """Closes the agent's session and notes it."""
        if agent_id in self._live:
            self.ended.append((agent_id, message))
            self.disconnect(agent_id)

    def connect(self, agent: Agent, *, cookie: str = "cookie", since: datetime = EPOCH) -> Session:
        """The agent's last attempt comes in."""
        session = Session(
            id=f"session-{agent.name}-{agent.attempt}",
            agent_id=agent.id,
            controller=agent.controller,
            name=agent.name,
            attempt=agent.attempt,
            protocol="websocket",
            peer="127.0.0.1:40000",
            since=since,
            cookie=cookie,
        )
        self._live[agent.id] = session
        self._turned_away.pop(agent.id, None)
        self._tell(agent.id)
        return session

    def turn_away(self, agent: Agent, reason: Reason, message: str) -> None:
        """The agent's last attempt knocks, and gets no session."""
        self._turned_away[agent.id] = (agent.attempt, reason, message)

    def churn(self, agent: Agent, words: str) -> None:
        """The agent's connections end as soon as they have begun."""
        self._churned[agent.id] = words
        self._tell(agent.id)

    def resume(self, session: Session) -> None:
        """A gateway that has lived on tells of a session again."""
        self._live[session.agent_id] = session
        self._tell(session.agent_id)

    def all(self) -> tuple[Session, ...]:
        """Who is connected now."""
        return tuple(self._live.values())

    def disconnect(self, agent_id: AgentId) -> None:
        """The session is lost."""
        self._live.pop(agent_id, None)
        self._tell(agent_id)

    def lose_link(self) -> None:
        """The gateway is out of sight: nothing is known until `regain_link`."""
        self._known = False

    def regain_link(self) -> None:
        """The gateway has told its sessions again."""
        self._known = True

    def _tell(self, agent_id: AgentId) -> None:
        if self._nudge is not None:
            self._nudge.agent(agent_id)


class RecordingNudge:
    """A `ports.Nudge` that remembers what it was asked to look at."""

    def __init__(self) -> None:
        """Starts with nothing asked."""
        self.agents: list[AgentId] = []
        self.hosts_nudged: list[HostId] = []
        self.placements = 0

    def agent(self, agent_id: AgentId) -> None:
        """Notes the agent."""
        self.agents.append(agent_id)

    def placement(self) -> None:
        """Counts."""
        self.placements += 1

    def host(self, host_id: HostId) -> None:
        """Notes the host."""
        self.hosts_nudged.append(host_id)

    def hosts(self) -> None:
        """Nothing."""
