"""Instances that belong to nobody are ended; everything else is left alone (I2)."""

from pathlib import Path

import pytest

from broker.domain.ids import InstanceRef
from broker.domain.instance import Instance, InstanceState
from broker.domain.lifecycle import Phase
from broker.errors import BackendError, BackendRejected, OutcomeUnknown
from broker.reconcile.orphans import GRACE_S
from broker.reconcile.presence import SILENT_S
from broker.testing.clock import ManualClock
from broker.testing.factories import BACKEND, agent_id, make_agent, make_spec
from tests.core import Core, open_core

NAME = "linux-000001"


def stray(core: Core, n: int = 99) -> InstanceRef:
    """An instance of an agent that this broker never had."""
    return core.backend.ledger.create(make_spec(n), InstanceState.RUNNING)


async def search(core: Core, *pauses: float) -> list[int]:
    """Rounds with pauses before each; how many orphans each has ended. Jenkins has told its nodes."""
    await core.sync()
    ended = []
    for pause in pauses:
        await core.clock.advance(pause)
        ended.append(await core.orphans.search(BACKEND))
    return ended


async def test_an_instance_of_nobody_is_ended_after_its_grace_and_not_before(core: Core) -> None:
    stray(core)
    assert await search(core, 0, GRACE_S - 1) == [0, 0]
    assert len(core.backend.ledger.instances) == 1
    assert await search(core, 1) == [1]
    assert core.backend.ledger.instances == {}
    assert await search(core, 60) == [0]


async def test_what_may_be_a_node_that_a_restored_backup_has_forgotten_is_left_alone(core: Core) -> None:
    stray(core)
    core.says(NAME, online=False)
    assert await search(core, 0, GRACE_S, GRACE_S) == [0, 0, 0]
    core.nodes.clear()
    assert await search(core, 0, GRACE_S) == [0, 1]


async def test_a_node_that_nobody_knows_and_jenkins_cannot_remove_lets_no_instance_live_for_ever(core: Core) -> None:
    stray(core)
    core.says(NAME, online=False)
    assert await search(core, 0, GRACE_S, SILENT_S - GRACE_S - 1) == [0, 0, 0]
    assert await search(core, 1, GRACE_S) == [0, 1]


async def test_until_jenkins_has_told_its_nodes_nothing_is_ended_but_not_for_ever(core: Core) -> None:
    stray(core)
    for _ in range(3):
        await core.clock.advance(GRACE_S)
        assert await core.orphans.search(BACKEND) == 0
    await core.clock.advance(SILENT_S)
    assert await core.orphans.search(BACKEND) == 0
    await core.clock.advance(GRACE_S)
    assert await core.orphans.search(BACKEND) == 1


async def test_one_listing_is_not_enough_however_old_the_broker_is(core: Core) -> None:
    await search(core, 0, 3600)
    stray(core)
    assert await search(core, 3600) == [0]


async def test_a_suspect_that_was_gone_in_between_begins_anew(core: Core) -> None:
    ref = stray(core)
    await search(core, 0)
    kept = core.backend.ledger.instances.pop(ref)
    await search(core, GRACE_S)
    core.backend.ledger.instances[ref] = kept
    assert await search(core, 1, GRACE_S - 1, 1) == [0, 0, 1]


async def test_a_partial_listing_ends_nothing(core: Core) -> None:
    stray(core)
    await search(core, 0)
    core.backend.list_complete = False
    assert await search(core, GRACE_S, GRACE_S) == [0, 0]
    assert len(core.backend.ledger.instances) == 1


@pytest.mark.parametrize("error", [OutcomeUnknown("Timeout", "no answer"), BackendRejected("403", "denied")])
async def test_a_listing_that_fails_ends_nothing(core: Core, error: BackendError) -> None:
    stray(core)
    await search(core, 0)
    core.backend.down = error
    assert await search(core, GRACE_S) == [0]
    core.backend.down = None
    assert await search(core, 1) == [1]


async def test_an_end_that_fails_is_tried_again(core: Core) -> None:
    stray(core)
    core.backend.next_terminate_raises(OutcomeUnknown("Timeout", "no answer"))
    await search(core, 0, GRACE_S)
    assert len(core.backend.ledger.instances) == 1
    await search(core, 1)
    assert core.backend.ledger.instances == {}


async def test_an_instance_with_a_live_session_is_left_alone(core: Core) -> None:
    stray(core)
    core.sessions.connect(make_agent(99))
    assert await search(core, 0, GRACE_S, 3600) == [0, 0, 0]
    core.sessions.disconnect(agent_id(99))
    assert await search(core, 1, GRACE_S) == [0, 1]


async def test_an_instance_of_an_agent_that_is_gone_is_left_alone_while_it_is_connected(core: Core) -> None:
    agent = await core.start(NAME)
    await core.release(NAME)
    await core.advance(3)
    back = Instance(ref=InstanceRef("late"), state=InstanceState.RUNNING, agent_id=agent.id, attempt=1)
    core.backend.ledger.instances[back.ref] = back
    core.sessions.connect(agent)
    assert await search(core, 0, GRACE_S, GRACE_S) == [0, 0, 0]
    core.sessions.disconnect(agent.id)
    assert await search(core, 0, GRACE_S) == [0, 1]


async def test_while_the_gateway_is_away_nobody_knows_who_is_connected_and_nothing_is_ended(core: Core) -> None:
    stray(core)
    core.sessions.lose_link()
    assert await search(core, 0, GRACE_S, 3600) == [0, 0, 0]
    core.sessions.regain_link()
    assert await search(core, 1, GRACE_S) == [0, 1]


async def test_the_instances_of_living_agents_are_left_alone_in_every_phase(core: Core) -> None:
    await core.sync()
    await core.ask(NAME)
    core.backend.next_launch_is_unknown(created=True)
    await core.settle()
    seen = {(await core.agent(NAME)).phase}
    await search(core, 0, GRACE_S)
    core.backend.terminate_stays = True
    for _ in range(3):
        await core.sync()
        await core.advance(2)
        seen.add((await core.agent(NAME)).phase)
        assert await search(core, 0, GRACE_S) == [0, 0]
    await core.release(NAME, uses=0)
    await core.advance(2)
    seen.add((await core.agent(NAME)).phase)
    assert await search(core, 0, GRACE_S) == [0, 0]
    assert seen >= {Phase.LAUNCHING, Phase.CONNECTING, Phase.TERMINATING}
    assert len(core.backend.ledger.instances) == 1


async def test_an_instance_of_an_agent_that_is_gone_is_ended(core: Core) -> None:
    agent = await core.start(NAME)
    await core.release(NAME)
    await core.advance(3)
    back = Instance(ref=InstanceRef("late"), state=InstanceState.RUNNING, agent_id=agent.id, attempt=1)
    core.backend.ledger.instances[back.ref] = back
    assert await search(core, 0, GRACE_S) == [0, 1]
    assert core.backend.ledger.instances == {}


async def test_an_instance_of_an_earlier_attempt_is_ended_and_the_present_one_is_not(core: Core) -> None:
    await core.sync()
    await core.ask(NAME)
    await core.settle()
    first = await core.agent(NAME)
    assert first.instance is not None
    old = core.backend.ledger.instances[first.instance]
    core.backend.vanish(first.instance)
    await core.advance(8)
    second = await core.agent(NAME)
    assert second.attempt == 2
    core.backend.ledger.instances[old.ref] = old  # the cloud's list was behind the times
    await search(core, 0, GRACE_S)
    assert set(core.backend.ledger.instances) == {second.instance}


async def test_a_restarted_broker_begins_the_grace_anew(tmp_path: Path) -> None:
    clock = ManualClock()
    async with open_core(tmp_path / "broker.db", clock=clock) as core:
        ledger = core.backend.ledger
        stray(core)
        await search(core, 0)
    await clock.advance(3600)
    async with open_core(tmp_path / "broker.db", ledger=ledger, clock=clock) as core:
        assert await search(core, 0, GRACE_S) == [0, 1]


async def test_more_orphans_than_a_broker_can_have_are_left_to_a_person(core: Core) -> None:
    for n in range(100, 140):
        stray(core, n)
    assert await search(core, 0, GRACE_S, GRACE_S) == [0, 0, 0]
    assert len(core.backend.ledger.instances) == 40
