"""Warm agents: as many idle ones as a policy keeps, whatever is lost or restarted, and never above a limit."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.domain.definitions import Definitions
from broker.domain.ids import AgentName, ControllerName, PolicyName
from broker.domain.lifecycle import Goal, Phase
from broker.domain.policy import AgentLimits
from broker.domain.pool import Cooldown, PoolLimits
from broker.domain.reason import Reason
from broker.domain.template import Retention
from broker.errors import BackendRejected
from broker.placement.warm import counts
from broker.reconcile.wanted import SHARE_S
from broker.telemetry.readings import Readings
from broker.testing.backend import Ledger
from broker.testing.clock import ManualClock
from broker.testing.factories import make_controller, make_definitions, make_policy, make_pool, make_template
from tests.core import Core, open_core
from tests.unit.wanted.jenkins import IDLE, Jenkins, wishes

OTHER = ControllerName("mobile")


def keeping(min_idle: int, **changes: Any) -> Definitions:
    return make_definitions(policies=[make_policy(min_idle=min_idle, **changes)])


async def both_idle(core: Core) -> tuple[Jenkins, AgentName, AgentName]:
    jenkins = Jenkins(core)
    await jenkins.exchange()
    await jenkins.come_online()
    first, second = (agent.name for agent in await jenkins.agents())
    return jenkins, first, second


async def test_idle_agents_come_without_a_build_and_are_kept(tmp_path: Path) -> None:
    async with open_core(tmp_path / "broker.db", keeping(2)) as core:
        jenkins = Jenkins(core)
        assert wishes(await jenkins.sync()) == [("linux", 2)]
        await jenkins.ask()
        assert wishes(await jenkins.sync()) == [], "those that start count"
        await jenkins.come_online()
        agents = await jenkins.agents()
        assert [(a.cause, a.phase) for a in agents] == [("warm", Phase.ONLINE)] * 2
        assert jenkins.kept() == {a.name for a in agents}


async def test_a_policy_without_min_idle_wants_nothing(tmp_path: Path) -> None:
    async with open_core(tmp_path / "broker.db", keeping(0)) as core:
        assert wishes(await Jenkins(core).sync()) == []


async def test_one_that_a_build_has_taken_is_made_good(tmp_path: Path) -> None:
    async with open_core(tmp_path / "broker.db", keeping(2)) as core:
        jenkins, first, second = await both_idle(core)
        jenkins.begin(first)
        assert wishes(await jenkins.sync()) == [("linux", 1)]
        await jenkins.ask()
        await jenkins.come_online()
        [third] = {a.name for a in await jenkins.agents()} - {first, second}
        assert jenkins.kept() == {second, third}
        await jenkins.release(first)
        assert wishes(await jenkins.sync()) == []


@pytest.mark.parametrize("accepting", [True, False], ids=["accepting", "set aside by a person"])
async def test_one_that_takes_no_build_does_not_count(tmp_path: Path, accepting: bool) -> None:
    async with open_core(tmp_path / "broker.db", keeping(2)) as core:
        jenkins, first, second = await both_idle(core)
        jenkins.nodes[first] = replace(IDLE, accepting=accepting)
        assert wishes(await jenkins.sync()) == ([] if accepting else [("linux", 1)])
        assert jenkins.kept() == ({first, second} if accepting else {second})


async def test_one_that_drains_or_ends_does_not_count(tmp_path: Path) -> None:
    async with open_core(tmp_path / "broker.db", keeping(2)) as core:
        jenkins, first, second = await both_idle(core)
        agents = await jenkins.agents()
        await core.ctx.aim(agents[0], Goal.DRAINED, None, Reason.CANCELLED, "by hand")  # type: ignore[arg-type]
        await jenkins.release(second, Reason.CANCELLED)
        assert wishes(await jenkins.sync()) == [("linux", 2)]
        assert first not in jenkins.kept()


async def test_one_that_has_lost_its_session_is_expected_back(tmp_path: Path) -> None:
    async with open_core(tmp_path / "broker.db", keeping(1)) as core:
        jenkins = Jenkins(core)
        await jenkins.exchange()
        await jenkins.come_online()
        [agent] = await jenkins.agents()
        core.sessions.disconnect(agent.id)
        jenkins.nodes[agent.name] = replace(IDLE, online=False, accepting=False)
        await jenkins.sync()
        await core.advance(2)
        assert (await core.agent(agent.name)).phase is Phase.RECONNECTING
        assert wishes(await jenkins.sync()) == []


async def test_agents_that_start_for_waiting_builds_are_not_warm(tmp_path: Path) -> None:
    async with open_core(tmp_path / "broker.db", keeping(2)) as core:
        jenkins = Jenkins(core)
        for n in range(3):
            await jenkins.queue(f"q-{n}")
        assert wishes(await jenkins.sync()) == [("linux", 2)]
        await jenkins.ask()
        for _ in range(3):  # a queue that never gets shorter makes no more of them
            assert wishes(await jenkins.sync()) == []
            await jenkins.come_online()
        assert await jenkins.warm() == 2


async def test_an_agent_whose_build_went_elsewhere_counts_as_warm(tmp_path: Path) -> None:
    async with open_core(tmp_path / "broker.db", keeping(1)) as core:
        jenkins = Jenkins(core)
        await jenkins.queue("q-1")
        jenkins.queued.clear()
        assert wishes(await jenkins.sync()) == []
        assert jenkins.kept() == {"q-1"}


async def test_a_lower_number_keeps_those_that_came_first_and_lets_the_others_go(tmp_path: Path) -> None:
    async with open_core(tmp_path / "broker.db", keeping(2)) as core:
        jenkins, first, second = await both_idle(core)
        core.ctx.definitions = keeping(1)
        kept = []
        for _ in range(2):
            await jenkins.sync()
            kept.append(jenkins.kept())
        assert kept == [{first}, {first}], "the same one each time"
        await jenkins.release(second, Reason.IDLE_TIMEOUT)
        assert wishes(await jenkins.sync()) == []
        core.ctx.definitions = keeping(0)
        await jenkins.sync()
        assert jenkins.kept() == set()


async def test_a_used_up_agent_that_is_idle_again_does_not_count(tmp_path: Path) -> None:
    template = make_template(retention=Retention(max_uses=2))
    definitions = make_definitions(policies=[make_policy(min_idle=1)], templates=[template])
    async with open_core(tmp_path / "broker.db", definitions) as core:
        jenkins = Jenkins(core)
        await jenkins.exchange()
        await jenkins.come_online()
        [agent] = await jenkins.agents()
        jenkins.nodes[agent.name] = replace(IDLE, uses=1)
        assert wishes(await jenkins.sync()) == [], "it may run another one"
        jenkins.nodes[agent.name] = replace(IDLE, uses=2)
        assert wishes(await jenkins.sync()) == [("linux", 1)]


# what is lost, repeated, late


async def test_a_reply_that_is_lost_is_wished_again(tmp_path: Path) -> None:
    async with open_core(tmp_path / "broker.db", keeping(2)) as core:
        jenkins = Jenkins(core)
        assert wishes(await jenkins.sync(reply_comes=False)) == [("linux", 2)]
        assert wishes(await jenkins.exchange()) == []
        assert await jenkins.warm() == 2


async def test_names_whose_request_is_under_way_are_not_wished_again(tmp_path: Path) -> None:
    async with open_core(tmp_path / "broker.db", keeping(2)) as core:
        jenkins = Jenkins(core)
        await jenkins.sync()
        await jenkins.ask(request_comes=False)
        assert wishes(await jenkins.sync()) == []
        await jenkins.ask(reply_comes=False)
        assert wishes(await jenkins.sync()) == []
        await jenkins.ask()
        assert (await jenkins.warm(), jenkins.refused) == (2, [])


async def test_a_reply_that_comes_twice_makes_no_more_agents(tmp_path: Path) -> None:
    async with open_core(tmp_path / "broker.db", keeping(2)) as core:
        jenkins = Jenkins(core)
        truth = await jenkins.sync()
        jenkins.take(truth)
        assert len(jenkins.unanswered) == 4
        await jenkins.ask()
        assert await jenkins.warm() == 2
        assert jenkins.refused == ["Superseded: policy linux has as many idle agents as it keeps"] * 2
        jenkins.take(truth)  # and late
        await jenkins.ask()
        assert await jenkins.warm() == 2


async def test_a_request_for_a_policy_that_keeps_none_any_more_is_refused(tmp_path: Path) -> None:
    async with open_core(tmp_path / "broker.db", keeping(2)) as core:
        jenkins = Jenkins(core)
        await jenkins.sync()
        core.ctx.definitions = keeping(0)
        await jenkins.ask()
        assert (await jenkins.warm(), len(jenkins.refused)) == (0, 2)


async def test_a_restarted_controller_asks_for_what_is_missing_and_no_more(tmp_path: Path) -> None:
    async with open_core(tmp_path / "broker.db", keeping(3)) as core:
        jenkins = Jenkins(core)
        await jenkins.sync()
        jenkins.restart()  # before it could ask
        await jenkins.exchange()
        assert await jenkins.warm() == 3
        jenkins.restart()
        assert wishes(await jenkins.exchange()) == []
        await jenkins.come_online()
        assert (await jenkins.warm(), len(jenkins.kept())) == (3, 3)


async def test_a_restarted_broker_asks_for_what_is_missing_and_no_more(tmp_path: Path) -> None:
    ledger, clock = Ledger(), ManualClock()
    async with open_core(tmp_path / "broker.db", keeping(2), ledger, clock) as core:
        jenkins = Jenkins(core)
        await jenkins.exchange()
        truth = jenkins.last
    async with open_core(tmp_path / "broker.db", keeping(2), ledger, clock) as core:
        jenkins.core = core
        assert truth is not None
        jenkins.take(truth)
        assert wishes(await jenkins.exchange()) == []
        assert await jenkins.warm() == 2


STEPS = [
    *("sync", "sync, reply lost", "reply again"),
    *("ask", "ask, request lost", "ask, reply lost"),
    *("restart", "online", "build"),
]


@settings(max_examples=60, deadline=None)
@given(steps=st.lists(st.sampled_from(STEPS), max_size=14), number=st.integers(1, 3))
async def test_whatever_happens_on_the_way_there_are_in_the_end_as_many_as_are_kept(
    steps: list[str], number: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    async with open_core(tmp_path_factory.mktemp("core") / "broker.db", keeping(number)) as core:
        jenkins = Jenkins(core)
        for step in steps:
            await act(jenkins, step)
            idle = [a for a in await jenkins.agents() if not a.busy]
            assert len(idle) <= number, step
        for _ in range(3):
            await jenkins.exchange()
            await jenkins.come_online()
        spare = [a for a in await jenkins.agents() if not a.busy]
        assert (len(spare), jenkins.kept()) == (number, {a.name for a in spare})
        assert wishes(await jenkins.sync()) == []


async def act(jenkins: Jenkins, step: str) -> None:
    match step:
        case "sync":
            await jenkins.sync()
        case "sync, reply lost":
            await jenkins.sync(reply_comes=False)
        case "ask":
            await jenkins.ask()
        case "ask, request lost":
            await jenkins.ask(request_comes=False)
        case "ask, reply lost":
            await jenkins.ask(reply_comes=False)
        case "reply again" if jenkins.last is not None:
            jenkins.take(jenkins.last)
        case "restart":
            jenkins.restart()
        case "online":
            await jenkins.come_online()
        case "build":
            for name, node in jenkins.nodes.items():
                if node == IDLE:
                    jenkins.begin(name)
                    return


# limits, failures


@pytest.mark.parametrize(
    "limit",
    [
        {"policies": [make_policy(min_idle=5, limits=AgentLimits(agents=3))]},
        {"pools": [make_pool(limits=PoolLimits(agents=3))]},
        {"controllers": [make_controller(limits=AgentLimits(agents=3))]},
        {"limits": AgentLimits(agents=3)},
        {"limits": AgentLimits(pending=3)},
    ],
    ids=["policy", "pool", "controller", "broker", "starting"],
)
async def test_no_more_are_wanted_than_there_is_room_for(tmp_path: Path, limit: dict[str, Any]) -> None:
    definitions = make_definitions(**{"policies": [make_policy(min_idle=5)], **limit})
    async with open_core(tmp_path / "broker.db", definitions) as core:
        jenkins = Jenkins(core)
        await jenkins.queue("q-1")
        assert wishes(await jenkins.sync()) == [("linux", 2)]
        await jenkins.ask()
        assert wishes(await jenkins.sync()) == []


async def test_warm_agents_of_several_policies_share_what_room_there_is(tmp_path: Path) -> None:
    policies = [make_policy(min_idle=2), replace(make_policy(min_idle=2), name=PolicyName("big"), labels=("big",))]
    definitions = make_definitions(policies=policies, pools=[make_pool(limits=PoolLimits(agents=3))])
    async with open_core(tmp_path / "broker.db", definitions) as core:
        found = dict(wishes(await Jenkins(core).sync()))
        assert sum(found.values()) == 3


async def test_while_a_pool_cools_down_none_is_wanted(tmp_path: Path) -> None:
    definitions = make_definitions(
        policies=[make_policy(min_idle=1)], pools=[make_pool(cooldown=Cooldown(after_failures=1))]
    )
    async with open_core(tmp_path / "broker.db", definitions) as core:
        jenkins = Jenkins(core)
        core.backend.next_launch_raises(BackendRejected("Denied", "no right", Reason.ACCESS_DENIED))
        await jenkins.queue("q-1")
        await core.advance(2)
        assert wishes(await jenkins.sync()) == []


async def test_after_warm_agents_have_failed_the_next_are_wanted_later_each_time(tmp_path: Path) -> None:
    definitions = keeping(2)
    async with open_core(tmp_path / "broker.db", definitions) as core:
        jenkins, pauses = Jenkins(core), []
        await jenkins.sync()
        for _ in range(4):
            await jenkins.ask()
            for agent in await jenkins.agents():
                await jenkins.release(agent.name, Reason.CANCELLED)
            began = core.clock.monotonic()
            while not wishes(await jenkins.sync()):
                await core.clock.advance(2)
            pauses.append(core.clock.monotonic() - began)
        assert [8 <= pauses[0] <= 14, 17 <= pauses[1] <= 24, 37 <= pauses[2] <= 44, 77 <= pauses[3] <= 84] == [True] * 4
        await jenkins.ask()
        await jenkins.come_online()
        for agent in await jenkins.agents():
            jenkins.begin(agent.name)
        assert wishes(await jenkins.sync()) == [("linux", 2)], "one that came makes good for all that failed"


async def fails(core: Core, jenkins: Jenkins) -> None:
    await jenkins.ask()
    for agent in await jenkins.agents():
        await jenkins.release(agent.name, Reason.CANCELLED)


async def test_a_clock_that_is_set_back_keeps_no_warm_agents_away_for_that_time(tmp_path: Path) -> None:
    async with open_core(tmp_path / "broker.db", keeping(1)) as core:
        jenkins = Jenkins(core)
        await jenkins.sync()
        await fails(core, jenkins)
        assert wishes(await jenkins.sync()) == []
        core.clock.jump(-timedelta(days=1))
        assert wishes(await jenkins.sync()) == [("linux", 1)]


async def test_a_clock_that_is_set_back_takes_no_pause_away_because_one_came_in_the_time_to_come(
    tmp_path: Path,
) -> None:
    async with open_core(tmp_path / "broker.db", keeping(1)) as core:
        jenkins = Jenkins(core)
        await jenkins.exchange()
        await jenkins.come_online()
        [came] = await jenkins.agents()
        core.clock.jump(-timedelta(days=1))
        await jenkins.release(came.name, Reason.IDLE_TIMEOUT)
        await jenkins.sync()
        await fails(core, jenkins)
        assert wishes(await jenkins.sync()) == []
        await core.clock.advance(15)
        assert wishes(await jenkins.sync()) == [("linux", 1)]


# what is counted


def series(core: Core, name: str) -> dict[str, float]:
    families = core.ctx.metrics.registry.collect()
    samples = [s for family in families for s in family.samples if s.name == f"agentbroker_{name}"]
    return {s.labels["outcome" if "claims" in name else "kind"]: s.value for s in samples}


async def test_a_build_that_finds_an_agent_ready_is_a_hit_and_one_that_waits_for_its_own_a_miss(tmp_path: Path) -> None:
    async with open_core(tmp_path / "broker.db", keeping(2)) as core:
        jenkins, first, second = await both_idle(core)
        assert series(core, "warm_claims_total") == {"hit": 0, "miss": 0}
        jenkins.begin(first)
        for _ in range(2):
            await jenkins.sync()
        assert series(core, "warm_claims_total") == {"hit": 1, "miss": 0}
        await jenkins.queue("q-1")
        await jenkins.come_online()
        jenkins.queued.clear()
        jenkins.begin(AgentName("q-1"))
        await jenkins.sync()
        assert series(core, "warm_claims_total") == {"hit": 1, "miss": 1}
        jenkins.nodes[second] = replace(IDLE, uses=1)  # a build so short that no sync has seen it
        await jenkins.release(second)
        assert series(core, "warm_claims_total") == {"hit": 2, "miss": 1}


async def test_how_many_are_ready_and_how_many_are_to_be_is_a_metric(tmp_path: Path) -> None:
    async with open_core(tmp_path / "broker.db", keeping(2)) as core:
        jenkins = Jenkins(core)
        assert series(core, "warm_agents") == {"actual": 0, "wanted": 0}
        numbers = [await read_warm(core)]
        await jenkins.exchange()
        numbers.append(await read_warm(core))
        await jenkins.come_online()
        numbers.append(await read_warm(core))
        jenkins.begin((await jenkins.agents())[0].name)
        await jenkins.sync()
        numbers.append(await read_warm(core))
    assert numbers == [{"actual": n, "wanted": 2} for n in (0, 0, 2, 1)]


async def read_warm(core: Core) -> dict[str, float]:
    warm = counts(await core.ctx.agents.live(), core.ctx.definitions, core.ctx.clock.now())
    core.ctx.metrics.read(Readings(warm=warm))
    return series(core, "warm_agents")


# several controllers

TWO = [make_controller(), make_controller(name=OTHER)]


async def test_the_number_is_of_all_controllers_together(tmp_path: Path) -> None:
    definitions = make_definitions(policies=[make_policy(min_idle=3)], controllers=TWO)
    async with open_core(tmp_path / "broker.db", definitions) as core:
        main, mobile = Jenkins(core), Jenkins(core, OTHER)
        assert [wishes(await one.sync()) for one in (main, mobile)] == [[("linux", 2)], [("linux", 1)]]
        for one in (main, mobile):
            await one.ask()
        assert (await main.warm(), await mobile.warm()) == (2, 1)
        assert [wishes(await one.sync()) for one in (main, mobile)] == [[], []]


async def test_a_controller_that_is_away_leaves_its_share_but_not_the_agents_that_it_has(tmp_path: Path) -> None:
    definitions = make_definitions(policies=[make_policy(min_idle=2)], controllers=TWO)
    async with open_core(tmp_path / "broker.db", definitions) as core:
        main, mobile = Jenkins(core), Jenkins(core, OTHER)
        for one in (main, mobile):
            await one.exchange()
        await core.clock.advance(SHARE_S + 1)
        assert wishes(await main.sync()) == [], "the other one's agent lives"
        [agent] = await mobile.agents()
        await core.ctx.aim(agent, Goal.GONE, None, Reason.CANCELLED, "")  # type: ignore[arg-type]
        await core.advance(3)
        assert wishes(await main.exchange()) == []
        assert await main.warm() == 2
        assert wishes(await mobile.exchange()) == [], "back, it gets its share when one of the others ends"
        await main.sync()
        assert len(main.kept()) == 1
        [surplus] = {a.name for a in await main.agents()} - main.kept()
        await main.release(surplus, Reason.CANCELLED)
        await core.clock.advance(15)
        await mobile.sync()
        assert wishes(await main.sync()) == []
        await mobile.exchange()
        assert (await main.warm(), await mobile.warm()) == (1, 1)


async def test_a_policy_of_one_controller_is_kept_for_that_one(tmp_path: Path) -> None:
    policy = make_policy(min_idle=2, controllers=(OTHER,))
    async with open_core(tmp_path / "broker.db", make_definitions(policies=[policy], controllers=TWO)) as core:
        assert wishes(await Jenkins(core).sync()) == []
        assert wishes(await Jenkins(core, OTHER).sync()) == [("linux", 2)]
