"""Agents as rows: accepted once, changed only as the table allows, never by somebody who read too early."""

import itertools
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError

from broker.domain.ids import AgentId, AgentName, ControllerName, InstanceRef, LaunchToken
from broker.domain.lifecycle import Phase, may_follow
from broker.domain.reason import Reason
from broker.errors import Conflict, NotFound, StoreUnavailable
from broker.store import schema
from broker.store.agents import Agents
from broker.store.engine import Database
from broker.store.reports import Report
from broker.testing.clock import EPOCH
from broker.testing.factories import CONTROLLER, agent_id, agent_name, make_agent
from tests.unit.store.world import events_of

SECOND = timedelta(seconds=1)


async def test_an_accepted_agent_is_read_as_it_was_given(agents: Agents) -> None:
    full = make_agent(
        deadline=EPOCH + timedelta(microseconds=1),
        why=Reason.POOL_AT_LIMIT,
        message="ä\n'\";",
        online_at=EPOCH,
        busy=True,
        uses=3,
        sealed_secret=bytes(range(256)),
    )
    await agents.accept([full])
    assert await agents.get(full.id) == full
    assert await agents.by_name(CONTROLLER, full.name) == full
    assert await agents.live() == [full]


async def test_a_nul_which_no_postgresql_text_can_hold_is_kept_as_its_picture(agents: Agents) -> None:
    await agents.accept([make_agent(job="a\x00b")])
    assert (await agents.get(agent_id(1))).job == "a\u2400b"


async def test_accepting_a_name_again_gives_the_agent_as_it_stands(agents: Agents, database: Database) -> None:
    first, second = make_agent(1), make_agent(2)
    await agents.accept([first])
    again = replace(first, id=agent_id(9), job="another")
    assert await agents.accept([again, second, again]) == [first, second, first]
    assert await agents.live() == [first, second]
    assert await events_of(database, first.id) == ["requested"]
    assert await events_of(database, agent_id(9)) == []


async def test_a_name_asked_for_twice_in_one_call_is_one_agent(agents: Agents) -> None:
    twin = replace(make_agent(1), id=agent_id(9))
    accepted = await agents.accept([make_agent(1), twin])
    assert accepted[0] == accepted[1]
    assert len(await agents.live()) == 1


async def test_accepting_is_all_or_none(agents: Agents) -> None:
    broken = replace(make_agent(2), id=agent_id(1))  # the id is taken: the second row cannot be written
    with pytest.raises(StoreUnavailable):
        await agents.accept([make_agent(1), broken])
    assert await agents.live() == []


async def test_one_name_of_two_controllers_is_two_agents_to_the_store(agents: Agents) -> None:
    theirs = make_agent(2, name=agent_name(1), controller=ControllerName("other"))
    await agents.accept([make_agent(1), theirs])
    assert await agents.by_name(CONTROLLER, agent_name(1)) == make_agent(1)
    assert await agents.users_of([agent_name(1)], CONTROLLER) == {agent_name(1)}
    assert await agents.live(ControllerName("other")) == [theirs]


async def test_more_names_than_one_statement_holds_are_found(agents: Agents) -> None:
    many = [make_agent(n) for n in range(1, 1001)]
    assert len(await agents.accept(many)) == 1000
    found = await agents.by_names(CONTROLLER, [agent_name(n) for n in range(500, 1200)])
    assert len(found) == 501


async def test_an_unknown_agent_is_not_found(agents: Agents) -> None:
    with pytest.raises(NotFound, match=agent_id(1)):
        await agents.get(agent_id(1))
    assert await agents.by_name(CONTROLLER, AgentName("x")) is None


async def test_exactly_the_allowed_changes_of_phase_are_accepted(agents: Agents) -> None:
    pairs = list(itertools.product(Phase, Phase))
    rows = [make_agent(n, phase=before) for n, (before, _) in enumerate(pairs, start=1)]
    await agents.accept(rows)
    refused = set()
    for row, (before, after) in zip(rows, pairs, strict=True):
        try:
            await agents.change(row, replace(row, phase=after), "moved", EPOCH)
        except ValueError:
            refused.add((before, after))
            assert (await agents.get(row.id)) == row
        else:
            assert (await agents.get(row.id)).phase == after
    assert refused == {(b, a) for b, a in pairs if b != a and not may_follow(b, a)}


async def test_a_change_of_a_row_that_has_changed_is_a_conflict_and_writes_nothing(
    agents: Agents, database: Database
) -> None:
    before = make_agent()
    await agents.accept([before])
    changed = await agents.change(before, replace(before, message="first"), "noted", EPOCH)
    assert changed.version == before.version + 1
    with pytest.raises(Conflict):
        await agents.change(before, replace(before, phase=Phase.LAUNCHING), "moved", EPOCH)
    assert await agents.get(before.id) == changed
    assert await events_of(database, before.id) == ["requested", "noted"]


async def test_a_change_without_its_history_event_does_not_happen(agents: Agents) -> None:
    before = make_agent()
    await agents.accept([before])
    nothing: str = None  # type: ignore[assignment] # an event that cannot be written
    with pytest.raises(StoreUnavailable):
        await agents.change(before, replace(before, phase=Phase.LAUNCHING), nothing, EPOCH)
    assert await agents.get(before.id) == before


async def test_an_instance_is_noted_whatever_else_has_changed(agents: Agents) -> None:
    read = make_agent(phase=Phase.LAUNCHING, attempt=1, token=LaunchToken("t-1"))
    await agents.accept([read])
    await agents.change(read, replace(read, message="news"), "noted", EPOCH)
    noted = await agents.record_instance(read.id, LaunchToken("t-1"), InstanceRef("i-1"))
    assert (noted.instance, noted.message) == ("i-1", "news")
    assert await agents.get(read.id) == noted


async def test_an_instance_of_an_attempt_that_is_over_is_a_conflict(agents: Agents) -> None:
    await agents.accept([make_agent(token=LaunchToken("t-2"))])
    with pytest.raises(Conflict):
        await agents.record_instance(agent_id(1), LaunchToken("t-1"), InstanceRef("i-1"))
    assert (await agents.get(agent_id(1))).instance is None


async def test_uses_never_go_back(agents: Agents) -> None:
    await agents.accept([make_agent()])
    for uses in (1, 3, 2, 0):
        await agents.report([Report(agent_id=agent_id(1), busy=uses == 2, uses=uses)])
    agent = await agents.get(agent_id(1))
    assert (agent.uses, agent.busy) == (3, False)


async def test_a_report_that_says_nothing_new_changes_nothing(agents: Agents) -> None:
    await agents.accept([make_agent()])
    await agents.report([Report(agent_id=agent_id(1), busy=False, uses=0)])
    await agents.report([])
    await agents.report([Report(agent_id=AgentId("nobody"), busy=True, uses=1)])
    assert await agents.get(agent_id(1)) == make_agent()


async def test_deadlines_move_only_in_the_phases_asked_for(agents: Agents) -> None:
    rows = [
        make_agent(1, phase=Phase.CONNECTING, deadline=EPOCH),
        make_agent(2, phase=Phase.ONLINE, deadline=EPOCH),
        make_agent(3, phase=Phase.CONNECTING),
        make_agent(4, phase=Phase.CONNECTING, deadline=EPOCH),
    ]
    await agents.accept(rows)
    await agents.extend_deadlines([agent_id(n) for n in (1, 2, 3)], [Phase.CONNECTING], timedelta(seconds=1.5))
    now = [await agents.get(agent_id(n)) for n in (1, 2, 3, 4)]
    assert [a.deadline for a in now] == [EPOCH + timedelta(seconds=1.5), EPOCH, None, EPOCH]
    assert [a.version for a in now] == [2, 1, 1, 1], "whoever has read a row sees that it is another one"


async def test_the_oldest_request_comes_first(agents: Agents) -> None:
    await agents.accept([make_agent(n, requested_at=EPOCH - n * SECOND) for n in (1, 3, 2)])
    assert [a.id for a in await agents.live()] == [agent_id(3), agent_id(2), agent_id(1)]


async def test_the_database_itself_refuses_a_name_twice(agents: Agents, database: Database) -> None:
    await agents.accept([make_agent()])
    values = {f: getattr(make_agent(), f) for f in make_agent().__slots__} | {"id": agent_id(2)}
    with pytest.raises(StoreUnavailable) as raised:
        await database.transaction(lambda connection: connection.execute(insert(schema.agents).values(**values)))
    assert isinstance(raised.value.__cause__, IntegrityError)
