"""A cloud that takes instances back, with a notice and without (F21)."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from broker.domain.agent import Agent
from broker.domain.lifecycle import Goal, Outcome, Phase
from broker.domain.policy import Retry, Timeouts
from broker.domain.reason import Reason
from broker.domain.template import Retention
from broker.reconcile.interrupted import LAST_MOMENTS
from broker.testing.backend import Ledger
from broker.testing.clock import ManualClock
from broker.testing.factories import make_definitions, make_policy, make_template
from tests.core import Core, open_core

NAME = "linux-000001"
WORDS = "Your Spot Task was interrupted."
TWO_MINUTES = timedelta(minutes=2)


@pytest.fixture
async def core(tmp_path: Path) -> AsyncIterator[Core]:
    async with open_core(tmp_path / "broker.db") as opened:
        yield opened


async def busy(core: Core) -> Agent:
    agent = await core.start(NAME)
    core.says(NAME, busy=True, uses=1)
    await core.sync()
    await core.settle()
    return agent


def notice(core: Core, agent: Agent, after: timedelta = TWO_MINUTES) -> None:
    assert agent.instance is not None
    core.backend.interrupt(agent.instance, core.clock.now() + after, WORDS)


async def lives(core: Core, seconds: int) -> None:
    """Jenkins syncs on."""
    for _ in range(seconds // 2):
        await core.sync()
        await core.advance(2)


async def test_a_notice_keeps_new_builds_away_at_once_and_says_why(core: Core) -> None:
    notice(core, await busy(core))
    await core.advance(1)
    agent = await core.agent(NAME)
    assert (agent.phase, agent.goal, agent.why) == (Phase.DRAINING, Goal.DRAINED, Reason.SPOT_INTERRUPTED)
    [kept] = (await core.sync()).kept
    assert not kept.takes_builds
    assert kept.why.startswith(f"draining on it: SpotInterrupted: {WORDS} (it goes at ")


async def connected(core: Core) -> Agent:
    """It has its session; Jenkins has not been heard since."""
    await core.sync()
    await core.ask(NAME)
    await core.settle()
    core.sessions.connect(await core.agent(NAME))
    await core.settle()
    return await core.agent(NAME)


async def test_a_notice_between_the_session_and_the_next_sync_does_not_cut_the_build_that_has_begun(core: Core) -> None:
    notice(core, await connected(core))
    await core.advance(1)
    core.says(NAME, busy=True, uses=1)
    await core.sync()
    await core.advance(1)
    agent = await core.agent(NAME)
    assert (agent.phase, agent.why, agent.attempt) == (Phase.DRAINING, Reason.SPOT_INTERRUPTED, 1)


async def test_with_a_session_that_jenkins_never_calls_online_it_fails_before_its_instance_goes(core: Core) -> None:
    notice(core, await connected(core))
    await core.advance(int((TWO_MINUTES - LAST_MOMENTS).total_seconds()) - 10)
    assert (await core.agent(NAME)).phase == Phase.CONNECTING
    await core.advance(16)
    assert (await core.agent(NAME)).attempt == 2


async def test_a_build_that_ends_in_time_is_not_cut(core: Core) -> None:
    notice(core, await busy(core))
    await lives(core, 90)
    core.says(NAME, busy=False, uses=1)
    await lives(core, 4)
    agent = await core.agent(NAME)
    assert (agent.phase, agent.outcome, agent.why) == (Phase.GONE, Outcome.SUCCEEDED, Reason.SPOT_INTERRUPTED)
    assert core.backend.ledger.instances == {}


async def test_a_busy_agent_is_given_up_shortly_before_its_instance_goes_and_jenkins_hears_why(core: Core) -> None:
    agent = await busy(core)
    notice(core, agent)
    await lives(core, int((TWO_MINUTES - LAST_MOMENTS).total_seconds()) - 4)
    assert (await core.agent(NAME)).phase == Phase.DRAINING
    await lives(core, 6)
    told = (await core.sync()).removed
    assert [(a.name, a.why, a.outcome) for a in told] == [(NAME, Reason.SPOT_INTERRUPTED, Outcome.FAILED)]
    assert told[0].message.startswith(WORDS)
    assert told[0].message.endswith("its build did not end before")
    await core.advance(3)
    assert core.backend.ledger.instances == {}
    assert [a.name for a in (await core.sync()).removed] == [NAME], "for as long as Jenkins names the node"


async def test_an_idle_agent_ends_with_the_clouds_reason_and_has_not_failed(core: Core) -> None:
    agent = await core.start(NAME)
    notice(core, agent)
    core.says(NAME, accepting=False)
    await lives(core, 4)
    ended = await core.agent(NAME)
    assert (ended.phase, ended.outcome, ended.why) == (Phase.GONE, Outcome.SUCCEEDED, Reason.SPOT_INTERRUPTED)


@pytest.mark.parametrize("known", [True, False])
async def test_an_instance_that_is_gone_under_its_build_failed_by_the_interruption(core: Core, *, known: bool) -> None:
    agent = await busy(core)
    assert agent.instance is not None
    if known:
        notice(core, agent)
        await core.advance(1)
        core.backend.stop(agent.instance, exit_code=143, lines=["SIGTERM"])
    else:
        core.backend.stop(agent.instance, reason=Reason.SPOT_INTERRUPTED, message=WORDS)
    await core.advance(1)
    [told] = (await core.sync()).removed
    assert (told.why, told.outcome) == (Reason.SPOT_INTERRUPTED, Outcome.FAILED)
    assert WORDS in told.message
    assert ("exit code 143" in told.message) == known


async def test_an_agent_that_lost_its_session_and_its_instance_failed_by_the_interruption(core: Core) -> None:
    agent = await busy(core)
    notice(core, agent)
    await core.advance(1)
    core.sessions.disconnect(agent.id)
    assert agent.instance is not None
    core.backend.vanish(agent.instance)
    await core.advance(2)
    [told] = (await core.sync()).removed
    assert (told.why, told.outcome) == (Reason.SPOT_INTERRUPTED, Outcome.FAILED)
    assert told.message.startswith(WORDS)


async def test_the_clouds_time_goes_on_while_the_controller_is_away(core: Core) -> None:
    notice(core, await busy(core))
    await core.advance(TWO_MINUTES.total_seconds())
    agent = await core.agent(NAME)
    assert (agent.phase, agent.outcome, agent.why) == (Phase.GONE, Outcome.FAILED, Reason.SPOT_INTERRUPTED)
    assert [a.name for a in (await core.sync()).removed] == [NAME]


async def test_a_restarted_broker_goes_on_with_the_interruption(tmp_path: Path) -> None:
    ledger, clock = Ledger(), ManualClock()
    async with open_core(tmp_path / "broker.db", ledger=ledger, clock=clock) as core:
        agent = await busy(core)
        notice(core, agent)
        await core.advance(1)
    async with open_core(tmp_path / "broker.db", ledger=ledger, clock=clock) as core:
        core.sessions.connect(agent)
        core.says(NAME, busy=True, uses=1)
        await lives(core, 100)
        assert (await core.agent(NAME)).phase == Phase.DRAINING
        await lives(core, 14)
        [told] = (await core.sync()).removed
        assert (told.why, told.outcome) == (Reason.SPOT_INTERRUPTED, Outcome.FAILED)
        assert told.message.startswith(WORDS)


async def test_an_agent_that_drains_for_another_reason_is_interrupted_all_the_same(core: Core) -> None:
    agent = await busy(core)
    agent = await core.agent(NAME)
    await core.ctx.aim(agent, Goal.DRAINED, Outcome.SUCCEEDED, Reason.CANCELLED, "drained by ana")
    await core.settle()
    notice(core, agent)
    await lives(core, 120)
    assert (await core.agent(NAME)).why == Reason.SPOT_INTERRUPTED


async def test_an_agent_that_drains_for_another_reason_is_given_up_in_its_last_moments_and_not_after(
    core: Core,
) -> None:
    agent = await busy(core)
    await core.ctx.aim(await core.agent(NAME), Goal.DRAINED, Outcome.SUCCEEDED, Reason.CANCELLED, "drained by ana")
    await core.settle()
    await core.sync()
    notice(core, agent, LAST_MOMENTS + timedelta(seconds=2))
    await core.advance(3)
    given_up = await core.agent(NAME)
    assert (given_up.goal, given_up.outcome, given_up.why) == (Goal.GONE, Outcome.FAILED, Reason.SPOT_INTERRUPTED)


@pytest.mark.parametrize("old", [True, False], ids=["it drained as too old", "it was online"])
async def test_a_build_may_use_all_the_time_that_the_cloud_leaves_however_short_the_drain_is(
    tmp_path: Path, *, old: bool
) -> None:
    lifetime = timedelta(minutes=5) if old else timedelta(hours=1)
    template = make_template(retention=Retention(max_uses=0, max_lifetime=lifetime))
    policy = make_policy(timeouts=Timeouts(drain=timedelta(seconds=6)))
    definitions = make_definitions(templates=[template], policies=[policy])
    async with open_core(tmp_path / "broker.db", definitions) as core:
        agent = await busy(core)
        await lives(core, 272)
        assert (await core.agent(NAME)).phase == (Phase.DRAINING if old else Phase.ONLINE)
        notice(core, agent, timedelta(seconds=26))
        await lives(core, 12)
        agent = await core.agent(NAME)
        assert (agent.phase, agent.goal, agent.why) == (Phase.DRAINING, Goal.DRAINED, Reason.SPOT_INTERRUPTED)


async def test_a_notice_before_the_agent_is_online_costs_an_attempt_and_another_one_takes_its_place(core: Core) -> None:
    await core.sync()
    await core.ask(NAME)
    await core.settle()
    notice(core, await core.agent(NAME))
    await core.advance(1)
    agent = await core.agent(NAME)
    assert (agent.goal, agent.why) == (Goal.ONLINE, Reason.SPOT_INTERRUPTED)
    await core.advance(5)
    assert (await core.agent(NAME)).attempt == 2
    assert core.backend.ledger.total_created() == 2
    assert len(core.backend.ledger.instances) == 1


async def test_a_repeated_notice_changes_nothing_and_a_build_that_ends_is_completed(core: Core) -> None:
    agent = await busy(core)
    notice(core, agent)
    await core.advance(1)
    before = await core.agent(NAME)
    notice(core, agent, TWO_MINUTES - timedelta(seconds=1))
    await core.advance(1)
    assert await core.agent(NAME) == before
    await core.release(NAME)
    await core.settle()
    await core.advance(3)
    ended = await core.agent(NAME)
    assert (ended.phase, ended.outcome, ended.why) == (Phase.GONE, Outcome.SUCCEEDED, Reason.COMPLETED)


async def test_many_notices_at_once_drain_each_agent_once(tmp_path: Path) -> None:
    names = [f"linux-{n:06d}" for n in range(40)]
    many = make_definitions(policies=[make_policy(retry=Retry(attempts=1))])
    async with open_core(tmp_path / "broker.db", many) as core:
        await core.sync()
        await core.ask(*names)
        await core.settle()
        for name in names:
            core.sessions.connect(await core.agent(name))
            core.says(name)
        await core.sync()
        await core.settle()
        for name in names:
            core.says(name, busy=True, uses=1)
        await core.sync()
        for name in names:
            notice(core, await core.agent(name))
        await core.advance(1)
        assert set((await core.phases()).values()) == {Phase.DRAINING}
        events = await core.ctx.history.after(0, limit=100_000)
        assert sum(e.event == "goal" for e in events) == len(names)
