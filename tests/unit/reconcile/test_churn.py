"""An agent whose connections end at once ends itself, with the words of Jenkins, however many attempts it had left."""

from dataclasses import replace

from broker.domain.ids import AgentName
from broker.domain.lifecycle import Outcome, Phase
from broker.domain.reason import Reason
from tests.core import Core

NAME = "linux-000001"
WORDS = "its last 5 connections ended within 10 s each, the last one by the agent"
CAUSE = "Connection was broken: UnsupportedClassVersionError"


async def test_one_that_was_never_online_fails_for_good_at_its_first_attempt(core: Core) -> None:
    await core.sync()
    await core.ask(NAME)
    await core.settle()
    core.sessions.connect(await core.agent(NAME))
    core.says(NAME, online=False)
    core.nodes[AgentName(NAME)] = replace(core.nodes[AgentName(NAME)], offline_cause=CAUSE)
    await core.sync()
    await core.settle()
    agent = await core.agent(NAME)
    assert agent.phase == Phase.CONNECTING
    core.sessions.disconnect(agent.id)
    core.sessions.churn(agent, WORDS)
    await core.advance(4)
    gone = await core.agent(NAME)
    assert (gone.phase, gone.outcome, gone.attempt) == (Phase.GONE, Outcome.FAILED, 1)
    assert (gone.why, gone.message) == (Reason.HANDSHAKE_REJECTED, f"{WORDS}; Jenkins says: {CAUSE}")
    [rest] = (await core.ctx.cooldowns.read(core.clock.now())).values()
    assert (rest.opened, rest.message) == (1, gone.message), "the next agent would do the same"


async def test_one_that_was_online_ends_without_waiting_for_its_reconnect_timeout(core: Core) -> None:
    agent = await core.start(NAME)
    core.sessions.disconnect(agent.id)
    core.sessions.churn(agent, WORDS)
    await core.advance(4)
    gone = await core.agent(NAME)
    assert (gone.phase, gone.why, gone.message) == (Phase.GONE, Reason.HANDSHAKE_REJECTED, WORDS)


async def test_a_busy_one_has_the_time_that_any_lost_connection_has(core: Core) -> None:
    agent = await core.start(NAME)
    core.says(NAME, busy=True, uses=1)
    await core.sync()
    core.sessions.disconnect(agent.id)
    core.sessions.churn(agent, WORDS)
    await core.advance(8)
    assert (await core.agent(NAME)).phase == Phase.RECONNECTING


async def test_an_idle_one_that_is_connected_is_left_to_show_whether_that_holds(core: Core) -> None:
    agent = await core.start(NAME)
    core.sessions.churn(agent, WORDS)
    for _ in range(10):
        await core.sync()
        await core.advance(5)
    assert (await core.agent(NAME)).phase == Phase.ONLINE, "Jenkins may just have given it a build"
