"""What may be expected, from what was of late: when a place will be free, and whether a start was slow."""

from datetime import datetime, timedelta
from typing import Final

from broker.domain.agent import Agent
from broker.domain.lifecycle import Phase
from broker.domain.reason import Reason
from broker.views.snapshot import Snapshot

_SLOW: Final = 1.5
"""So many times the median is slower than usual."""
_MINUTE: Final = timedelta(minutes=1)


def in_words(agent: Agent, snapshot: Snapshot) -> str:
    """When the place that an agent waits for is expected to be free; empty where nobody can say.

    That is at a limit on agents, when as many of those that hold it have lived as long as agents of their policy do.
    """
    position = snapshot.position(agent)
    if position is None:
        return ""
    ends = sorted(e for other in snapshot.agents if _shares(other, agent, snapshot) and (e := _end(other, snapshot)))
    if len(ends) < position:
        return ""
    left = ends[position - 1] - snapshot.now
    return f"the next is expected free in {about(left)}" if position == 1 else f"its turn is expected in {about(left)}"


def late(agent: Agent, usual: timedelta | None) -> str:
    """That it took clearly longer to come online than its pool's agents do; empty where it did not."""
    if usual is None or agent.online_at is None or agent.placed_at is None:
        return ""
    took = agent.online_at - agent.placed_at
    if took <= usual * _SLOW or took - usual < timedelta(seconds=1):
        return ""
    return (
        f"it was online {took.total_seconds():.1f} s after its place was found "
        f"(median of pool {agent.pool} {usual.total_seconds():.1f} s)"
    )


def about(length: timedelta) -> str:
    """A length as people guess it: less than a minute, about 3 min, about 2 h."""
    if length < _MINUTE:
        return "less than a minute"
    minutes = round(length / _MINUTE)
    return f"about {minutes} min" if minutes < 100 else f"about {round(minutes / 60)} h"


def _shares(other: Agent, agent: Agent, snapshot: Snapshot) -> bool:
    """Whether the other's end makes room under the limit that the agent waits for."""
    match agent.why:
        case Reason.POLICY_AT_LIMIT:
            return other.policy == agent.policy
        case Reason.CONTROLLER_AT_LIMIT:
            return other.controller == agent.controller
        case Reason.POOL_AT_LIMIT:
            return other.pool in _chain(agent, snapshot)
        case Reason.JOB_AT_LIMIT:
            return (other.controller, other.job) == (agent.controller, agent.job)
        case reason:
            return reason is Reason.BROKER_AT_LIMIT


def _chain(agent: Agent, snapshot: Snapshot) -> tuple[str, ...]:
    policy = snapshot.definitions.policies.get(agent.policy)
    return policy.chain if policy else ()


def _end(agent: Agent, snapshot: Snapshot) -> datetime | None:
    """When an agent that holds a place will have lived as long as agents of its policy do."""
    life = snapshot.lives.get(agent.policy)
    if life is None or agent.placed_at is None or agent.phase in {Phase.REQUESTED, Phase.GONE}:
        return None
    return max(snapshot.now, agent.placed_at + life)
