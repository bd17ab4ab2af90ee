"""What happens to agents, as messages of a stream."""

from datetime import timedelta
from typing import Final

from broker.domain.definitions import Definitions
from broker.domain.reason import hint
from broker.news import PLACED, CaughtUp, Item, Resync, Told
from broker.rpc.convert import InvalidMessage, duration, timestamp
from broker.store.details import from_text
from broker.wire.v1 import agents_pb2 as wire

LONGEST_MESSAGE: Final = 16_000


def watch_after(request: wire.WatchAgentsRequest) -> int:
    """Where a stream goes on."""
    if request.after < 0:
        raise InvalidMessage(f"after is {request.after}; it must be the number of a heartbeat, or 0")
    return request.after


def news(item: Item, beat_s: float, definitions: Definitions) -> wire.WatchAgentsReply:
    """One message of a stream."""
    match item:
        case Resync():
            return wire.WatchAgentsReply(resync=wire.Resync(newest=item.newest))
        case CaughtUp():
            interval = duration(timedelta(seconds=beat_s))
            return wire.WatchAgentsReply(heartbeat=wire.Heartbeat(number=item.number, interval=interval))
        case Told():
            return wire.WatchAgentsReply(event=_event(item, _attempts(item, definitions)))


def _attempts(told: Told, definitions: Definitions) -> int:
    """How often its policy has an agent launched, refusals for want of room not counted; one that connects by itself is
    launched once; 0: no longer configured."""
    policy = definitions.policies.get(told.event.policy)
    pool = definitions.pools.get(told.event.pool) if told.event.pool else None
    if policy is None or pool is None:
        return 0
    return 1 if pool.direct else max(policy.retry.attempts, told.event.attempt)


def _event(told: Told, attempts: int) -> wire.AgentEvent:
    event = told.event
    return wire.AgentEvent(
        number=event.number,
        agent=event.agent,
        at=timestamp(event.at),
        event=event.event,
        phase=event.phase or "",
        attempt=event.attempt,
        pool=event.pool or "",
        reason=event.why or "",
        message=event.message[:LONGEST_MESSAGE],
        hint=hint(event.why) if event.why else "",
        outcome=told.outcome or "",
        attempts=attempts,
        usual=duration(told.usual) if told.usual is not None else None,
        zone=from_text(event.details).zone if event.event == PLACED else "",
    )
