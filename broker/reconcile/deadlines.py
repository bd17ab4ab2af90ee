"""When the time of a phase is over."""

from datetime import datetime, timedelta

from broker.domain.agent import Agent
from broker.domain.definitions import Definitions
from broker.domain.lifecycle import Phase
from broker.domain.policy import OnTimeout, Timeouts


def deadline(definitions: Definitions, agent: Agent, phase: Phase, now: datetime) -> datetime | None:
    """The end of a phase that an agent comes to now; None where the phase has none."""
    times = definitions.timeouts_of(agent.policy)
    if phase == Phase.REQUESTED:
        return queue_deadline(now, times)
    lengths: dict[Phase, timedelta] = {
        Phase.LAUNCHING: times.launch,
        Phase.BOOTING: times.boot,
        Phase.CONNECTING: times.connect,
        Phase.RECONNECTING: times.reconnect,
        Phase.DRAINING: times.drain,
    }
    if phase == Phase.ONLINE:
        return (agent.online_at or now) + definitions.retention_of(agent.policy).max_lifetime
    return now + lengths[phase] if phase in lengths else None


def queue_deadline(waits_since: datetime, times: Timeouts) -> datetime | None:
    """When an agent that waits for a place fails; None if it waits without end."""
    return waits_since + times.queue if times.on_timeout == OnTimeout.FAIL else None
