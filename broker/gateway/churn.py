"""Agents that come back at once: held for a moment, refused for a growing time where they do it again and again.

An agent whose Java is too old for its controller connects, dies in the first class that it loads, and comes back at
once, for ever. One whose session the controller has ended comes back while the word is on its way that this was its
last build. Pure: time comes in.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from broker.domain.ids import AgentId

SHORT_S: Final = 10.0
"""A session that lasts longer has worked."""
_LET_PASS: Final = 3
_GIVEN_UP: Final = 5
"""Short sessions in a row, over all attempts of an agent: after that nothing is expected of another one."""
_FIRST_PAUSE_S: Final = 10.0
_LONGEST_PAUSE_S: Final = 300.0
_KEPT: Final = 10_000
_CALM_S: Final = 1.0
_SIDES: Final = frozenset({"agent", "controller"})


@dataclass(frozen=True, slots=True)
class _Run:
    """Short sessions in a row; `until` is monotonic time."""

    short: int
    by: str
    until: float


class Churn:
    """How the last sessions of agents have ended. In memory: a new control plane counts anew."""

    def __init__(self) -> None:
        """Has seen none."""
        self._runs: OrderedDict[AgentId, _Run] = OrderedDict()
        self._calm: OrderedDict[AgentId, float] = OrderedDict()

    def ended(self, agent_id: AgentId, lasted_s: float, by: str, now: float) -> None:
        """A session has ended, by a side of it or for a reason of the broker's, which says nothing of the agent."""
        if by == "controller":
            self._calm[agent_id] = now + _CALM_S
            self._calm.move_to_end(agent_id)
            if len(self._calm) > _KEPT:
                self._calm.popitem(last=False)
        if lasted_s >= SHORT_S:
            self._runs.pop(agent_id, None)
        elif by in _SIDES:
            former = self._runs.pop(agent_id, None)
            short = former.short + 1 if former else 1
            pause = _FIRST_PAUSE_S * 2.0 ** min(short - _LET_PASS, 10) if short >= _LET_PASS else 0.0
            self._runs[agent_id] = _Run(short, by, now + min(pause, _LONGEST_PAUSE_S))
            if len(self._runs) > _KEPT:
                self._runs.popitem(last=False)

    def held_until(self, agent_id: AgentId, now: float) -> float | None:
        """Until when nothing is decided on the agent, in monotonic time; None if it may be."""
        until = self._calm.get(agent_id, 0.0)
        if until > now:
            return until
        self._calm.pop(agent_id, None)
        return None

    def refused_until(self, agent_id: AgentId, now: float) -> float | None:
        """Until when the agent is refused, in monotonic time; None if it is not."""
        run = self._runs.get(agent_id)
        return run.until if run is not None and run.until > now else None

    def given_up(self, agent_id: AgentId) -> bool:
        """Whether there have been so many that the agent is to end."""
        run = self._runs.get(agent_id)
        return run is not None and run.short >= _GIVEN_UP

    def words(self, agent_id: AgentId) -> str:
        """What has happened, for people; empty if nothing has."""
        run = self._runs.get(agent_id)
        if run is None:
            return ""
        return f"its last {run.short} connections ended within {SHORT_S:g} s each, the last one by the {run.by}"
