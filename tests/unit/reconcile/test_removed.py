"""Agents whose pool or policy a new config no longer has."""

from dataclasses import replace
from pathlib import Path

from broker.domain.agent import Agent
from broker.domain.lifecycle import Goal, Outcome, Phase
from broker.domain.reason import Reason
from broker.reconcile.presence import NodeReport
from broker.testing.backend import Ledger
from broker.testing.clock import ManualClock
from broker.testing.factories import make_definitions, make_policy, make_pool
from tests.core import Core, open_core

NAME = "linux-000001"


async def test_a_request_whose_policy_was_removed_ends_and_says_so(core: Core) -> None:
    await core.ask(NAME)
    core.ctx.definitions = make_definitions(policies=[make_policy(name="other")])
    await core.advance(6)
    agent = await core.agent(NAME)
    assert (agent.phase, agent.outcome, agent.why) == (Phase.GONE, Outcome.FAILED, Reason.NO_MATCHING_POLICY)
    assert agent.message == "policy linux is no longer configured"


async def test_an_online_agent_whose_policy_was_removed_ends_with_its_build(core: Core) -> None:
    await core.start(NAME)
    core.ctx.definitions = make_definitions(policies=[make_policy(name="other")])
    core.says(NAME, busy=True, uses=1)
    await core.sync()
    await core.advance(2)
    await core.clock.advance(3 * 3600)  # more than any drain may take
    for _ in range(3):
        await core.sync()
        await core.advance(6, step_s=2)
    agent = await core.agent(NAME)
    assert (agent.phase, agent.goal, agent.why) == (Phase.DRAINING, Goal.DRAINED, Reason.SUPERSEDED)
    core.says(NAME, busy=False, uses=1)
    await core.sync()
    await core.advance(3)
    assert (await core.agent(NAME)).phase == Phase.GONE
    assert core.backend.ledger.instances == {}


async def test_an_agent_whose_pool_was_removed_ends_when_the_pool_is_back(tmp_path: Path) -> None:
    ledger, clock, before = Ledger(), ManualClock(), make_definitions()
    without = make_definitions(pools=[make_pool(name="other")])
    async with open_core(tmp_path / "broker.db", before, ledger, clock) as core:
        await core.start(NAME)
    async with open_core(tmp_path / "broker.db", without, ledger, clock) as core:
        await core.sync()
        await core.release(NAME)
        await core.advance(5)
        stuck = await core.agent(NAME)
        assert stuck.phase == Phase.TERMINATING, "it exists, and nobody knows where"
        assert len(ledger.instances) == 1
    async with open_core(tmp_path / "broker.db", replace(before, revision="3"), ledger, clock) as core:
        await core.advance(5)
        gone = await core.agent(NAME)
        assert (gone.phase, gone.outcome) == (Phase.GONE, Outcome.SUCCEEDED)
        assert ledger.instances == {}


async def test_a_launch_in_flight_whose_pool_was_removed_is_not_placed_anew_beside_it(tmp_path: Path) -> None:
    ledger, clock = Ledger(), ManualClock()
    async with open_core(tmp_path / "broker.db", ledger=ledger, clock=clock) as core:
        await core.sync()
        await core.ask(NAME)
        core.backend.next_launch_is_unknown(created=True)
        await core.settle()
        core.ctx.definitions = make_definitions(pools=[make_pool(name="other")])
        await core.advance(10)
        agent = await core.agent(NAME)
        assert (agent.attempt, agent.phase) == (1, Phase.TERMINATING)
        assert len(ledger.instances) == 1


async def test_a_build_that_came_before_jenkins_knew_of_the_drain_outlives_a_lost_session(core: Core) -> None:
    agent = await drained(core)
    core.sessions.disconnect(agent.id)
    await core.settle()
    core.nodes[agent.name] = NodeReport(online=False, accepting=False, busy=True, uses=1)
    await core.sync()
    await core.advance(3)
    assert (await core.agent(NAME)).phase == Phase.RECONNECTING
    core.nodes[agent.name] = NodeReport(online=False, accepting=False, busy=False, uses=1)
    core.sessions.connect(agent)
    core.says(NAME, busy=False, uses=1)
    await core.sync()
    await core.advance(3)
    assert (await core.agent(NAME)).phase == Phase.GONE


async def test_a_restarted_broker_ends_no_drained_agent_before_jenkins_has_told_its_nodes(tmp_path: Path) -> None:
    ledger, clock = Ledger(), ManualClock()
    async with open_core(tmp_path / "broker.db", ledger=ledger, clock=clock) as core:
        agent = await drained(core)
        await core.settle()
        assert (await core.agent(NAME)).phase == Phase.DRAINING
    async with open_core(tmp_path / "broker.db", ledger=ledger, clock=clock) as core:
        core.sessions.connect(agent)
        await core.advance(3)
        core.says(NAME, busy=True, uses=1)
        await core.sync()
        await core.advance(3)
        assert (await core.agent(NAME)).phase == Phase.DRAINING
        assert len(ledger.instances) == 1


async def drained(core: Core) -> Agent:
    """An agent that shall take no new build, of which Jenkins has not been told yet."""
    agent = await core.start(NAME)
    return await core.ctx.aim(agent, Goal.DRAINED, Outcome.SUCCEEDED, Reason.SUPERSEDED, "drained by a test")
