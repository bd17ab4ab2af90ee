"""The life of an agent, from the request until nothing of it is left."""

from collections.abc import MutableMapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from broker.domain.asked import Asked
from broker.domain.ids import AgentName
from broker.domain.lifecycle import Goal, Outcome, Phase
from broker.domain.policy import AgentLimits, OnTimeout, Retry, Timeouts
from broker.domain.pool import Cooldown, PoolLimits
from broker.domain.reason import Reason
from broker.domain.template import Retention
from broker.errors import BackendRejected, Throttled
from broker.reconcile.attempt import pause
from broker.reconcile.presence import NodeReport
from broker.testing.factories import CONTROLLER, make_agent, make_definitions, make_policy, make_pool, make_template
from tests.core import Core, open_core, real_secret

NAME = "linux-000001"


async def test_an_agent_comes_online_runs_its_build_and_is_gone(core: Core) -> None:
    agent = await core.start(NAME)
    assert (agent.pool, agent.attempt) == ("it", 1)
    core.says(NAME, busy=True, uses=1)
    await core.sync()
    await core.settle()
    assert (await core.agent(NAME)).busy
    await core.release(NAME)
    await core.advance(3)
    gone = await core.agent(NAME)
    assert (gone.phase, gone.outcome, gone.why) == (Phase.GONE, Outcome.SUCCEEDED, Reason.COMPLETED)
    assert core.backend.ledger.instances == {}
    assert core.backend.ledger.total_created() == 1
    assert core.sessions.ended[0][0] == agent.id


async def test_a_launch_says_whose_agent_it_is_and_for_which_build(core: Core) -> None:
    await core.sync()
    url = "http://jenkins/job/build/7/"
    asked = Asked(name=NAME, policy="linux", secret=real_secret(NAME), job="folder/build", build_url=url)
    await core.intake.accept(CONTROLLER, core.boot, [asked])
    await core.settle()
    (spec,) = core.backend.ledger.calls
    assert (spec.policy, spec.job, spec.build_url) == ("linux", "folder/build", url)


async def test_a_repeated_request_is_the_same_agent(core: Core) -> None:
    await core.sync()
    first = await core.ask(NAME)
    second = await core.ask(NAME)
    await core.settle()
    assert [a.reason for a in (*first, *second)] == [None, None]
    assert core.backend.ledger.total_created() == 1


async def test_a_handshake_that_overtakes_the_launch_counts(core: Core) -> None:
    await core.sync()
    await core.ask(NAME)
    core.backend.next_launch_is_unknown(created=True)
    await core.settle()
    core.sessions.connect(await core.agent(NAME))
    core.says(NAME)
    await core.sync()
    await core.advance(5)
    agent = await core.agent(NAME)
    assert agent.phase == Phase.ONLINE
    assert agent.instance is not None
    assert core.backend.ledger.total_created() == 1


async def test_a_refused_launch_is_tried_again_until_the_attempts_are_over(core: Core) -> None:
    await core.sync()
    core.backend.next_launch_raises(BackendRejected("Nope", "the cloud's own words"), times=3)
    await core.ask(NAME)
    await core.advance(20)
    failed = await core.agent(NAME)
    assert (failed.phase, failed.outcome, failed.attempt) == (Phase.GONE, Outcome.FAILED, 3)
    assert (failed.why, failed.message) == (Reason.BACKEND_ERROR, "Nope: the cloud's own words")
    truth = await core.sync()
    assert truth.kept == ()


async def test_a_retry_waits_for_its_pause_and_then_succeeds(core: Core) -> None:
    await core.sync()
    core.backend.next_launch_raises(BackendRejected("Internal", "try again"))
    await core.ask(NAME)
    await core.settle()
    waiting = await core.agent(NAME)
    assert (waiting.phase, waiting.attempt, waiting.why) == (Phase.REQUESTED, 1, Reason.BACKEND_ERROR)
    assert waiting.not_before > core.clock.now()
    await core.advance(5)
    assert (await core.agent(NAME)).attempt == 2
    assert core.backend.ledger.total_created() == 1


async def test_an_instance_that_ends_before_it_connects_is_replaced_only_when_it_is_gone(core: Core) -> None:
    await core.sync()
    await core.ask(NAME)
    await core.settle()
    first = await core.agent(NAME)
    assert first.instance is not None
    core.backend.terminate_stays = True
    core.backend.stop(first.instance, exit_code=137, lines=("out of memory",))
    await core.advance(10)
    stuck = await core.agent(NAME)
    assert (stuck.phase, stuck.why) == (Phase.TERMINATING, Reason.CONTAINER_EXITED)
    assert "out of memory" in stuck.message
    assert core.backend.ledger.total_created() == 1
    core.backend.let_go()
    await core.advance(10)
    assert (await core.agent(NAME)).attempt == 2
    assert core.backend.ledger.total_created() == 2
    assert len(core.backend.ledger.instances) == 1


@pytest.mark.parametrize(("scheme", "trust"), [("http", ""), ("https", ", and does it trust its certificate")])
async def test_an_agent_that_never_connects_fails_with_a_reason(tmp_path: Path, scheme: str, trust: str) -> None:
    once = make_policy(retry=Retry(attempts=1))
    async with open_core(tmp_path / "broker.db", make_definitions(policies=[once])) as core:
        core.ctx.gateway_url = lambda controller: f"{scheme}://gateway/"
        await core.sync()
        await core.ask(NAME)
        for _ in range(38):
            await core.advance(5)
            await core.sync()
        agent = await core.agent(NAME)
        assert (agent.phase, agent.outcome, agent.why) == (Phase.GONE, Outcome.FAILED, Reason.CONNECT_TIMEOUT)
        assert f"within 3m00s: can it reach {scheme}://gateway/{trust}?" in agent.message


async def test_an_agent_that_was_turned_away_fails_with_the_reason_that_it_was_told(tmp_path: Path) -> None:
    once = make_policy(retry=Retry(attempts=1))
    async with open_core(tmp_path / "broker.db", make_definitions(policies=[once])) as core:
        await core.sync()
        await core.ask(NAME)
        await core.advance(5)
        core.sessions.turn_away(await core.agent(NAME), Reason.HANDSHAKE_REJECTED, "main said: too old a remoting")
        for _ in range(38):
            await core.advance(5)
            await core.sync()
        agent = await core.agent(NAME)
        assert (agent.phase, agent.outcome, agent.why) == (Phase.GONE, Outcome.FAILED, Reason.HANDSHAKE_REJECTED)
        assert "too old a remoting" in agent.message


async def test_deadlines_stand_still_while_the_controller_is_away(core: Core) -> None:
    await core.start(NAME)
    core.sessions.disconnect((await core.agent(NAME)).id)
    await core.settle()
    await core.advance(3600, step_s=10)
    assert (await core.agent(NAME)).phase == Phase.RECONNECTING
    core.says(NAME, online=False)
    for _ in range(64):
        await core.sync()
        await core.advance(5, step_s=2.5)
    lost = await core.agent(NAME)
    assert (lost.phase, lost.why) == (Phase.GONE, Reason.RECONNECT_TIMEOUT)


async def test_a_controller_that_is_away_for_an_hour_loses_no_build_and_each_ends_in_order_when_it_is_back(
    core: Core,
) -> None:
    names = [f"linux-{number:06}" for number in range(3)]
    for name in names:
        await core.start(name)
        core.says(name, busy=True, uses=1)
    await core.sync()
    core.sessions.disconnect((await core.agent(names[1])).id)  # its machine has not found its way back
    await core.settle()
    await core.advance(3600, step_s=10)
    assert set((await core.phases()).values()) == {Phase.ONLINE, Phase.RECONNECTING}
    assert all([(await core.agent(name)).busy for name in names])
    assert (len(core.backend.ledger.instances), core.sessions.ended) == (3, [])
    core.sessions.connect(await core.agent(names[1]))
    await core.sync()
    await core.settle()
    for name in names:
        assert (await core.agent(name)).phase == Phase.ONLINE
        await core.release(name)
    await core.advance(3)
    assert {(await core.agent(name)).why for name in names} == {Reason.COMPLETED}
    assert core.backend.ledger.instances == {}
    assert core.backend.ledger.total_created() == 3, "none was replaced"


async def test_a_busy_agent_without_a_session_that_jenkins_calls_online_keeps_its_build(core: Core) -> None:
    agent = await core.start(NAME)
    core.says(NAME, busy=True, uses=1)
    await core.sync()
    core.sessions.disconnect(agent.id)  # its gateway relays on, but has had no link to us for too long
    for _ in range(80):
        await core.sync()
        await core.advance(5)
    assert (await core.agent(NAME)).phase == Phase.RECONNECTING
    assert len(core.backend.ledger.instances) == 1
    core.says(NAME, online=False, busy=True, uses=1)
    await core.sync()
    await core.advance(5)
    assert (await core.agent(NAME)).why == Reason.RECONNECT_TIMEOUT


async def test_deadlines_stand_still_while_the_gateway_is_away(core: Core) -> None:
    await core.start(NAME)
    core.sessions.lose_link()
    core.sessions.disconnect((await core.agent(NAME)).id)
    for _ in range(80):
        await core.sync()
        await core.advance(5)
    assert (await core.agent(NAME)).phase == Phase.ONLINE


async def test_a_lost_agent_is_waited_for_while_the_gateway_is_away(core: Core) -> None:
    await core.start(NAME)
    core.sessions.disconnect((await core.agent(NAME)).id)
    await core.settle()
    core.sessions.lose_link()
    core.says(NAME, online=False)
    for _ in range(80):
        await core.sync()
        await core.advance(5, step_s=2.5)
    assert (await core.agent(NAME)).phase == Phase.RECONNECTING


async def test_a_lost_agent_comes_back_to_online(core: Core) -> None:
    agent = await core.start(NAME)
    core.sessions.disconnect(agent.id)
    await core.settle()
    assert (await core.agent(NAME)).phase == Phase.RECONNECTING
    core.sessions.connect(await core.agent(NAME))
    await core.sync()
    await core.settle()
    assert (await core.agent(NAME)).phase == Phase.ONLINE
    assert core.backend.ledger.total_created() == 1


async def test_an_online_agent_whose_instance_dies_is_lost_and_gets_no_other_attempt(core: Core) -> None:
    agent = await core.start(NAME)
    assert agent.instance is not None
    core.backend.stop(agent.instance, exit_code=1)
    core.sessions.disconnect(agent.id)
    await core.advance(3)
    lost = await core.agent(NAME)
    assert (lost.phase, lost.why, lost.outcome) == (Phase.GONE, Reason.AGENT_LOST, Outcome.SUCCEEDED)
    assert core.backend.ledger.total_created() == 1


async def test_an_agent_whose_instance_dies_under_a_build_has_failed(core: Core) -> None:
    agent = await core.start(NAME)
    core.says(NAME, busy=True, uses=1)
    await core.sync()
    assert agent.instance is not None
    core.backend.stop(agent.instance, exit_code=137)
    core.sessions.disconnect(agent.id)
    for _ in range(4):
        await core.sync()
        await core.advance(5)
    lost = await core.agent(NAME)
    assert (lost.phase, lost.why, lost.outcome) == (Phase.GONE, Reason.AGENT_LOST, Outcome.FAILED)


async def test_an_agent_older_than_its_lifetime_ends_even_when_busy(core: Core) -> None:
    await core.start(NAME)
    core.says(NAME, busy=True, uses=1)
    for _ in range(6 * 60 + 1):
        await core.sync()
        await core.advance(60, step_s=60)
    await core.advance(2)
    gone = await core.agent(NAME)
    assert (gone.phase, gone.why, gone.outcome) == (Phase.GONE, Reason.MAX_LIFETIME, Outcome.FAILED)


async def test_a_busy_agent_that_is_given_up_stays_until_jenkins_could_tell_its_build(core: Core) -> None:
    agent = await core.start(NAME)
    core.says(NAME, busy=True, uses=1)
    await core.sync()
    await core.ctx.aim(await core.agent(NAME), Goal.GONE, Outcome.FAILED, Reason.SPOT_INTERRUPTED, "it goes")
    await core.advance(1)
    assert (await core.agent(NAME)).phase == Phase.ONLINE
    assert core.sessions.live(agent.id) is not None
    del core.nodes[AgentName(NAME)]  # Jenkins has heard of it
    await core.sync()
    await core.advance(2)
    assert (await core.agent(NAME)).phase == Phase.GONE


async def test_a_jenkins_that_keeps_the_node_of_a_given_up_agent_is_waited_for_five_seconds(core: Core) -> None:
    await core.start(NAME)
    core.says(NAME, busy=True, uses=1)
    await core.sync()
    await core.ctx.aim(await core.agent(NAME), Goal.GONE, Outcome.FAILED, Reason.SPOT_INTERRUPTED, "it goes")
    await core.advance(4)
    assert (await core.agent(NAME)).phase == Phase.ONLINE
    await core.advance(4)
    assert (await core.agent(NAME)).phase == Phase.GONE


async def age(core: Core, minutes: int) -> None:
    for _ in range(minutes):
        await core.sync()
        await core.advance(60, step_s=60)


async def test_an_agent_that_may_run_more_builds_takes_none_in_the_last_tenth_of_its_life(tmp_path: Path) -> None:
    many = make_definitions(templates=[make_template(retention=Retention(max_uses=0))])
    async with open_core(tmp_path / "broker.db", many) as core:
        await core.start(NAME)
        core.nodes[AgentName(NAME)] = NodeReport(online=True, accepting=True, busy=True, uses=3)
        await age(core, 323)
        assert (await core.agent(NAME)).phase == Phase.ONLINE
        await age(core, 2)
        assert (await core.agent(NAME)).phase == Phase.DRAINING
        await age(core, 30)
        assert (await core.agent(NAME)).phase == Phase.DRAINING
        core.nodes[AgentName(NAME)] = NodeReport(online=True, accepting=False, busy=False, uses=3)
        await age(core, 1)
        gone = await core.agent(NAME)
        assert (gone.phase, gone.why, gone.outcome) == (Phase.GONE, Reason.MAX_LIFETIME, Outcome.SUCCEEDED)


async def test_an_old_agent_is_not_cut_by_the_time_for_draining_but_by_its_age(tmp_path: Path) -> None:
    soon = make_policy(timeouts=Timeouts(drain=timedelta(minutes=5)))
    definitions = make_definitions(templates=[make_template(retention=Retention(max_uses=0))], policies=[soon])
    async with open_core(tmp_path / "broker.db", definitions) as core:
        await core.start(NAME)
        core.nodes[AgentName(NAME)] = NodeReport(online=True, accepting=True, busy=True, uses=1)
        await age(core, 355)
        assert (await core.agent(NAME)).phase == Phase.DRAINING
        await age(core, 6)
        gone = await core.agent(NAME)
        assert (gone.phase, gone.why) == (Phase.GONE, Reason.MAX_LIFETIME)


async def test_a_request_cancelled_while_it_waits_is_gone_at_once(tmp_path: Path) -> None:
    full = make_pool(limits=PoolLimits(agents=0))
    async with open_core(tmp_path / "broker.db", make_definitions(pools=[full])) as core:
        await core.sync()
        await core.ask(NAME)
        await core.settle()
        waiting = await core.agent(NAME)
        assert (waiting.phase, waiting.why) == (Phase.REQUESTED, Reason.POOL_AT_LIMIT)
        await core.release(NAME, Reason.CANCELLED, uses=0)
        await core.settle()
        gone = await core.agent(NAME)
        assert (gone.phase, gone.outcome) == (Phase.GONE, Outcome.CANCELLED)
        assert core.backend.ledger.total_created() == 0


async def test_a_launch_cancelled_in_flight_leaves_nothing(core: Core) -> None:
    await core.sync()
    core.backend.next_launch_is_unknown(created=True)
    await core.ask(NAME)
    await core.settle()
    await core.release(NAME, Reason.CANCELLED, uses=0)
    await core.advance(5)
    gone = await core.agent(NAME)
    assert (gone.phase, gone.outcome) == (Phase.GONE, Outcome.CANCELLED)
    assert core.backend.ledger.instances == {}


async def test_a_queue_timeout_fails_only_where_the_policy_says_so(tmp_path: Path) -> None:
    full = make_pool(limits=PoolLimits(agents=0))
    strict = Timeouts(queue=timedelta(minutes=1), on_timeout=OnTimeout.FAIL)
    policies = [make_policy(timeouts=strict), make_policy(name="patient", labels=("patient",))]
    async with open_core(tmp_path / "broker.db", make_definitions(pools=[full], policies=policies)) as core:
        await core.sync()
        await core.ask(NAME)
        await core.ask("patient-1", policy="patient")
        await core.advance(90)
        failed = await core.agent(NAME)
        assert (failed.phase, failed.outcome, failed.why) == (Phase.GONE, Outcome.FAILED, Reason.QUEUE_TIMEOUT)
        assert "PoolAtLimit" in failed.message
        assert (await core.agent("patient-1")).phase == Phase.REQUESTED


async def test_a_drained_agent_whose_build_does_not_end_in_time_is_ended(tmp_path: Path) -> None:
    short = make_policy(timeouts=Timeouts(drain=timedelta(minutes=1)))
    async with open_core(tmp_path / "broker.db", make_definitions(policies=[short])) as core:
        agent = await core.start(NAME)
        core.says(NAME, busy=True, uses=1)
        await core.sync()
        agent = await core.agent(NAME)
        await core.ctx.aim(agent, Goal.DRAINED, Outcome.SUCCEEDED, Reason.CANCELLED, "drained by ana")
        for _ in range(11):
            await core.sync()
            await core.advance(5)
        assert (await core.agent(NAME)).phase == Phase.DRAINING
        for _ in range(4):  # Jenkins hears of it while the agent is there to tell its build
            await core.sync()
            await core.advance(5)
        ended = await core.agent(NAME)
        assert (ended.phase, ended.outcome, ended.why) == (Phase.GONE, Outcome.FAILED, Reason.DRAIN_TIMEOUT)
        assert ended.message == "its build did not end within 1m00s"
        assert core.backend.ledger.instances == {}


async def test_a_full_pool_falls_back_to_the_next_one(tmp_path: Path) -> None:
    pools = [make_pool(limits=PoolLimits(agents=1)), make_pool(name="second")]
    async with open_core(tmp_path / "broker.db", make_definitions(pools=pools)) as core:
        await core.sync()
        await core.ask("a-1", "a-2", "a-3")
        await core.settle()
        placed = [(await core.agent(name)).pool for name in ("a-1", "a-2", "a-3")]
        assert placed == ["it", "second", "second"]


async def test_a_policy_limit_holds_and_is_given_back(tmp_path: Path) -> None:
    definitions = make_definitions(policies=[make_policy(limits=AgentLimits(agents=2))])
    async with open_core(tmp_path / "broker.db", definitions) as core:
        await core.sync()
        await core.ask("a-1", "a-2", "a-3")
        await core.settle()
        assert list((await core.phases()).values()).count(Phase.REQUESTED) == 1
        waiting = await core.agent("a-3")
        assert (waiting.why, waiting.message) == (
            Reason.POLICY_AT_LIMIT,
            "policy linux is at its limit (2 of 2 agents)",
        )
        await core.release("a-1", Reason.CANCELLED, uses=0)
        await core.advance(5)
        assert (await core.agent("a-3")).phase != Phase.REQUESTED


async def test_pending_places_are_given_back_when_an_agent_is_online(tmp_path: Path) -> None:
    definitions = make_definitions(pools=[make_pool(limits=PoolLimits(pending=1))])
    async with open_core(tmp_path / "broker.db", definitions) as core:
        await core.start("a-1")
        await core.ask("a-2", "a-3")
        await core.settle()
        phases = await core.phases()
        assert phases["a-2"] != Phase.REQUESTED
        assert phases["a-3"] == Phase.REQUESTED


async def test_a_pool_that_always_fails_is_not_hammered(tmp_path: Path) -> None:
    pool = make_pool(cooldown=Cooldown(after_failures=5, within=timedelta(minutes=2), rest=timedelta(minutes=5)))
    patient = make_policy(retry=Retry(attempts=1000))
    async with open_core(tmp_path / "broker.db", make_definitions(pools=[pool], policies=[patient])) as core:
        await core.sync()
        core.backend.down = BackendRejected("AccessDenied", "no", Reason.ACCESS_DENIED)
        await core.ask(*(f"a-{n}" for n in range(20)))
        await core.settle()
        first_burst = len(core.backend.ledger.calls)
        await core.advance(240, step_s=5)
        assert len(core.backend.ledger.calls) == first_burst
        assert (await core.agent("a-0")).why == Reason.POOL_COOLING_DOWN
        await core.advance(120, step_s=5)
        assert len(core.backend.ledger.calls) == first_burst + 1
        core.backend.down = None
        await core.advance(900, step_s=5)
        running = [p for p in (await core.phases()).values() if p != Phase.REQUESTED]
        assert len(running) == 1, "one agent tries the pool; the others wait for its success"


@pytest.mark.parametrize("why", [Reason.IMAGE_PULL_FAILED, Reason.INVALID_TEMPLATE])
async def test_what_would_come_to_the_same_anywhere_gets_no_second_attempt(tmp_path: Path, why: Reason) -> None:
    async with open_core(tmp_path / "broker.db") as core:
        await core.sync()
        core.backend.next_launch_raises(BackendRejected("X", "no such image, or no such role", why), times=5)
        await core.ask("a-1")
        await core.advance(60)
        agent = await core.agent("a-1")
        assert (agent.phase, agent.outcome, agent.attempt, agent.why) == (Phase.GONE, Outcome.FAILED, 1, why)
        assert len(core.backend.ledger.calls) == 1


@pytest.mark.parametrize("first", [timedelta(), timedelta(seconds=2), timedelta(days=36_500)])
def test_after_however_many_attempts_the_pause_is_no_longer_than_the_longest(first: timedelta) -> None:
    last = max(first, timedelta(seconds=30))
    retry = Retry(attempts=100_000, backoff_first=first, backoff_last=last)
    pauses = [pause(retry, make_agent(attempt=attempt)) for attempt in (1, 4, 5, 6, 100, 99_999)]
    assert pauses == sorted(pauses)
    assert pauses[-1] <= last


async def test_an_idle_release_of_a_drained_goal_never_moves_back(core: Core) -> None:
    agent = await core.start(NAME)
    await core.release(NAME, Reason.IDLE_TIMEOUT, uses=0)
    ended = await core.agent(NAME)
    assert ended.goal == Goal.GONE
    await core.release(NAME, Reason.CANCELLED, uses=0)
    assert (await core.agent(NAME)).why == Reason.IDLE_TIMEOUT
    assert agent.goal == Goal.ONLINE


async def test_an_end_that_does_not_come_is_told_once_and_then_every_while(core: Core) -> None:
    await core.start(NAME)
    core.backend.terminate_stays = True
    await core.release(NAME)
    with capture_logs() as logs:
        await core.advance(50)
        assert told_late(logs) == []
        await core.advance(120, step_s=5)
        assert len(told_late(logs)) == 1
        assert "still exists after" in told_late(logs)[0]["message"]
        await core.advance(300, step_s=5)
        assert len(told_late(logs)) == 2
    core.backend.let_go()
    await core.advance(5)
    assert (await core.agent(NAME)).phase == Phase.GONE


def told_late(logs: list[MutableMapping[str, Any]]) -> list[MutableMapping[str, Any]]:
    return [line for line in logs if line["event"] == "agent_termination_failed"]


async def test_a_launch_that_waits_for_the_controller_waits_as_long_as_it_is_away(core: Core) -> None:
    await core.sync()
    core.backend.next_launch_raises(
        Throttled("Away", "cannot fetch agent.jar", Reason.CONTROLLER_UNREACHABLE), times=999
    )
    await core.ask(NAME)
    await core.advance(300, step_s=2)
    waiting = await core.agent(NAME)
    assert (waiting.phase, waiting.attempt, waiting.why) == (Phase.LAUNCHING, 1, Reason.CONTROLLER_UNREACHABLE)
    core.backend.forget_errors()
    await core.sync()
    await core.advance(4)
    assert (await core.agent(NAME)).instance is not None
    assert not await core.ctx.cooldowns.read(core.clock.now())


async def test_a_retry_has_the_queue_s_whole_time_again(tmp_path: Path) -> None:
    strict = make_policy(timeouts=Timeouts(queue=timedelta(minutes=1), on_timeout=OnTimeout.FAIL))
    async with open_core(tmp_path / "broker.db", make_definitions(policies=[strict])) as core:
        await core.sync()
        await core.ask(NAME)
        await core.settle()
        first = await core.agent(NAME)
        assert first.instance is not None
        await core.advance(90)
        core.backend.stop(first.instance, exit_code=1)
        await core.advance(10)
        assert (await core.agent(NAME)).attempt == 2


async def test_an_agent_that_is_gone_keeps_no_secret(core: Core) -> None:
    assert (await core.start(NAME)).sealed_secret
    await core.release(NAME)
    await core.advance(3)
    assert (await core.agent(NAME)).sealed_secret == b""
