"""What happens to an agent as Jenkins is told of it: which of how many attempts, where, and how long it may take."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from broker.domain.ids import PolicyName, PoolName
from broker.domain.lifecycle import Phase
from broker.domain.policy import Retry
from broker.domain.pool import Direct
from broker.news import Told
from broker.rpc.convert_news import news
from broker.store.details import Details, to_text
from broker.store.history import Event
from broker.testing.factories import CONTROLLER, POLICY, POOL, agent_id, make_definitions, make_policy, make_pool

PLACED = Event(
    number=7,
    at=datetime(2026, 11, 23, tzinfo=UTC),
    controller=CONTROLLER,
    agent_id=agent_id(1),
    agent="linux-000001",  # type: ignore[arg-type]
    policy=POLICY,
    event="placed",
    phase=Phase.LAUNCHING,
    attempt=2,
    pool=POOL,
    why=None,
    message="",
    actor="",
    details=to_text(Details(zone="eu-1a", why="cheapest")),
)


@pytest.mark.parametrize(
    ("event", "direct", "attempts", "zone"),
    [
        (PLACED, False, 5, "eu-1a"),
        (PLACED, True, 1, "eu-1a"),
        (replace(PLACED, details=None), False, 5, ""),
        (replace(PLACED, event="booting", details=None), False, 5, ""),
        (replace(PLACED, policy=PolicyName("gone")), False, 0, "eu-1a"),
        (replace(PLACED, pool=PoolName("gone")), False, 0, "eu-1a"),
        (replace(PLACED, pool=None), False, 0, "eu-1a"),
    ],
)
def test_an_event_tells_of_how_many_attempts_it_is_and_where(
    event: Event, attempts: int, zone: str, *, direct: bool
) -> None:
    pool = make_pool(direct=Direct() if direct else None)
    definitions = make_definitions(pools=[pool], policies=[make_policy(retry=Retry(attempts=5))])
    told = news(Told(event=event), 1.0, definitions).event
    assert (told.attempt, told.attempts, told.zone, told.pool) == (2, attempts, zone, event.pool or "")


def test_how_long_it_usually_takes_is_told_where_it_is_known() -> None:
    definitions = make_definitions()
    known = news(Told(event=PLACED, usual=timedelta(seconds=38.5)), 1.0, definitions).event
    assert known.usual.ToTimedelta() == timedelta(seconds=38.5)
    assert not news(Told(event=PLACED), 1.0, definitions).event.HasField("usual")
