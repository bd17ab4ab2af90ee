"""A new config under living agents: all of it or nothing; nothing that runs is cut, nothing that waits is lost."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from broker.config.load import load
from broker.domain.agent import Agent
from broker.domain.ids import BackendName, ControllerName
from broker.domain.lifecycle import Goal, Outcome, Phase
from broker.domain.pool import BackendDefinition
from broker.domain.reason import Reason
from broker.errors import ConfigError, StoreUnavailable
from broker.reconcile.watch import poll
from broker.reload import Reloader
from broker.testing.backend import FakeBackend
from tests.core import Core, open_core

HASH = "a" * 64
BASE = f"""version: 1
controllers:
  main: {{ url: "http://127.0.0.1:8080/", token_sha256: {HASH} }}
backends: {{ one: {{ type: process }}, two: {{ type: process }} }}
templates: {{ default: {{ retention: {{ max_uses: 0 }} }} }}
pools:
  here: {{ backend: one }}
  there: {{ backend: two }}
policies:
  linux: {{ labels: [linux], pools: [here] }}
  mac: {{ labels: [mac], pools: [there] }}
"""
WITHOUT_HERE = BASE.replace("  here: { backend: one }\n", "").replace("pools: [here]", "pools: [there]")
ONE, TWO = BackendName("one"), BackendName("two")


class Opened(FakeBackend):
    """A fake that tells when it is closed."""

    closed = False

    async def close(self) -> None:
        self.closed = True


class Stuck(Opened):
    """One that fails to close."""

    async def close(self) -> None:
        raise OSError("its socket is gone")


class Unreadable:
    """Agents in a store that cannot be read."""

    async def live(self) -> list[Agent]:
        raise StoreUnavailable("the disk is gone")


class World:
    """A core whose definitions come from a file."""

    def __init__(self, core: Core, reloader: Reloader, file: Path, opened: dict[BackendName, Opened]) -> None:
        self.core = core
        self.reloader = reloader
        self.file = file
        self.opened = opened

    def write(self, text: str) -> None:
        self.file.write_text(text)

    async def polls(self, seconds: float) -> None:
        """Lets time pass, with all backends polled."""
        for _ in range(round(seconds / 0.5)):
            await self.core.advance(0.5)
            for name in self.core.ctx.backends:
                await poll(self.core.ctx, name)
            await self.core.settle()

    async def start(self, name: str) -> None:
        await self.core.sync()
        await self.core.ask(name, policy=name.partition("-")[0])
        await self.core.settle()
        self.core.sessions.connect(await self.core.agent(name))
        self.core.says(name)
        await self.core.sync()
        await self.core.settle()
        assert (await self.core.agent(name)).phase == Phase.ONLINE


@asynccontextmanager
async def open_world(tmp_path: Path) -> AsyncIterator[World]:
    file = tmp_path / "broker.yaml"
    file.write_text(BASE)
    config = load(file, env={}, starting=True)
    async with open_core(tmp_path / "broker.db", config.definitions) as core:
        opened: dict[BackendName, Opened] = {}

        def opening(definition: BackendDefinition) -> Opened:
            opened[definition.name] = Opened(None, core.clock)
            return opened[definition.name]

        reloader = Reloader(config, core.ctx, opening)
        core.ctx.backends = {name: opening(config.definitions.backends[name]) for name in (ONE, TWO)}
        yield World(core, reloader, file, opened)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as opened:
        yield opened


async def test_a_reload_says_what_it_has_changed_and_puts_it_in_force(world: World) -> None:
    world.write(BASE.replace("here: { backend: one }", "here: { backend: one, limits: { agents: 7 } }"))
    result = await world.reloader.reload()
    assert result.changed == ("pools.here.limits.agents (unset) -> 7",)
    assert result.needs_restart == ()
    assert world.core.ctx.definitions.revision == result.revision
    assert (await world.core.sync()).revision == result.revision, "Jenkins asks for the policies anew"


async def test_a_bad_file_changes_nothing_and_is_told_everywhere(world: World) -> None:
    before = world.core.ctx.definitions
    world.write(BASE.replace("pools: [here]", "pools: [hree]").replace("labels: [mac]", "labels: [linux]"))
    with pytest.raises(ConfigError, match=r"(?s)unknown-pool.*ambiguous-labels.*2 errors"):
        await world.reloader.reload("ana")
    assert world.core.ctx.definitions is before
    last = (await world.core.ctx.history.after(0))[-1]
    assert (last.event, last.actor) == ("config_reload_failed", "ana")
    assert "error[unknown-pool]: policy 'linux' uses pool 'hree'" in last.message
    assert b"agentbroker_config_last_reload_successful 0.0" in world.core.ctx.metrics.exposition()[0]
    world.write(BASE)
    assert (await world.reloader.reload()).changed == ()
    assert b"agentbroker_config_last_reload_successful 1.0" in world.core.ctx.metrics.exposition()[0]


async def test_addresses_and_directories_wait_for_a_restart_and_are_told_until_then(world: World) -> None:
    world.write(BASE + "server: { http: { listen: '127.0.0.1:9070' }, limits: { agents: 3 } }\n")
    result = await world.reloader.reload()
    assert result.needs_restart == ("server.http.listen 127.0.0.1:7070 -> 127.0.0.1:9070",)
    assert world.core.ctx.definitions.limits.agents == 3
    again = await world.reloader.reload()
    assert (again.changed, again.needs_restart) == ((), result.needs_restart)


async def test_a_new_controller_and_a_new_token_count_at_once_and_a_removed_one_is_refused(world: World) -> None:
    world.write(BASE.replace("  main:", "  other:").replace(HASH, "b" * 64))
    result = await world.reloader.reload()
    assert result.changed == ("controllers.main removed", "controllers.other added")
    assert {c.token_sha256 for c in world.core.ctx.definitions.controllers.values()} == {("b" * 64,)}


async def test_a_busy_agent_of_a_removed_pool_ends_its_build_and_then_itself(world: World) -> None:
    await world.start("linux-000001")
    world.core.says("linux-000001", busy=True, uses=1)
    await world.core.sync()
    world.write(WITHOUT_HERE)
    result = await world.reloader.reload()
    assert (result.agents, result.ending) == (1, 1)
    for _ in range(20):
        await world.core.sync()
        await world.polls(9)
        await world.reloader.tidy()
    agent = await world.core.agent("linux-000001")
    assert (agent.phase, agent.goal, agent.why) == (Phase.DRAINING, Goal.DRAINED, Reason.SUPERSEDED)
    assert len(world.opened[ONE].ledger.instances) == 1
    world.core.nodes.clear()
    await world.core.release("linux-000001")
    await world.polls(3)
    assert (await world.core.agent("linux-000001")).phase == Phase.GONE
    assert world.opened[ONE].ledger.instances == {}


async def test_an_idle_agent_of_a_removed_policy_ends_once_jenkins_gives_it_no_build(world: World) -> None:
    await world.start("mac-000001")
    world.write(BASE.replace("  mac: { labels: [mac], pools: [there] }\n", ""))
    await world.reloader.reload()
    await world.core.settle()
    agent = await world.core.agent("mac-000001")
    assert agent.phase == Phase.DRAINING, "Jenkins may just have given it a build"
    kept = (await world.core.sync()).kept
    assert [(one.agent.name, one.takes_builds) for one in kept] == [("mac-000001", False)]
    world.core.says("mac-000001", uses=1)  # not accepting
    await world.core.sync()
    await world.polls(2)
    assert (await world.core.agent("mac-000001")).phase == Phase.GONE


async def test_a_backend_is_closed_when_its_last_agent_is_gone_and_opened_when_it_is_needed(world: World) -> None:
    await world.start("linux-000001")
    world.core.says("linux-000001", busy=True, uses=1)
    await world.core.sync()
    world.write(WITHOUT_HERE)
    await world.reloader.reload()
    first = world.opened[ONE]
    for _ in range(3):
        await world.reloader.tidy()
    assert not first.closed
    await world.core.release("linux-000001")
    await world.polls(3)
    for _ in range(2):
        await world.reloader.tidy()
    assert first.closed
    assert world.core.ctx.backends.keys() == {TWO}
    assert world.core.ctx.retired == {}
    world.write(BASE)
    await world.reloader.reload()
    assert world.core.ctx.backends[ONE] is world.opened[ONE] is not first
    await world.start("linux-000002")


async def test_a_pool_cannot_move_to_another_backend_while_its_agents_live(world: World) -> None:
    await world.start("linux-000001")
    world.write(BASE.replace("here: { backend: one }", "here: { backend: two }"))
    with pytest.raises(ConfigError, match="pool 'here' moves from backend 'one' to 'two' while 1 of its agents live"):
        await world.reloader.reload()
    assert world.core.ctx.definitions.pools["here"].backend == ONE  # type: ignore[index]


async def test_a_reload_in_the_middle_of_a_burst_loses_nothing(world: World) -> None:
    await world.core.sync()
    names = [f"{policy}-{n:06}" for n in range(40) for policy in ("linux", "mac")]
    for name in names:
        await world.core.ask(name, policy=name.partition("-")[0])
    for text in (WITHOUT_HERE, BASE, WITHOUT_HERE):
        await world.core.ask_for_offers()
        for _ in range(25):
            await asyncio.wait_for(world.core.loop.look_once(), 5)
        world.write(text)
        await world.reloader.reload()
    await world.polls(3)
    for name in names:
        agent = await world.core.agent(name)
        assert (agent.goal, agent.outcome) == (Goal.ONLINE, None), agent
        world.core.sessions.connect(agent)
        world.core.says(name)
    await world.core.sync()
    await world.core.settle()
    phases = await world.core.phases()
    assert set(phases) == set(names)
    assert set(phases.values()) <= {Phase.ONLINE, Phase.DRAINING}
    instances = [*world.opened[ONE].ledger.instances, *world.opened[TWO].ledger.instances]
    assert len(instances) == len(names), "none twice"


async def test_a_request_whose_policy_is_removed_ends_with_its_reason(world: World) -> None:
    await world.core.sync()
    world.opened[TWO].next_launch_is_unknown(created=True)
    await world.core.ask("mac-000001", policy="mac")
    world.write(BASE.replace("  mac: { labels: [mac], pools: [there] }\n", ""))
    await world.reloader.reload()
    await world.polls(2)
    agent = await world.core.agent("mac-000001")
    assert (agent.phase, agent.outcome, agent.why) == (Phase.GONE, Outcome.FAILED, Reason.NO_MATCHING_POLICY)


async def test_two_reloads_at_once_come_one_after_the_other(world: World) -> None:
    world.write(BASE.replace("here: { backend: one }", "here: { backend: one, limits: { agents: 7 } }"))
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(world.reloader.reload()) for _ in range(3)]
    assert sorted(len(task.result().changed) for task in tasks) == [0, 0, 1]


async def test_an_agent_of_a_removed_controller_ends_with_its_session_and_not_before(world: World) -> None:
    await world.start("linux-000001")
    world.write(BASE.replace("  main:", "  other:"))
    await world.reloader.reload()
    await world.polls(1)
    for _ in range(20):
        await world.core.advance(60, step_s=30)
    agent = await world.core.agent("linux-000001")
    assert (agent.phase, agent.goal) == (Phase.DRAINING, Goal.DRAINED), "nobody can say that it runs no build"
    world.core.sessions.disconnect(agent.id)
    await world.polls(2)
    await world.core.advance(400, step_s=10)
    await world.polls(3)
    assert (await world.core.agent("linux-000001")).phase == Phase.GONE
    assert world.opened[ONE].ledger.instances == {}


async def test_a_store_that_cannot_be_read_leaves_the_former_config_in_force(world: World) -> None:
    before = world.core.ctx.definitions
    world.write(BASE.replace("here: { backend: one }", "here: { backend: new }").replace("one: {", "new: {"))
    agents, world.core.ctx.agents = world.core.ctx.agents, Unreadable()  # type: ignore[assignment]
    with pytest.raises(StoreUnavailable):
        await world.reloader.reload()
    assert world.core.ctx.definitions is before
    assert BackendName("new") not in world.opened
    world.core.ctx.agents = agents


async def test_an_agent_that_is_launched_while_a_config_is_read_keeps_its_pool_where_it_is(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks, live = 0, world.core.ctx.agents.live

    async def launched_meanwhile(*arguments: ControllerName) -> list[Agent]:
        nonlocal looks
        looks += 1
        found = await live(*arguments)
        if looks == 1:
            await world.start("linux-000001")
        return found

    monkeypatch.setattr(world.core.ctx.agents, "live", launched_meanwhile)
    world.write(BASE.replace("here: { backend: one }", "here: { backend: two }"))
    with pytest.raises(ConfigError, match=r"error.in-use.: pool 'here' moves from backend 'one' to 'two' while 1"):
        await world.reloader.reload()
    await world.polls(3)
    assert (await world.core.agent("linux-000001")).phase == Phase.ONLINE


async def test_a_backend_that_cannot_be_closed_takes_nothing_with_it(world: World) -> None:
    ctx, good = world.core.ctx, Opened(None, world.core.clock)
    ctx.backends = {**ctx.backends, BackendName("stuck"): Stuck(None, world.core.clock)}
    await world.reloader.tidy()
    await world.reloader.tidy()
    ctx.backends = {ONE: Stuck(None, world.core.clock), TWO: good}
    await world.reloader.close()
    assert good.closed
