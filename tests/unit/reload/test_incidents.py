"""Keys of a pool that are set for a time: over the texts in force, for that pool alone, checked like the file."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from broker.config.load import load
from broker.domain.ids import PoolName
from broker.domain.pool import BackendDefinition
from broker.domain.timed_override import TimedOverride
from broker.errors import ConfigError, NotFound
from broker.incidents import SETTABLE, Incidents
from broker.operations import Actor
from broker.reload import Reloader
from broker.testing.backend import FakeBackend
from broker.testing.clock import ManualClock
from tests.core import Core, open_core

ANA = Actor("ana", "10.0.0.7")
HASH = "a" * 64
BASE = f"""version: 1
controllers:
  main: {{ url: "http://127.0.0.1:8080/", token_sha256: {HASH} }}
pools:
  here: {{ backend: process, limits: {{ agents: 100 }} }}
  there: {{ inherit_from: here }}
policies:
  linux: {{ labels: [linux], pools: [here] }}
"""
HERE, THERE = PoolName("here"), PoolName("there")


class World:
    def __init__(self, core: Core, incidents: Incidents, file: Path) -> None:
        self.core = core
        self.incidents = incidents
        self.file = file

    async def set(self, key: str, value: str, *, pool: str = HERE, minutes: int = 120) -> None:
        await self.incidents.set(self.override(key, value, pool=pool, minutes=minutes), ANA)

    def override(self, key: str, value: str, *, pool: str = HERE, minutes: int = 120) -> TimedOverride:
        now = self.core.clock.now()
        path, until = ("pools", pool, *key.split(".")), now + timedelta(minutes=minutes)
        return TimedOverride(path=path, value=value, actor="ana", reason="", since=now, until=until)

    def agents_of(self, pool: PoolName = HERE) -> int | None:
        return self.core.ctx.definitions.pools[pool].limits.agents

    async def told(self) -> list[tuple[str, str, str]]:
        events = await self.core.ctx.history.after(0, limit=1000)
        return [(e.event, e.message, e.actor) for e in events if e.event in {"set", "unset"}]


@asynccontextmanager
async def open_world(
    root: Path, text: str = BASE, clock: ManualClock | None = None, env: dict[str, str] | None = None
) -> AsyncIterator[World]:
    file = root / "broker.yaml"
    file.write_text(text)
    config = load(file, env=env or {}, starting=True)

    def opening(_: BackendDefinition) -> FakeBackend:
        return FakeBackend(None, core.clock)

    async with open_core(root / "broker.db", config.definitions, clock=clock) as core:
        incidents = Incidents(Reloader(config, core.ctx, opening))
        await incidents.recall()
        yield World(core, incidents, file)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as opened:
        yield opened


async def test_a_key_is_set_for_that_pool_alone_and_the_change_is_said(world: World) -> None:
    changed = await world.incidents.set(world.override("limits.agents", "140"), ANA)
    assert (changed.before, changed.after) == ("100", "140")
    assert (world.agents_of(HERE), world.agents_of(THERE)) == (140, 100)
    [(event, message, actor)] = await world.told()
    assert (event, actor) == ("set", "ana@10.0.0.7")
    assert message.startswith("pool here: limits.agents 100 -> 140 until ")


async def test_what_was_set_ends_by_itself(world: World) -> None:
    await world.set("limits.agents", "140", minutes=30)
    await world.core.clock.advance(29 * 60)
    await world.incidents.tick()
    assert world.agents_of() == 140
    await world.core.clock.advance(61)
    await world.incidents.tick()
    assert world.agents_of() == 100
    assert [(event, actor) for event, _, actor in await world.told()] == [("set", "ana@10.0.0.7"), ("unset", "")]


async def test_what_was_set_can_be_ended(world: World) -> None:
    await world.set("limits.agents", "140")
    changed = await world.incidents.unset(HERE, "limits.agents", ANA)
    assert (changed.before, changed.after, changed.until) == ("140", "100", None)
    assert world.agents_of() == 100
    with pytest.raises(NotFound, match=r"limits\.agents of pool here is not set"):
        await world.incidents.unset(HERE, "limits.agents", ANA)


async def test_a_file_that_was_edited_since_does_not_come_in_force_with_it(world: World) -> None:
    world.file.write_text(BASE.replace("labels: [linux]", "labels: [mac]") + "half: [an edit")
    await world.set("limits.agents", "140")
    assert world.agents_of() == 140
    assert [p.labels for p in world.core.ctx.definitions.policies.values()] == [("linux",)]


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("limits.agents", "0", "must be at least 1"),
        ("limits.agents", "many", "expected a whole number"),
        ("cooldown.for", "120", "duration"),
        ("limits.memory", "-3", "size"),
    ],
)
async def test_a_value_that_a_file_could_not_have_is_refused_in_the_same_words(
    world: World, key: str, value: str, words: str
) -> None:
    before = world.core.ctx.definitions
    with pytest.raises(ConfigError, match=words) as refused:
        await world.set(key, value)
    assert f"pool set here {key}" in str(refused.value)
    assert world.core.ctx.definitions is before
    assert await world.told() == []


async def test_only_limits_and_the_breaker_can_be_set(world: World) -> None:
    for key in ("backend", "command", "limits", "host.max_age", "limits.agents.more", "java"):
        with pytest.raises(NotFound, match="cannot be set for a time"):
            await world.set(key, "1")
    assert {"limits.agents", "limits.pending", "limits.cpu", "limits.memory", "cooldown.for"} <= set(SETTABLE)


async def test_a_key_that_a_variable_has_set_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENTBROKER_POOLS__HERE__LIMITS__AGENTS", "77")
    async with open_world(tmp_path, env={"AGENTBROKER_POOLS__HERE__LIMITS__AGENTS": "77"}) as world:
        with pytest.raises(ConfigError, match="environment variable AGENTBROKER_POOLS__HERE__LIMITS__AGENTS"):
            await world.set("limits.agents", "140")
        assert world.agents_of() == 77


async def test_it_stays_over_a_reload_and_is_dropped_when_its_pool_is_removed(world: World) -> None:
    await world.set("limits.agents", "140")
    await world.set("limits.agents", "7", pool=THERE)
    world.file.write_text(BASE.replace("agents: 100", "agents: 50"))
    await world.incidents.reloader.reload()
    await world.incidents.tick()
    assert (world.agents_of(HERE), world.agents_of(THERE)) == (140, 7)
    world.file.write_text(BASE.replace("  there: { inherit_from: here }\n", ""))
    await world.incidents.reloader.reload()
    await world.incidents.tick()
    assert [one.pool for one in world.incidents.shown()] == [HERE]
    assert "the config in force has no place for it" in (await world.told())[-1][1]


async def test_it_outlives_the_process_unless_its_time_was_over_meanwhile(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await world.set("limits.agents", "140", minutes=60)
        await world.set("limits.agents", "7", pool=THERE, minutes=10)
        clock = world.core.clock
    await clock.advance(11 * 60)
    async with open_world(tmp_path, clock=clock) as world:
        assert (world.agents_of(HERE), world.agents_of(THERE)) == (140, 100)
        assert [event for event, _, _ in await world.told()] == ["set", "set", "unset"]


async def test_a_file_that_was_refused_stays_told_when_a_key_is_set_over_the_former_one(world: World) -> None:
    world.file.write_text(BASE + "half: [an edit")
    with pytest.raises(ConfigError):
        await world.incidents.reloader.reload()
    await world.set("limits.agents", "140", minutes=30)
    assert b"\nagentbroker_config_last_reload_successful 0.0\n" in world.core.ctx.metrics.exposition()[0]


async def test_of_two_who_set_a_key_at_once_each_is_told_what_was_before(world: World) -> None:
    overrides = [world.override("limits.agents", value) for value in ("140", "150")]
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(world.incidents.set(one, ANA)) for one in overrides]
    changed = [task.result() for task in tasks]
    assert [(one.before, one.after) for one in changed] == [("100", "140"), ("140", "150")]
    assert [message.partition(" until")[0] for _, message, _ in await world.told()] == [
        "pool here: limits.agents 100 -> 140",
        "pool here: limits.agents 140 -> 150",
    ]


async def test_what_is_set_again_in_the_moment_in_which_it_is_over_lasts(world: World) -> None:
    await world.set("limits.agents", "140", minutes=30)
    await world.core.clock.advance(30 * 60)
    async with asyncio.TaskGroup() as group:
        group.create_task(world.set("limits.agents", "150"))
        group.create_task(world.incidents.tick())
    await world.incidents.tick()
    assert world.agents_of() == 150
    assert [event for event, _, _ in await world.told()] == ["set", "set"]
