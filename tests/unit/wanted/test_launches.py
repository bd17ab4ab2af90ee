"""Launches by hand: asked of Jenkins until as many were asked for, over restarts, and no longer than they last."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from broker.domain.asked import Asked
from broker.domain.definitions import Definitions
from broker.domain.hand_launch import HandLaunch
from broker.domain.ids import ControllerName, HandLaunchId, PolicyName
from broker.domain.policy import AgentLimits
from broker.reconcile.prune import prune as forget
from broker.store.hand_launches import HandLaunches
from broker.store.pruning import prune
from broker.testing.backend import Ledger
from broker.testing.clock import ManualClock
from broker.testing.factories import CONTROLLER, POLICY, make_controller, make_definitions, make_policy
from tests.core import BOOT, Core, open_core, real_secret
from tests.unit.wanted.jenkins import Jenkins

ID = HandLaunchId("try-1")
OTHER = ControllerName("mobile")


async def launch(core: Core, count: int = 2, **changes: Any) -> HandLaunch:
    now = core.clock.now()
    made = HandLaunch(
        id=ID,
        controller=CONTROLLER,
        policy=POLICY,
        label_expression="linux",
        count=count,
        actor="ana@10.0.0.7",
        created_at=now,
        expires_at=now + timedelta(minutes=5),
    )
    return await HandLaunches(core.ctx.database).add(replace(made, **changes))


def asked(jenkins: Jenkins) -> list[tuple[str, int, str | None]]:
    assert jenkins.last is not None
    return [(wish.policy, wish.count, wish.launch_id) for wish in jenkins.last.wishes]


async def test_a_launch_is_asked_for_until_as_many_agents_were(tmp_path: Path) -> None:
    async with open_core(tmp_path / "broker.db") as core:
        jenkins = Jenkins(core)
        await launch(core)
        await jenkins.sync(reply_comes=False)
        await jenkins.sync()
        assert asked(jenkins) == [("linux", 2, ID)]
        await jenkins.ask(request_comes=False)
        await jenkins.sync()
        assert asked(jenkins) == [], "they are on their way"
        await jenkins.ask()
        await jenkins.come_online()
        agents = await jenkins.agents()
        assert [(a.cause, a.launch_id, a.requested_by) for a in agents] == [("manual", ID, "ana")] * 2
        assert jenkins.kept() == set(), "the idle timeout ends them"
        for agent in agents:
            await jenkins.release(agent.name)
        await jenkins.sync()
        assert asked(jenkins) == [], "those that are gone were asked for, too"


async def test_a_repeated_reply_makes_no_more_agents_than_the_launch_wants(tmp_path: Path) -> None:
    async with open_core(tmp_path / "broker.db") as core:
        jenkins = Jenkins(core)
        await launch(core, 1)
        truth = await jenkins.sync()
        jenkins.take(truth)
        await jenkins.ask()
        assert len(await jenkins.agents()) == 1
        assert jenkins.refused == [f"Superseded: launch {ID} has its 1 agents"]


async def test_a_restart_of_the_broker_keeps_the_launch(tmp_path: Path) -> None:
    ledger, clock = Ledger(), ManualClock()
    async with open_core(tmp_path / "broker.db", None, ledger, clock) as core:
        await launch(core)
        jenkins = Jenkins(core)
        await jenkins.sync(reply_comes=False)
    async with open_core(tmp_path / "broker.db", None, ledger, clock) as core:
        jenkins.core = core
        await jenkins.exchange()
        await jenkins.come_online()
        assert [agent.launch_id for agent in await jenkins.agents()] == [ID, ID]


async def test_a_restart_of_the_controller_asks_for_what_is_missing(tmp_path: Path) -> None:
    async with open_core(tmp_path / "broker.db") as core:
        jenkins = Jenkins(core)
        await launch(core)
        await jenkins.sync()
        jenkins.restart()
        await jenkins.exchange()
        jenkins.restart()
        await jenkins.exchange()
        assert len(await jenkins.agents()) == 2


async def test_after_its_time_a_launch_is_asked_for_no_more(tmp_path: Path) -> None:
    async with open_core(tmp_path / "broker.db") as core:
        jenkins = Jenkins(core)
        await launch(core)
        await jenkins.sync()
        await core.clock.advance(300)
        await jenkins.ask()
        assert jenkins.refused == [f"Superseded: launch {ID} was over at 00:05:00 UTC"] * 2
        await jenkins.sync()
        assert (asked(jenkins), await jenkins.agents()) == ([], [])


async def test_a_launch_is_its_controllers_alone(tmp_path: Path) -> None:
    definitions = make_definitions(controllers=[make_controller(), make_controller(name=OTHER)])
    async with open_core(tmp_path / "broker.db", definitions) as core:
        mobile = Jenkins(core, OTHER)
        await launch(core)
        await mobile.sync()
        assert asked(mobile) == []
        one = Asked(name="x-1", policy="linux", secret=real_secret("x-1"), cause="manual", launch_id=ID)
        [answer] = await core.intake.accept(OTHER, BOOT, [one])
        assert answer.message == "there is no launch 'try-1' of policy linux for controller mobile"


async def test_a_launch_of_a_policy_that_is_gone_is_not_asked_for(tmp_path: Path) -> None:
    async with open_core(tmp_path / "broker.db") as core:
        jenkins = Jenkins(core)
        await launch(core, policy=PolicyName("old"))
        await jenkins.sync()
        assert asked(jenkins) == []


async def test_who_launches_in_jenkins_is_kept_and_needs_no_launch_here(tmp_path: Path) -> None:
    async with open_core(tmp_path / "broker.db") as core:
        one = Asked(name="x-1", policy="linux", secret=real_secret("x-1"), cause="manual", requested_by="bob")
        [answer] = await core.intake.accept(CONTROLLER, BOOT, [one])
        assert answer.reason is None
        agent = await core.agent("x-1")
        assert (agent.cause, agent.launch_id, agent.requested_by) == ("manual", None, "bob")


async def test_a_launch_waits_for_room_as_any_agent_does(tmp_path: Path) -> None:
    definitions: Definitions = make_definitions(policies=[make_policy(limits=AgentLimits(agents=1))])
    async with open_core(tmp_path / "broker.db", definitions) as core:
        jenkins = Jenkins(core)
        await launch(core)
        await jenkins.exchange()
        phases = sorted(agent.phase for agent in await jenkins.agents())
        assert phases == ["booting", "requested"]


async def test_a_launch_is_one_row_and_one_event_however_often_it_is_asked(tmp_path: Path) -> None:
    async with open_core(tmp_path / "broker.db") as core:
        first = await launch(core)
        await core.clock.advance(10)
        assert await launch(core) == first
        events = await core.ctx.history.after(0)
        assert [(e.event, e.actor, e.message) for e in events] == [
            ("launch_asked", "ana@10.0.0.7", f"launch {ID}: 2 agents of policy linux for linux")
        ]


async def test_a_launch_is_forgotten_with_the_history_of_its_time(tmp_path: Path) -> None:
    async with open_core(tmp_path / "broker.db") as core:
        kept = await launch(core)
        await prune(core.ctx.database, kept.expires_at)
        assert await HandLaunches(core.ctx.database).get(ID) == kept
        await prune(core.ctx.database, kept.expires_at + timedelta(seconds=1))
        assert await HandLaunches(core.ctx.database).get(ID) is None


async def test_agents_that_are_long_gone_count_for_as_long_as_their_launch_is_asked_for(tmp_path: Path) -> None:
    async with open_core(tmp_path / "broker.db") as core:
        core.ctx.keep_history = timedelta(minutes=1)
        jenkins = Jenkins(core)
        lasting = await launch(core, 1)
        await jenkins.exchange()
        await jenkins.come_online()
        [agent] = await jenkins.agents()
        await jenkins.release(agent.name)
        await core.advance(120, step_s=30)
        await forget(core.ctx)
        await jenkins.sync()
        assert asked(jenkins) == []
        assert await core.ctx.agents.by_name(CONTROLLER, agent.name) is not None
        await core.clock.advance((lasting.expires_at - core.clock.now() + timedelta(minutes=2)).total_seconds())
        for _ in range(2):
            await forget(core.ctx)
        await jenkins.sync()
        assert asked(jenkins) == []
        assert await HandLaunches(core.ctx.database).get(ID) is None
        assert await core.ctx.agents.by_name(CONTROLLER, agent.name) is None
