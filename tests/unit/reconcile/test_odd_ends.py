"""Launches whose reply, session and refusal come in an odd order; times that do not count."""

from datetime import timedelta

from broker.domain.ids import BootId
from broker.domain.lifecycle import Goal, Outcome, Phase
from broker.domain.reason import Reason
from broker.errors import BackendRejected, OutcomeUnknown, Throttled
from broker.testing.factories import CONTROLLER
from tests.core import Core

NAME = "linux-000001"


async def connected_without_reply(core: Core) -> None:
    """The instance was made and has connected, and the backend answers nothing any more."""
    await core.sync()
    await core.ask(NAME)
    core.backend.next_launch_is_unknown(created=True)
    await core.settle()
    core.backend.down = OutcomeUnknown("Timeout", "no answer")
    core.sessions.connect(await core.agent(NAME))
    await core.settle()


async def test_a_session_brings_an_agent_to_connecting_even_when_its_launch_gets_no_reply(core: Core) -> None:
    await connected_without_reply(core)
    agent = await core.agent(NAME)
    assert (agent.phase, agent.instance) == (Phase.CONNECTING, None)
    core.backend.down = None
    core.says(NAME)
    await core.sync()
    await core.advance(2)
    online = await core.agent(NAME)
    assert online.phase == Phase.ONLINE
    assert online.instance in core.backend.ledger.instances
    assert core.backend.ledger.total_created() == 1


async def test_an_agent_that_connected_and_vanished_before_its_reply_is_replaced(core: Core) -> None:
    await connected_without_reply(core)
    core.backend.down = None
    core.backend.ledger.instances.clear()
    core.sessions.disconnect((await core.agent(NAME)).id)
    for _ in range(40):
        await core.sync()
        await core.advance(5, step_s=5)
    assert (await core.agent(NAME)).attempt == 2
    assert len(core.backend.ledger.instances) == 1


async def test_an_agent_that_connected_before_its_reply_can_be_released(core: Core) -> None:
    await connected_without_reply(core)
    await core.release(NAME, Reason.CANCELLED, uses=0)
    await core.advance(3)
    assert (await core.agent(NAME)).phase == Phase.TERMINATING
    core.backend.down = None
    await core.advance(5)
    assert (await core.agent(NAME)).phase == Phase.GONE
    assert core.backend.ledger.instances == {}


async def test_a_refused_replay_does_not_forget_what_the_first_call_made(core: Core) -> None:
    await core.sync()
    await core.ask(NAME)
    core.backend.next_launch_is_unknown(created=True)
    core.backend.next_launch_raises(BackendRejected("AccessDenied", "expired"))
    core.backend.terminate_stays = True
    await core.advance(10)
    waits = await core.agent(NAME)
    assert (waits.phase, waits.attempt) == (Phase.TERMINATING, 1)
    core.backend.let_go()
    await core.advance(10)
    again = await core.agent(NAME)
    assert again.attempt == 2
    assert set(core.backend.ledger.instances) == {again.instance}


async def test_a_throttled_launch_stays_in_its_attempt(core: Core) -> None:
    await core.sync()
    await core.ask(NAME)
    core.backend.next_launch_raises(Throttled("Throttling", "slow down"), times=3)
    await core.advance(10)
    agent = await core.agent(NAME)
    assert (agent.attempt, agent.phase) == (1, Phase.CONNECTING)
    assert core.backend.ledger.total_created() == 1


async def test_a_session_of_an_earlier_attempt_is_not_taken_for_this_one(core: Core) -> None:
    await core.sync()
    await core.ask(NAME)
    await core.settle()
    first = await core.agent(NAME)
    assert first.instance is not None
    core.backend.stop(first.instance, exit_code=1)
    await core.advance(10)
    assert (await core.agent(NAME)).attempt == 2
    core.sessions.connect(first)  # a message that came late
    core.says(NAME)
    await core.sync()
    await core.settle()
    assert (await core.agent(NAME)).phase == Phase.CONNECTING


async def test_deadlines_stand_still_until_a_restarted_controller_has_synced(core: Core) -> None:
    await core.sync()
    await core.ask(NAME)
    await core.settle()
    core.boot = BootId("boot-2")
    for _ in range(60):
        await core.intake.greet(CONTROLLER, core.boot)
        await core.advance(5, step_s=5)
    agent = await core.agent(NAME)
    assert (agent.phase, agent.attempt) == (Phase.CONNECTING, 1)


async def test_a_busy_agent_outlives_a_backend_that_does_not_find_it_for_as_long_as_it_is_connected(core: Core) -> None:
    agent = await core.start()
    core.says(NAME, busy=True, uses=1)
    await core.sync()
    core.backend.ledger.instances.clear()
    await core.advance(5)
    core.sessions.lose_link()
    await core.advance(5)
    core.sessions.regain_link()
    assert (await core.agent(NAME)).phase == Phase.ONLINE
    core.sessions.disconnect(agent.id)
    await core.advance(5)
    ended = await core.agent(NAME)
    assert (ended.phase, ended.why) == (Phase.GONE, Reason.INSTANCE_VANISHED)


async def test_an_agent_that_is_to_go_is_not_kept_by_whoever_would_drain_it_later(core: Core) -> None:
    agent = await core.start(NAME)
    doomed = await core.ctx.aim(agent, Goal.GONE, Outcome.FAILED, Reason.MAX_LIFETIME, "older than 6 h")
    stays = await core.ctx.aim(doomed, Goal.DRAINED, Outcome.SUCCEEDED, Reason.SUPERSEDED, "another config")
    assert (stays.goal, stays.why, stays.version) == (Goal.GONE, Reason.MAX_LIFETIME, doomed.version)
    await core.advance(3)
    ended = await core.agent(NAME)
    assert (ended.phase, ended.outcome, ended.why) == (Phase.GONE, Outcome.FAILED, Reason.MAX_LIFETIME)


async def test_an_agent_between_two_attempts_does_not_wait_for_a_clock_that_was_set_back(core: Core) -> None:
    await core.sync()
    core.backend.next_launch_raises(BackendRejected("no", "not today"))
    await core.ask(NAME)
    await core.settle()
    between = await core.agent(NAME)
    assert (between.phase, between.attempt) == (Phase.REQUESTED, 1)
    assert between.not_before > core.clock.now()
    core.clock.jump(-timedelta(hours=1))
    await core.advance(10, step_s=1)
    assert (await core.agent(NAME)).attempt == 2


async def test_agents_that_were_just_asked_for_do_not_wait_for_a_clock_that_was_set_back(core: Core) -> None:
    await core.sync()
    await core.ask(NAME)
    core.clock.jump(-timedelta(hours=1))
    await core.settle()
    assert (await core.agent(NAME)).attempt == 1


async def test_an_instance_that_vanishes_while_its_build_is_told_of_the_end_leaves_nothing(core: Core) -> None:
    agent = await core.start(NAME)
    core.says(NAME, busy=True, uses=1)
    await core.sync()
    await core.settle()
    await core.clock.advance(timedelta(days=30).total_seconds())  # far older than any agent may be
    await core.sync()
    await core.advance(0.5)
    assert core.ctx.given_up.keys() == {agent.id}
    assert agent.instance is not None
    core.backend.vanish(agent.instance)
    core.sessions.disconnect(agent.id)
    core.says(NAME, online=False, busy=True, uses=1)
    await core.sync()
    await core.advance(20, step_s=1)
    assert await core.phases() == {}
    assert core.ctx.given_up == {}
