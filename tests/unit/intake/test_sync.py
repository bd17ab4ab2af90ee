"""The full truth both ways: which agents must have a node, which names must not, and who counts as capacity."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from broker.domain.agent import Agent
from broker.domain.ids import AgentName, BootId, ControllerName
from broker.domain.lifecycle import Goal, Outcome, Phase
from broker.domain.reason import Reason
from broker.domain.template import Retention
from broker.intake import Intake, Told
from broker.reconcile.presence import NodeReport
from broker.store.agents import Agents
from broker.store.engine import Database
from broker.store.search import Search
from broker.testing.factories import CONTROLLER, make_definitions, make_template
from tests.core import Core, open_core

NAME = "linux-000001"
SECOND_BOOT = BootId("boot-2")


class AgentsWithAnEvent(Agents):
    """Something happens right after the living agents were read."""

    def __init__(self, database: Database, *, after_live: Callable[[], Awaitable[None]]) -> None:
        super().__init__(database)
        self._after_live = after_live

    async def live(self, controller: ControllerName | None = None) -> list[Agent]:
        found = await super().live(controller)
        await self._after_live()
        return found


async def takes_builds(core: Core) -> bool:
    [kept] = (await core.sync()).kept
    return kept.takes_builds


async def restart_controller(core: Core) -> None:
    """Jenkins comes up again: its nodes are lost, its agents must reconnect."""
    core.boot = SECOND_BOOT
    core.nodes.clear()
    core.sessions.disconnect((await core.agent(NAME)).id)
    await core.sync()
    await core.settle()


async def test_every_living_agent_must_have_a_node(core: Core) -> None:
    await core.ask("a-1", "a-2")
    truth = await core.sync()
    assert [kept.agent.name for kept in truth.kept] == ["a-1", "a-2"]
    assert (truth.removed, truth.unknown, truth.revision) == ((), (), "1")


async def test_names_that_nobody_knows_are_told_once_each(core: Core) -> None:
    core.says("x-1")
    told = Told(boot_id=core.boot, nodes=core.nodes, pending=[AgentName("x-2"), AgentName("x-1")])
    assert (await core.intake.sync(CONTROLLER, told)).unknown == ("x-1", "x-2")


async def test_a_node_whose_agent_has_ended_is_to_be_removed_with_its_cause(core: Core) -> None:
    await core.start(NAME)
    await core.release(NAME, Reason.CANCELLED, uses=0)
    core.says(NAME)
    truth = await core.sync()
    assert truth.kept == ()
    assert [(a.name, a.why) for a in truth.removed] == [(NAME, Reason.CANCELLED)]
    await core.advance(3)
    assert [(a.name, a.phase) for a in (await core.sync()).removed] == [(NAME, Phase.GONE)]
    core.nodes.clear()
    assert (await core.sync()).removed == ()


async def test_an_agent_that_is_accepted_during_a_sync_is_not_to_be_removed(core: Core) -> None:
    async def accept() -> None:
        await core.ask(NAME)

    intake = Intake(replace(core.ctx, agents=AgentsWithAnEvent(core.ctx.database, after_live=accept)))
    truth = await intake.sync(CONTROLLER, Told(boot_id=core.boot, nodes={}, pending=[AgentName(NAME)]))
    assert (truth.removed, truth.unknown) == ((), ())
    assert [kept.agent.name for kept in truth.kept] == [NAME]


async def test_an_agent_of_another_controller_is_unknown(core: Core) -> None:
    await core.start(NAME)
    assert (await core.sync("other")).unknown == (NAME,)  # type: ignore[arg-type] # a controller's name
    assert len((await core.sync()).kept) == 1


async def test_an_agent_takes_builds_from_its_request_until_it_is_busy(core: Core) -> None:
    await core.ask(NAME)
    assert await takes_builds(core), "requested"
    await core.settle()
    assert await takes_builds(core), "connecting"
    core.sessions.connect(await core.agent(NAME))
    core.says(NAME)
    await core.sync()
    await core.settle()
    assert await takes_builds(core), "online"
    core.says(NAME, busy=True, uses=1)
    assert not await takes_builds(core), "busy"
    core.says(NAME, busy=False, uses=1)
    assert not await takes_builds(core), "used up"


async def test_an_agent_that_is_placed_again_still_counts(core: Core) -> None:
    await core.sync()
    await core.ask(NAME)
    await core.settle()
    core.backend.terminate_stays = True
    instance = (await core.agent(NAME)).instance
    assert instance is not None
    core.backend.stop(instance, exit_code=1)
    await core.advance(1)
    assert (await core.agent(NAME)).phase == Phase.TERMINATING
    assert await takes_builds(core)


async def test_an_agent_that_lost_its_session_is_no_capacity(core: Core) -> None:
    agent = await core.start(NAME)
    core.sessions.disconnect(agent.id)
    await core.settle()
    assert (await core.agent(NAME)).phase == Phase.RECONNECTING
    assert not await takes_builds(core)


async def test_a_draining_agent_is_no_capacity_before_and_after_it_drains(core: Core) -> None:
    await core.start(NAME)
    core.says(NAME, busy=True, uses=0)
    await core.sync()
    await core.ctx.aim(await core.agent(NAME), Goal.DRAINED, Outcome.SUCCEEDED, Reason.POOL_DRAINING, "it rests")
    assert not await takes_builds(core)
    await core.settle()
    assert (await core.agent(NAME)).phase == Phase.DRAINING
    assert not await takes_builds(core)


@pytest.mark.parametrize(("uses", "expected"), [(0, True), (1, True), (2, False), (5, False)])
async def test_an_idle_agent_takes_builds_as_long_as_it_has_uses_left(
    tmp_path: Path, uses: int, *, expected: bool
) -> None:
    definitions = make_definitions(templates=[make_template(retention=Retention(max_uses=2))])
    async with open_core(tmp_path / "broker.db", definitions) as core:
        await core.start(NAME)
        core.says(NAME, uses=uses)
        assert await takes_builds(core) == expected


async def test_an_idle_agent_of_a_restarted_controller_takes_the_next_build(core: Core) -> None:
    before = await core.start(NAME)
    await restart_controller(core)
    assert (await core.agent(NAME)).phase == Phase.RECONNECTING
    assert await takes_builds(core), "its node is made again, and nothing else is launched for the build that waits"
    core.says(NAME, online=False)
    assert await takes_builds(core)
    core.sessions.connect(await core.agent(NAME))
    core.says(NAME)
    await core.sync()
    await core.settle()
    assert await takes_builds(core)
    after = await core.agent(NAME)
    assert (after.phase, after.instance, after.attempt) == (Phase.ONLINE, before.instance, 1)


async def test_an_idle_agent_that_is_lost_after_it_was_back_is_no_capacity(core: Core) -> None:
    agent = await core.start(NAME)
    await restart_controller(core)
    core.sessions.connect(await core.agent(NAME))
    core.says(NAME)
    await core.sync()
    await core.settle()
    core.sessions.disconnect(agent.id)
    core.says(NAME, online=False)
    await core.settle()
    assert not await takes_builds(core)


async def test_a_busy_agent_of_a_restarted_controller_stays_busy_until_an_online_node_is_idle(core: Core) -> None:
    agent = await core.start(NAME)
    core.says(NAME, busy=True, uses=1)
    await core.sync()
    await core.settle()
    await restart_controller(core)
    core.says(NAME, online=False, busy=False, uses=1)
    for _ in range(20):
        assert not await takes_builds(core)
        await core.advance(1)
    waiting = await core.agent(NAME)
    assert (waiting.phase, waiting.busy, waiting.goal) == (Phase.RECONNECTING, True, Goal.ONLINE)
    core.sessions.connect(waiting)
    core.says(NAME, online=True, busy=True, uses=1)
    await core.sync()
    await core.settle()
    assert (await core.agent(NAME)).phase == Phase.ONLINE
    core.says(NAME, online=True, busy=False, uses=1)
    await core.sync()
    await core.advance(3)
    ended = await core.agent(NAME)
    assert (ended.id, ended.phase, ended.why, ended.outcome) == (
        agent.id,
        Phase.GONE,
        Reason.COMPLETED,
        Outcome.SUCCEEDED,
    )
    assert core.backend.ledger.total_created() == 1


async def test_a_restarted_controller_that_forgot_the_uses_does_not_take_them_back(core: Core) -> None:
    await core.start(NAME)
    core.says(NAME, busy=True, uses=1)
    await core.sync()
    core.boot = SECOND_BOOT
    core.says(NAME, online=True, busy=False, uses=0)
    await core.sync()
    assert (await core.agent(NAME)).uses == 1
    await core.advance(3)
    assert (await core.agent(NAME)).phase == Phase.GONE


async def test_a_used_agent_stays_while_its_restarted_controller_has_not_synced(core: Core) -> None:
    agent = await core.start(NAME)
    core.says(NAME, busy=False, uses=1)
    told = Told(boot_id=core.boot, nodes=dict(core.nodes), pending=())
    await core.intake.greet(CONTROLLER, SECOND_BOOT)
    await core.ctx.agents.report([])
    await core.ctx.agents.change(agent, replace(agent, uses=1), "used", core.clock.now())
    core.ctx.nudge.agent(agent.id)
    await core.settle()
    assert (await core.agent(NAME)).goal == Goal.ONLINE
    core.boot = SECOND_BOOT
    await core.intake.sync(CONTROLLER, replace(told, boot_id=SECOND_BOOT))
    await core.settle()
    assert (await core.agent(NAME)).goal == Goal.GONE


async def test_the_truth_of_an_earlier_boot_that_comes_late_is_not_that_of_the_new_one(core: Core) -> None:
    await core.start(NAME)
    late = Told(boot_id=core.boot, nodes=dict(core.nodes), pending=())
    core.boot, core.nodes = SECOND_BOOT, {}
    core.says(NAME, online=False)
    await core.sync()
    await core.intake.sync(CONTROLLER, late)
    await core.sync()
    node = core.ctx.presence.node(CONTROLLER, (await core.agent(NAME)).id)
    assert node is not None
    assert not node.online
    assert core.ctx.presence.synced(CONTROLLER)


async def test_a_build_that_only_waits_is_not_the_one_that_an_agent_has_run(core: Core) -> None:
    await core.ask("linux-000001")
    url = "http://127.0.0.1:8080/job/app/7/"
    core.nodes[AgentName("linux-000001")] = NodeReport(online=False, accepting=False, busy=False, uses=0, build_url=url)
    await core.sync()
    assert (await core.agent("linux-000001")).build_url == ""


async def test_the_build_of_a_job_that_had_none_while_it_waited_is_known_from_when_it_runs(core: Core) -> None:
    await core.start("linux-000001")
    url = "http://127.0.0.1:8080/job/app/7/"
    core.nodes[AgentName("linux-000001")] = NodeReport(online=True, accepting=False, busy=True, uses=1, build_url=url)
    await core.sync()
    assert (await core.agent("linux-000001")).build_url == url
    [found] = await Search(core.ctx.database).of_build(url.rstrip("/"))
    assert found.name == "linux-000001"
    version = found.version
    await core.sync()
    assert (await core.agent("linux-000001")).version == version, "a repeat changes nothing"
    other = NodeReport(online=True, accepting=False, busy=True, uses=1, build_url=url.replace("7", "8"))
    core.nodes[AgentName("linux-000001")] = other
    await core.sync()
    assert (await core.agent("linux-000001")).build_url == url, "the first one stays"
